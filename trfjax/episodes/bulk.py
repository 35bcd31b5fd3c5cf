"""Fine-tune a network on many few-shot episodes in one program."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int
from tqdm.auto import tqdm

from trfjax.data import Dataset
from trfjax.episodes.convolution import with_loop_convolutions
from trfjax.episodes.draw import Episodes
from trfjax.episodes.episode import (
    Fresh,
    Program,
    Task,
    fine_tune_one,
    make_program,
)
from trfjax.episodes.images import all_source_images, gather
from trfjax.state import SourceModel, TrainedModel
from trfjax.training.augment import NONE
from trfjax.training.layers import with_new_head
from trfjax.training.loop import blank_batch
from trfjax.training.recipe import Recipe
from trfjax.training.supervised import Batch
from trfjax.transfer.guide import Guide

FEW_SHOT = Recipe(steps=100, batch_size=64, learning_rate=1e-3, augment=NONE)
ACCELERATOR_TOGETHER = 64  # episodes that an accelerator works on at a time


@dataclasses.dataclass(frozen=True, eq=False)
class BulkResult:
    """The results of all episodes."""

    accuracy: Float[np.ndarray, " s"]  # of the queries, in [0, 1]
    log_likelihood: Float[np.ndarray, " s"]  # of the queries, mean in nats
    losses: Float[np.ndarray, "s steps"]  # of the shots; NaN after the last good step
    stopped: Int[np.ndarray, " s"]  # fine-tuning step that was not finite, or -1
    alignment: dict[str, Float[np.ndarray, "s guided"]]  # by step; empty without guide
    alignment_stopped: Int[np.ndarray, " s"]  # step of the alignment, likewise

    @property
    def diverged(self) -> int:
        """Episodes of which an earlier state is kept, as their loss became NaN."""
        return int(((self.stopped >= 0) | (self.alignment_stopped >= 0)).sum())


def fine_tune_episodes(
    source: TrainedModel,
    pool: Dataset,
    episodes: Episodes,
    *,
    recipe: Recipe = FEW_SHOT,
    mode: str = "full",
    guide: Guide | None = None,
    source_data: Dataset | None = None,
    fresh: Fresh | None = None,
    together: int | None = None,
    progress: bool = False,
) -> BulkResult:
    """Fine-tune once per episode and test on its queries, all in one jitted program.

    Every episode has its own new head, batches and augmentation, drawn from the
    recipe's seed and its number, so that methods compared on the same episodes differ
    in nothing else. On a CPU one episode follows another, since convolutions whose
    weights differ within a batch are slow there; accelerators take many together. The
    results agree up to rounding.

    Args:
        source: the network, of which the last layer is replaced.
        pool: the data set that the episodes point into.
        episodes: see `draw_episodes`.
        recipe: how the shots are learned.
        mode: the layers that the shots move; see `trainable_layers`.
        guide: align features with the source data before that; needs `source_data`.
        source_data: labelled images with the classes of the network.
        fresh: makes a network from a key, one for every episode, instead of the
            source: training from scratch. Its last layer is replaced too.
        together: episodes worked on at a time; by default what suits the device.
        progress: show a bar; the program is then called on a few episodes at a time.

    Raises:
        ValueError: a guide without source data, images of other sizes, positions
            outside the pool, or a network in which more than the last layer depends
            on the classes.
    """
    images, rows = gather(pool, episodes)
    together = _together() if together is None else together
    key = jax.random.key(recipe.seed)
    template, head = with_new_head(
        source.model, episodes.ways, images.shape[1:], key=key
    )
    template, model = _ready(template), _ready(source.model)
    source_batch = None
    if guide is not None:
        source_batch = all_source_images(source, source_data, images.shape[1:])
    blank = blank_batch(pool, source.card, None)
    common = _Common(
        source=model,
        template=template,
        images=jnp.asarray(images),
        blank=dataclasses.replace(blank, ignore=jnp.int32(-1)),
        source_batch=source_batch,
    )
    program = make_program(
        model,
        template,
        head,
        images.shape[1:],
        recipe=recipe,
        mode=mode,
        guide=guide,
        fresh=fresh,
    )
    run = functools.partial(_run, common, program=program, together=together)
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(episodes.numbers)
    each = (keys, *(jnp.asarray(part) for part in rows))
    found = _in_parts(run, each, 4 * together if progress else None)
    return BulkResult(
        accuracy=found["accuracy"].astype(np.float64),
        log_likelihood=found["log_likelihood"].astype(np.float64),
        losses=found["losses"],
        stopped=found["stopped"],
        alignment=found["alignment"],
        alignment_stopped=found["alignment_stopped"],
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Common:
    """The networks and images that all episodes share."""

    source: SourceModel
    template: SourceModel  # with the new head
    images: Array  # that occur in any episode
    blank: Batch  # a batch without images
    source_batch: Batch | None  # for the guide


@functools.partial(jax.jit, static_argnames=("program", "together"))
def _run(
    common: _Common,
    keys: Array,
    support: Int[Array, "s ways shots"],
    query: Int[Array, "s ways queries"],
    *,
    program: Program,
    together: int,
) -> dict[str, Any]:
    def batch(positions: Int[Array, "ways each"]) -> Batch:
        ways, each = positions.shape
        labels = jnp.repeat(jnp.arange(ways), each)
        chosen = common.images[positions.reshape(-1)]
        return dataclasses.replace(common.blank, images=chosen, labels=labels)

    def one(part: tuple[Array, Array, Array]) -> dict[str, Any]:
        key, trained, tested = part
        task = Task(batch(trained), batch(tested), common.source_batch)
        return fine_tune_one(common.source, common.template, task, program, key)

    size = together if together > 1 else None
    return lax.map(one, (keys, support, query), batch_size=size)


def _in_parts(
    run: Callable[..., dict[str, Any]], episodes: tuple[Array, ...], size: int | None
) -> dict[str, Any]:
    """Run all episodes at once, or `size` at a time under a bar of progress.

    All parts have one shape, so that the program is compiled once: the last but one
    may overlap with the last.
    """
    count = len(episodes[0])
    silent = None if size else True  # None: where nobody looks
    size = min(size or count, count)
    starts = [*range(0, count - size, size), count - size]
    found = []
    with tqdm(total=count, unit="episode", disable=silent) as bar:
        for start, new in zip(starts, np.diff([*starts, count]).tolist(), strict=True):
            part = run(*(rows[start : start + size] for rows in episodes))
            found.append(_first(part, new))
            bar.update(new)
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


def _first(part: dict[str, Any], count: int) -> dict[str, Any]:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], part)


def _ready(model: SourceModel) -> SourceModel:
    on_cpu = jax.default_backend() == "cpu"
    return with_loop_convolutions(model) if on_cpu else model


def _together() -> int:
    return 1 if jax.default_backend() == "cpu" else ACCELERATOR_TOGETHER

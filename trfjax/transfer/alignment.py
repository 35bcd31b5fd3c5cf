"""Step 1 of guided fine-tuning: align target features with those of the source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np

from trfjax.data import Dataset, batch_indices
from trfjax.numbers import as_count, as_real
from trfjax.state import SourceModel, TrainedModel
from trfjax.training.evaluate import evaluate
from trfjax.training.loop import DivergedError, blank_batch, read_batches
from trfjax.training.step import State, begin, step
from trfjax.training.supervised import Batch
from trfjax.transfer.guide import Guide
from trfjax.transfer.guide_loss import (
    GuideLoss,
    guide_update,
    guided_layers,
    with_both_heads,
)
from trfjax.transfer.start import Start

WATCHED = 16, 128  # source images that the guard looks at: label maps, one label each
EVERY = 10  # steps between two of its looks


@dataclasses.dataclass(frozen=True, eq=False)
class Guiding:
    """The settings of step 1; see `guided_finetune` for every field."""

    guide: Guide
    images: int
    balanced: bool
    floor: float
    seed: int

    def __post_init__(self) -> None:
        as_count("images", self.images)
        as_real("floor", self.floor, least=0, most=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """The course of step 1."""

    model: SourceModel
    seen: dict[str, list[float]]  # by step
    accuracy: tuple[float, float]  # of the source, before and after
    stopped: int | None


def align_features(
    source: TrainedModel, start: Start, data: Dataset, guiding: Guiding
) -> Course:
    """Do step 1; go back to the last good look when the source is forgotten.

    Args:
        source: the network.
        start: its copy for the target, with a head of its own.
        data: labelled images of the source.
        guiding: how.
    """
    loss, state, steps = _steps(source, start, data, guiding)
    count = WATCHED[np.ndim(data[0]["label"]) == 0]
    watched = data.shots(min(count, len(data)), seed=guiding.seed)
    first = evaluate(source.model, source.card, watched).accuracy
    good, reached, stopped = state, first, None
    seen: dict[str, list[float]] = {}
    for number, (state, found) in enumerate(steps, 1):
        for name, value in found.items():
            seen.setdefault(name, []).append(value)
        if number % EVERY and number < guiding.guide.steps:
            continue
        network = loss.source_network(state.params, state.stats)
        look = evaluate(network, source.card, watched).accuracy
        if look < guiding.floor * first:
            stopped = int(good.step)
            break
        good, reached = state, look
    model = loss.target_network(good.params, good.stats)
    return Course(model, seen, (first, reached), stopped)


def _steps(
    source: TrainedModel, start: Start, data: Dataset, guiding: Guiding
) -> tuple[GuideLoss, State, Iterator[tuple[State, dict[str, float]]]]:
    """Return the loss, the state to begin with, and the steps, which are not done yet.

    Each step that is asked for gives its state, and what was seen of it.
    """
    guide = guiding.guide
    loss = GuideLoss(
        guide=guide,
        source=source.model.graphdef,
        target=start.model.graphdef,
        balanced=guiding.balanced,
    )
    image = start.shots[0]["image"].shape
    layers = guided_layers(start.model, image, guide, new=start.new)
    update = guide_update(loss, layers)
    params = with_both_heads(source.model.params, start.model.params, start.new)
    begun = begin(params, start.model.stats, update)

    def follow(state: State) -> Iterator[tuple[State, dict[str, float]]]:
        key = jax.random.key(guiding.seed)
        for batch in _batches(source, data, start.shots, guiding):
            state, found, fine = step(state, batch, key, update=update)
            if not fine:
                kept = loss.target_network(state.params, state.stats)
                number = int(state.step) + 1
                raise DivergedError(TrainedModel(kept, start.card), number)
            yield state, {name: float(value) for name, value in found.items()}

    return loss, begun, follow(begun)


def _batches(
    source: TrainedModel, data: Dataset, shots: Dataset, guiding: Guiding
) -> Iterator[tuple[Batch, Batch]]:
    """Yield source and target images of every step."""
    guide, maps = guiding.guide, np.ndim(shots[0]["label"]) > 0

    def side(part: Dataset, size: int) -> Iterator[Batch]:
        blank = blank_batch(part, source.card, None)
        size = min(guiding.images if maps else size, len(part))
        chosen = [
            batch_indices(len(part), size, number, seed=guiding.seed)
            for number in range(guide.steps)
        ]
        for images, labels in read_batches(part, chosen):
            yield dataclasses.replace(blank, images=images, labels=labels)

    return zip(
        side(data, guide.source_batch), side(shots, guide.target_batch), strict=True
    )


def check_sizes(data: Dataset, shots: Dataset, guide: Guide) -> None:
    """Check that images of both sides can pass the network in one batch.

    Args:
        data: of the source.
        shots: of the target.
        guide: settings of the step.

    Raises:
        ValueError: images of two sizes, where they must.
    """
    source, target = data[0]["image"].shape, shots[0]["image"].shape
    if guide.batch_norm == "adapt" and source != target:
        raise ValueError(
            f"source_data: images of shape {source}, the shots have {target}; with "
            "batch_norm='adapt' they pass the network in one batch. Load both with the "
            "same size=, or use batch_norm='frozen'."
        )

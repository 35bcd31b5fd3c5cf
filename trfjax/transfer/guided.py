"""Fine-tuning guided by OTCE: align features with the source first, then learn.

Tan, Li and Huang, "Transferability-Guided Cross-Domain Cross-Task Transfer Learning",
2022. Step 1 minimises the conditional entropy of target labels given source labels, of
mini-batches, through the optimal-transport plan; step 2 is ordinary fine-tuning.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import Float

from trfjax.data import Dataset, batch_indices
from trfjax.state import SourceModel, TrainedModel
from trfjax.training.evaluate import align, evaluate, normalisation
from trfjax.training.layers import Rebuild, layer_order, trainable_layers
from trfjax.training.loop import DivergedError, TrainState, read_batches
from trfjax.training.recipe import Recipe
from trfjax.training.train import check_fit
from trfjax.transfer.align_step import (
    Plan,
    Side,
    align_step,
    before_aligning,
    source_network,
    target_network,
)
from trfjax.transfer.finetune import (
    FINETUNE,
    FinetuneResult,
    Start,
    check_settings,
    learn,
    prepare,
)
from trfjax.transfer.guide import Guide

# For one label an image, as docs/few_shot.md found it best: as published,
# the guide gained nothing there.
IMAGES = Guide(
    steps=60, source_batch=32, relative_epsilon=True, domain_weight=0.05,
    task_weight=1.0, source_weight=1.0, batch_norm="adapt",
)  # fmt: skip
# For label maps an instance is a pixel, of a few images a step. The two cross-entropies
# keep what the network knows of the source, and of the target's classes.
PIXELS = Guide(
    steps=40, source_batch=1024, target_batch=1024, task_weight=1.0, source_weight=1.0
)
WATCHED = 16, 128  # source images that the guard looks at: label maps, one label each
EVERY = 10  # steps between two of its looks


@dataclasses.dataclass(frozen=True, eq=False)
class GuidedResult(FinetuneResult):
    """A fine-tuned network, and the course of the alignment before that."""

    aligned: TrainedModel  # after step 1, before the shots were learned
    alignment: dict[str, list[float]]  # by step; see `guided_finetune`
    source_accuracy: tuple[float, float]  # before and after step 1, of the same images
    stopped: int | None  # the step the guard went back to; None: all were done


@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """How step 1 went."""

    model: SourceModel
    seen: dict[str, list[float]]  # by step
    accuracy: tuple[float, float]  # of the source, before and after
    stopped: int | None


def guided_finetune(
    source: TrainedModel,
    source_data: Dataset | None,
    shots: Dataset,
    *,
    test: Dataset | None = None,
    guide: Guide | None = None,
    images: int = 4,
    balanced: bool = False,
    floor: float = 0.9,
    mode: str = "full",
    recipe: Recipe = FINETUNE,
    head: str = "auto",
    held_out: float = 0.0,
    evaluate_every: int = 10,
    class_weights: Float[np.ndarray, " k"] | None = None,
    label_weights: Float[np.ndarray, "n ..."] | None = None,
    rebuild: Rebuild | None = None,
) -> GuidedResult:
    """Align the target's features with the source's by class, then fine-tune.

    `alignment` of the result holds, for every step 1: "loss", "task_difference" (W_T,
    nats), "domain_difference" (W_D), "marginal_error" (of the plan, L1), "converged",
    "gradient_norm", and "source_accuracy" (of the step's source images).

    Args:
        source: the network; left as it is.
        source_data: labelled images that show what the network was trained on.
        shots: the few labelled target images.
        test: labelled images to measure the transfer on.
        guide: settings of step 1; by default those of `default_guide`.
        images: source and target images a step that pixels are drawn from; without
            meaning for one label an image.
        balanced: draw as many pixels of every class as there are, instead of
            uniformly.
        floor: step 1 ends, and goes back to its last look, when the accuracy on a fixed
            part of the source data falls below this share of what it was; 0: never.
        mode: layers that step 2 moves; see `finetune`. Those of step 1: `guide.moves`.
        recipe: of step 2, and the seed of both.
        head: see `finetune`.
        held_out: see `finetune`; step 1 does not see that part either.
        evaluate_every: see `finetune`.
        class_weights: see `finetune`.
        label_weights: see `finetune`; of step 2.
        rebuild: see `finetune`.

    Raises:
        DivergedError: the loss of either step is no longer finite; it holds the last
            good state.
        ValueError: no source data, shots of a single class, or settings and data that
            do not fit.
    """
    check_settings(head, held_out, evaluate_every)
    _check(source_data, images, floor)
    assert source_data is not None  # checked
    start = prepare(
        source, shots, mode=mode, recipe=recipe, head=head, held_out=held_out,
        class_weights=class_weights, label_weights=label_weights, rebuild=rebuild,
    )  # fmt: skip
    source_data = align(source_data, source.card.class_names)
    check_fit(source.model, source.card, source_data)
    if guide is None:
        guide = default_guide(shots)
    _check_sizes(source_data, start.shots, guide)
    plan = _plan(source, start, guide, balanced)
    course = _align(source, start, plan, source_data, recipe.seed, images, floor)
    aligned = dataclasses.replace(start, model=course.model)
    result = learn(aligned, recipe, test=test, evaluate_every=evaluate_every)
    parts = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    return GuidedResult(
        **parts,
        aligned=TrainedModel(course.model, start.card),
        alignment=course.seen,
        source_accuracy=course.accuracy,
        stopped=course.stopped,
    )


def default_guide(shots: Dataset) -> Guide:
    """Return `PIXELS` for label maps and `IMAGES` for one label an image.

    `Guide()` is the guide as published.
    """
    return PIXELS if np.ndim(shots[0]["label"]) else IMAGES


def _align(
    source: TrainedModel,
    start: Start,
    plan: Plan,
    data: Dataset,
    seed: int,
    images: int,
    floor: float,
) -> Course:
    """Do step 1; go back to the last good look when the source is forgotten."""
    count = WATCHED[np.ndim(data[0]["label"]) == 0]
    watched = data.shots(min(count, len(data)), seed=seed)
    state = before_aligning(source.model, start.model, plan)
    first = evaluate(source.model, source.card, watched).accuracy
    good, reached, stopped = state, first, None
    seen: dict[str, list[float]] = {}
    scale, key = normalisation(source.card), jax.random.key(seed)
    batches = _batches(data, start.shots, plan.guide, seed, images)
    for number, (there, here) in enumerate(batches, 1):
        after, found, fine = align_step(state, there, here, scale, key, plan=plan)
        if not fine:
            model = target_network(state, plan)
            kept = TrainState(model, state.opt_state, state.step)
            raise DivergedError(kept, start.card)
        state = after
        for name, value in found.items():
            seen.setdefault(name, []).append(float(value))
        if number % EVERY and number < plan.guide.steps:
            continue
        look = evaluate(source_network(state, plan), source.card, watched).accuracy
        if look < floor * first:
            stopped = int(good.step)
            break
        good, reached = state, look
    return Course(target_network(good, plan), seen, (first, reached), stopped)


def _batches(
    data: Dataset, shots: Dataset, guide: Guide, seed: int, images: int
) -> Iterator[tuple[Side, Side]]:
    """Yield source and target images of every step."""
    maps = np.ndim(shots[0]["label"]) > 0

    def side(part: Dataset, size: int) -> Iterator[Side]:
        size = min(images if maps else size, len(part))
        chosen = [
            batch_indices(len(part), size, step, seed=seed)
            for step in range(guide.steps)
        ]
        for found, labels in read_batches(part, chosen):
            yield Side(found, labels, np.int32(part.ignore))

    return zip(
        side(data, guide.source_batch), side(shots, guide.target_batch), strict=True
    )


def _plan(source: TrainedModel, start: Start, guide: Guide, balanced: bool) -> Plan:
    image = start.shots[0]["image"].shape
    order = frozenset(layer_order(start.model, image))
    head = start.new or _last_layer(start, image)
    moved = None
    if guide.moves != "features":
        moved = trainable_layers(start.model, image, guide.moves, head=head)
    layers = (order if moved is None else moved) - head
    if not layers:
        raise ValueError(f"guide: {guide.moves!r} moves no layer before the head")
    # A head that the loss does not see stays as it is; a kept one serves both sides.
    if guide.task_weight or (guide.source_weight and not start.new):
        layers |= head
    return Plan(
        guide=guide,
        source=source.model.graphdef,
        target=start.model.graphdef,
        layers=layers,
        new=start.new,
        num_source_classes=len(source.card.class_names),
        num_classes=len(start.card.class_names),
        balanced=balanced,
    )


def _last_layer(start: Start, image: tuple[int, ...]) -> frozenset[str]:
    last = trainable_layers(start.model, image, "head", head=frozenset())
    assert last is not None  # only "full" means all
    return last


def _check(source_data: Dataset | None, images: int, floor: float) -> None:
    if source_data is None:
        raise ValueError(
            "source_data: guided fine-tuning aligns target with source features, so it "
            "needs labelled images of what the network was trained on. Without them, "
            "use finetune."
        )
    if images < 1:
        raise ValueError(f"images: {images} must be at least 1")
    if not 0 <= floor <= 1:
        raise ValueError(f"floor: {floor} is not within 0..1")


def _check_sizes(data: Dataset, shots: Dataset, guide: Guide) -> None:
    far, near = data[0]["image"].shape, shots[0]["image"].shape
    if guide.batch_norm == "adapt" and far != near:
        raise ValueError(
            f"source_data: images of shape {far}, the shots have {near}; with "
            "batch_norm='adapt' they pass the network in one batch. Load both with the "
            "same size=, or use batch_norm='frozen'."
        )

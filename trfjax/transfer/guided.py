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
from trfjax.training.evaluate import align, evaluate
from trfjax.training.layers import Rebuild
from trfjax.training.loop import DivergedError, blank_batch, read_batches
from trfjax.training.recipe import Recipe
from trfjax.training.step import State, begin, step
from trfjax.training.supervised import Batch
from trfjax.training.train import check_fit
from trfjax.transfer.finetune import FinetuneResult, learn
from trfjax.transfer.guide import Guide, default_guide
from trfjax.transfer.guide_loss import (
    GuideLoss,
    guide_update,
    guided_layers,
    with_both_heads,
)
from trfjax.transfer.start import FINETUNE, Finetuning, Start, prepare

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
class Guiding:
    """How step 1 is done; see `guided_finetune` for every field."""

    guide: Guide
    images: int
    balanced: bool
    floor: float
    seed: int

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ValueError(f"images: {self.images} must be at least 1")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor: {self.floor} is not within 0..1")


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
    settings = Finetuning(
        mode=mode,
        recipe=recipe,
        head=head,
        held_out=held_out,
        evaluate_every=evaluate_every,
        class_weights=class_weights,
        label_weights=label_weights,
        rebuild=rebuild,
    )
    if source_data is None:
        raise ValueError(
            "source_data: guided fine-tuning aligns target with source features, so it "
            "needs labelled images of what the network was trained on. Without them, "
            "use finetune."
        )
    guiding = Guiding(
        guide=default_guide(shots) if guide is None else guide,
        images=images,
        balanced=balanced,
        floor=floor,
        seed=recipe.seed,
    )
    start = prepare(source, shots, settings)
    source_data = align(source_data, source.card.class_names)
    check_fit(source.model, source.card, source_data)
    _check_sizes(source_data, start.shots, guiding.guide)
    course = _align(source, start, source_data, guiding)
    aligned = dataclasses.replace(start, model=course.model)
    result = learn(aligned, settings, test=test)
    parts = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    return GuidedResult(
        **parts,
        aligned=TrainedModel(course.model, start.card),
        alignment=course.seen,
        source_accuracy=course.accuracy,
        stopped=course.stopped,
    )


def _align(
    source: TrainedModel, start: Start, data: Dataset, guiding: Guiding
) -> Course:
    """Do step 1; go back to the last good look when the source is forgotten."""
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


def _check_sizes(data: Dataset, shots: Dataset, guide: Guide) -> None:
    source, target = data[0]["image"].shape, shots[0]["image"].shape
    if guide.batch_norm == "adapt" and source != target:
        raise ValueError(
            f"source_data: images of shape {source}, the shots have {target}; with "
            "batch_norm='adapt' they pass the network in one batch. Load both with the "
            "same size=, or use batch_norm='frozen'."
        )

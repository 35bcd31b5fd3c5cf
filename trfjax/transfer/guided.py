"""Fine-tuning guided by OTCE: align features with the source first, then learn.

Tan, Li and Huang, "Transferability-Guided Cross-Domain Cross-Task Transfer Learning",
2022. Step 1 minimises the conditional entropy of target labels given source labels, of
mini-batches, through the optimal-transport plan; step 2 is ordinary fine-tuning.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from trfjax.data import Dataset
from trfjax.state import TrainedModel
from trfjax.training.evaluate import align
from trfjax.training.layers import Rebuild
from trfjax.training.recipe import Recipe
from trfjax.training.train import check_fit
from trfjax.transfer.alignment import Guiding, align_features, check_sizes
from trfjax.transfer.finetune import FinetuneResult, learn
from trfjax.transfer.guide import Guide, default_guide
from trfjax.transfer.start import FINETUNE, Finetuning, prepare


@dataclasses.dataclass(frozen=True, eq=False)
class GuidedResult(FinetuneResult):
    """A fine-tuned network, and the course of the alignment before that."""

    aligned: TrainedModel  # after step 1, before the shots were learned
    alignment: dict[str, list[float]]  # by step; see `guided_finetune`
    source_accuracy: tuple[float, float]  # before and after step 1, of the same images
    stopped: int | None  # the step the guard went back to; None: all were done


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

    Returns:
        What `finetune` returns, the aligned network before that, and its course.

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
    check_sizes(source_data, start.shots, guiding.guide)
    course = align_features(source, start, source_data, guiding)
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

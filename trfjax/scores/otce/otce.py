"""OTCE: optimal-transport based conditional entropy."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from trfjax.promotion import usual_promotion
from trfjax.scores.bounds import ENTROPY, entropy_bounds, entropy_limits, minus_entropy
from trfjax.scores.otce.atoms import otce_atoms
from trfjax.scores.otce.atoms_replicates import otce_atoms_replicates
from trfjax.scores.otce.draws import SETTINGS, Drawing, score_draws
from trfjax.scores.otce.pixels import fit_pixels, otce_of_cells, pixel_otce
from trfjax.scores.otce.resampled import resampled_draws
from trfjax.scores.otce.result import OtceResult, Solver, details_of, too_coarse
from trfjax.scores.spec import OfSums, PerInstance, ScoreSpec, laws
from trfjax.transport.problem import Settings
from trfjax.typing import IGNORE, ArrayInput, Count, FeatureSpace, PRNGKeyArray


@usual_promotion
def otce(
    source_features: ArrayInput,
    source_labels: ArrayInput,
    target_features: ArrayInput,
    target_labels: ArrayInput,
    *,
    num_samples: int = 10_000,
    repeats: int = 10,
    epsilon: float | Array = 0.1,
    relative_epsilon: bool = False,
    key: PRNGKeyArray | int,
    feature_space: FeatureSpace = "probs",
    solver: Solver = "fast",
    num_source_classes: Count | None = None,
    num_classes: Count | None = None,
    ignore: int = IGNORE,
    settings: Settings | None = None,
) -> OtceResult:
    r"""OTCE: how well source labels determine target labels under a coupling.

    Source and target instances are coupled by entropic optimal transport of their
    features with squared Euclidean cost; the joint distribution `P` of labels is read
    off the plan, and the score is

    $$-W_T = -H(Y_t|Y_s) = \sum_{s,t} P(s,t) \log \frac{P(s,t)}{P(s)}.$$

    Both sides are features of the *same* source network. All draws are solved in one
    jitted call; the plan is never returned. Differentiable in both feature arrays.
    `otce_atoms` takes every pixel instead, from what `compress` makes of both sides.

    Args:
        source_features: `(n, d)` rows or `(b, h, w, d)` maps.
        source_labels: integer source ids, `(n,)` or `(b, h, w)`.
        target_features: likewise for the target, of the same width `d`.
        target_labels: likewise.
        num_samples: instances drawn from each side, without replacement; where a side
            has fewer, all of them.
        repeats: number of draws the score is averaged over.
        epsilon: entropic regularisation, in units of the squared distance.
        relative_epsilon: multiply epsilon by the mean cost of the draw.
        key: a JAX key, or an int to make one from.
        feature_space: what the features are; `"probs"` must be rows on the simplex.
        solver: `"fast"`; `"ott"`, the plain OTT-JAX Sinkhorn; `"exact"`, the
            unregularised plan of equal-sized draws (not under jit, no gradient).
        num_source_classes: None re-indexes the ids present; a number fixes the range.
        num_classes: likewise for the target. Both are needed under jit.
        ignore: the label that counts for nothing, on both sides.
        settings: stopping rule of the entropic solver.

    Returns:
        Score in `[-log(target classes), 0]` nats with its terms, errors and joint.

    Raises:
        TypeError, ValueError: arrays that do not fit together, values that are not
            finite, labels out of range, features that are not what they are called.

    Reference:
        Tan, Li and Huang, "OTCE: A Transferability Metric for Cross-Domain Cross-Task
        Representations", CVPR 2021, Equations 3 to 7; the score without the domain
        term and the sampling of pixels: Tan, Li and Huang, "Transferability-Guided
        Cross-Domain Cross-Task Transfer Learning", 2022.
    """
    drawing = Drawing(
        num_samples=num_samples,
        repeats=repeats,
        epsilon=epsilon,
        relative_epsilon=relative_epsilon,
        key=key,
        feature_space=feature_space,
        solver=solver,
        ignore=ignore,
        settings=settings,
    )
    return score_draws(
        (source_features, source_labels, num_source_classes),
        (target_features, target_labels, num_classes),
        drawing,
    )


def trial() -> dict[str, Any]:
    """Return settings under which made-up features of any size make a fair case."""
    double = jax.dtypes.canonicalize_dtype(np.float64) == np.float64
    tight = 1e-11 if double else 1e-5
    return {
        "key": 0,
        "repeats": 2,
        "feature_space": "penultimate",
        "relative_epsilon": True,
        "settings": Settings(tolerance=tight, joint_tolerance=tight),
    }


SPEC = ScoreSpec(
    name="otce",
    function=otce,
    inputs=("source_features", "source_labels", "target_features"),
    title="OTCE",
    unit="nats",
    bounds=entropy_bounds,
    floor=minus_entropy,
    limits=entropy_limits,
    explained=ENTROPY,
    sensitive=("architecture", "size"),
    laws=laws(
        "source_names", "duplicates", "rotation", "shift", "scale", "zero_feature"
    ),
    space="probs",
    settings=SETTINGS,
    details=details_of,
    resampled=resampled_draws,
    of_sums=OfSums(
        tables=("source_atoms", "target_atoms"),
        score=otce_atoms,
        replicates=otce_atoms_replicates,
        doubt=too_coarse,
        settings=("epsilon", "relative_epsilon", "feature_space"),
    ),
    per_instance=PerInstance(
        fit=fit_pixels, score=pixel_otce, cells=otce_of_cells, additive=False
    ),
    weighted=False,
    merging_targets="not lower",
    merging_sources="not higher",
    rtol=1e-4,
    trial=trial,
)

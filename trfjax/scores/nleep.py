"""N-LEEP: LEEP with the clusters of the features in the place of source classes."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Literal

from jaxtyping import Array, Float

from trfjax.errors import ScoreWarning
from trfjax.scores.bounds import ENTROPY, entropy_bounds, entropy_limits, minus_entropy
from trfjax.scores.leep import leep
from trfjax.scores.nleep_clusters import clustered, resampled_clusters
from trfjax.scores.spec import ScoreSpec, laws
from trfjax.typing import IGNORE, ArrayInput, Count


def nleep(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    components: int | None = None,
    variance: float = 0.8,
    covariance: Literal["full", "diagonal"] = "full",
    regularisation: float = 1e-6,
    tolerance: float = 1e-3,
    steps: int = 100,
    seed: int = 0,
) -> Float[Array, ""]:
    r"""N-LEEP: LEEP of the responsibilities of a mixture of Gaussians.

    The features are reduced to the principal components that hold `variance` of their
    variance; a mixture is fitted to them without labels, from k-means++ seeds; and the
    responsibilities $R_{iv}$ take the place of the source classes of LEEP:

    $$\frac1n \sum_i \log \sum_v \hat P(y_i | v) R_{iv}$$

    It depends on the seed, so compare sources by several.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        components: of the mixture, fewer than instances; five for every class present
            by default, as published.
        variance: share of the variance to keep, in `(0, 1]`.
        covariance: of a component: `"full"` or `"diagonal"`.
        regularisation: added to every variance, in mean variances of a kept feature.
        tolerance: gain in mean log-density at which the fit stops.
        steps: of the fit at most.
        seed: of the seeds of the mixture.

    Returns:
        Mean log-likelihood in nats, in `[-H(Y), 0]`; larger means more transferable.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, a setting
            out of range, as many components as instances, nothing left to score; a
            call under `jit`.

    Warns:
        ScoreWarning: the fit took all its steps.

    Reference:
        Li, Jia, Sang, Zhu, Green, Wang and Gong, "Ranking Neural Checkpoints", CVPR
        2021, Section 3.3.
    """
    found = clustered(
        features,
        labels,
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
        components=components,
        variance=variance,
        covariance=covariance,
        regularisation=regularisation,
        tolerance=tolerance,
        steps=steps,
        seed=seed,
    )
    if not found.settled:
        warnings.warn(
            f"nleep: the mixture had not settled after {steps} steps; raise `steps`",
            ScoreWarning,
            stacklevel=2,
        )
    return found.score


def nleep_from_responsibilities(
    responsibilities: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
) -> Float[Array, ""]:
    """Return N-LEEP of given responsibilities, `(n, v)` with rows that sum to 1.

    It is LEEP of them, deterministic and differentiable; a component without mass
    counts for nothing. See `nleep`.

    Args:
        responsibilities: `(n, v)`, rows that sum to 1.
        labels: target ids, `(n,)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.

    Returns:
        Mean log-likelihood in nats, in `[-H(Y), 0]`.
    """
    return leep(
        responsibilities,
        labels,
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
    )


SPEC = ScoreSpec(
    name="nleep",
    function=clustered,
    inputs=("target_features",),
    title="N-LEEP",
    unit="nats",
    bounds=entropy_bounds,
    floor=minus_entropy,
    limits=entropy_limits,
    explained=ENTROPY,
    laws=laws("scale"),
    resampled=resampled_clusters,
    weighted=False,  # copies change the draw of the seeds
    transforms=False,
    differentiable=False,
    rtol=1e-4,
    trial=lambda: {"components": 4},
)

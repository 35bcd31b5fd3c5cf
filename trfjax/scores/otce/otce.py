"""OTCE: optimal-transport based conditional entropy."""

from __future__ import annotations

from typing import Any, Literal

import jax
from jaxtyping import Array

from trfjax.arrays import is_traced
from trfjax.atoms.compress import ATOMS, compress
from trfjax.scores.otce.atoms import otce_atoms
from trfjax.scores.otce.draws import check_sides, score_draws
from trfjax.scores.otce.result import OtceResult, Solver
from trfjax.transport.problem import Settings
from trfjax.typing import IGNORE, ArrayInput, FeatureSpace, PRNGKeyArray


def otce(
    source_features: ArrayInput,
    source_labels: ArrayInput,
    target_features: ArrayInput,
    target_labels: ArrayInput,
    *,
    num_samples: int = 10_000,
    repeats: int = 10,
    pixels: Literal["drawn", "all"] = "drawn",
    atoms: int = ATOMS,
    epsilon: float | Array = 0.1,
    relative_epsilon: bool = False,
    key: PRNGKeyArray | int,
    feature_space: FeatureSpace = "probs",
    solver: Solver = "fast",
    num_source_classes: int | None = None,
    num_classes: int | None = None,
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

    Args:
        source_features: `(n, d)` rows or `(b, h, w, d)` maps.
        source_labels: integer source ids, `(n,)` or `(b, h, w)`.
        target_features: likewise for the target, of the same width `d`.
        target_labels: likewise.
        num_samples: instances drawn from each side, without replacement; where a side
            has fewer, all of them.
        repeats: number of draws the score is averaged over.
        pixels: `"drawn"`, as published; `"all"` compresses every pixel of each side
            into `atoms` weighted points and solves once: see `compress` and
            `otce_atoms`. Not under jit, no gradient; `solver` stays `"fast"`.
        atoms: points a side is compressed into at most.
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
    if pixels == "all":
        if solver != "fast":
            raise ValueError(f"solver: {solver!r} works on draws; atoms need 'fast'")
        return _of_all(
            (source_features, source_labels, num_source_classes),
            (target_features, target_labels, num_classes),
            atoms, key, ignore, feature_space, epsilon=epsilon,
            relative_epsilon=relative_epsilon, settings=settings,
        )  # fmt: skip
    if pixels != "drawn":
        raise ValueError(f"pixels: {pixels!r} is neither 'drawn' nor 'all'")
    return score_draws(
        (source_features, source_labels, num_source_classes),
        (target_features, target_labels, num_classes),
        num_samples=num_samples, repeats=repeats, epsilon=epsilon,
        relative_epsilon=relative_epsilon, key=key, feature_space=feature_space,
        solver=solver, ignore=ignore, settings=settings,
    )  # fmt: skip


def _of_all(
    source: tuple[ArrayInput, ArrayInput, int | None],
    target: tuple[ArrayInput, ArrayInput, int | None],
    atoms: int,
    key: PRNGKeyArray | int,
    ignore: int,
    feature_space: FeatureSpace,
    **settings: Any,
) -> OtceResult:
    """Compress both sides and couple their atoms."""
    if is_traced(source[0], source[1], target[0], target[1], settings["epsilon"]):
        raise TypeError("pixels='all' runs on the host and cannot be traced by jit")
    check_sides(source, target, feature_space=feature_space, ignore=ignore)
    seed = key if isinstance(key, int) else int(jax.random.bits(key) >> 1)
    left, right = (
        compress(
            features, labels, atoms=atoms, num_classes=count, ignore=ignore, seed=seed
        )
        for features, labels, count in (source, target)
    )
    settings["epsilon"] = float(settings["epsilon"])
    return otce_atoms(left, right, feature_space=feature_space, **settings)

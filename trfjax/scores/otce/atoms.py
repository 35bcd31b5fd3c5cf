"""OTCE on every pixel: the transport problem between the atoms of two sets."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from trfjax.atoms.atoms import Atoms
from trfjax.errors import ScoreWarning
from trfjax.scores.otce.result import (
    OtceDraws,
    OtceResult,
    Quantisation,
    not_converged,
    unknown,
)
from trfjax.transport.conditional import entropy_given_rows
from trfjax.transport.joint import Transport, couple
from trfjax.transport.problem import Problem, Settings
from trfjax.transport.resampled import Resampled, couple_resampled
from trfjax.typing import FEATURE_SPACES, FeatureSpace

COARSER = 4  # how much smaller the second problem is, which shows the effect
ROUND = 64  # atoms are padded to a multiple of this
EFFECT = 0.02  # nats the score may move between the two before a warning


def otce_atoms(
    source: Atoms,
    target: Atoms,
    *,
    epsilon: float = 0.1,
    relative_epsilon: bool = False,
    feature_space: FeatureSpace = "probs",
    settings: Settings | None = None,
) -> OtceResult:
    r"""OTCE between two compressed sets: every pixel counts, and nothing is drawn.

    Equal points can be merged without changing the plan. Atoms stand for points that
    are nearly equal: the problem between them, with their masses as weights, is solved
    instead, and the joint of the labels is read through their histograms.

    What quantisation does is seen by solving a second problem with a quarter of the
    atoms; where every pixel is at its atom there is nothing to see. The score moves by
    `quantisation.effect` between the two; the rest of the way, to infinitely many
    atoms, is usually shorter. The transported distance misses the scatter within
    atoms, which is known, less what the plan would have coupled of it; extrapolation
    over the scatter of the two problems gives both.

    Args:
        source: atoms of the source pixels, as the source network sees them.
        target: atoms of the target pixels, as the same network sees them.
        epsilon: entropic regularisation, in units of the squared distance.
        relative_epsilon: multiply epsilon by the mean cost.
        feature_space: what the features are; recorded.
        settings: stopping rule.

    Returns:
        The result of `otce` with a single "draw" of all pixels. Its standard error is
        NaN: there is no sampling of pixels left to err. For intervals, resample
        images.

    Raises:
        ValueError: features of different widths, an epsilon that is not positive.

    Warns:
        ScoreWarning: the score moves by more than 0.02 nats between the two problems,
            as on raw logits; take more atoms, a larger epsilon, or draws of pixels.
    """
    _check(source, target, epsilon, feature_space)
    settings = settings or Settings()
    scatter = _scatter(source, target)
    size = _mean_cost(source, target) if relative_epsilon else 1.0
    found = _solved(source, target, epsilon * size, settings)
    few, coarse = (source, target), found
    if scatter > 1e-9 * epsilon * size:  # otherwise atoms are pixels, and exact
        few = source.reduce(_fewer(source)), target.reduce(_fewer(target))
        coarse = _solved(*few, epsilon * size, settings)
    task, coarse_task = (_entropy(part.joint) for part in (found, coarse))
    surplus = _surplus(found, coarse, scatter, _scatter(*few))
    quantisation = Quantisation(
        jnp.asarray(abs(task - coarse_task)), jnp.asarray(coarse_task),
        jnp.asarray(scatter), jnp.asarray(surplus), atoms=(len(source), len(target)),
    )  # fmt: skip
    result = _result(
        found, task, float(found.cost) + surplus, quantisation, epsilon * size,
        source, target, feature_space,
    )  # fmt: skip
    for message in _doubts(result):
        warnings.warn(message, ScoreWarning, stacklevel=2)
    return result


def otce_atoms_replicates(
    source: Atoms,
    target: Atoms,
    multiplicities: Float[np.ndarray, "b i"],
    *,
    source_multiplicities: Float[np.ndarray, "b j"] | None = None,
    epsilon: float = 0.1,
    relative_epsilon: bool = False,
    feature_space: FeatureSpace = "probs",
    settings: Settings | None = None,
) -> np.ndarray:
    """Return the OTCE score of every resample of target images, `(b,)`.

    Resampling changes the weights and histograms of the atoms, not their points, so
    that all replicates share one kernel; each is solved to the tolerance.

    Args:
        source: atoms of the source.
        target: atoms of the target.
        multiplicities: how often every target image occurs in a resample.
        source_multiplicities: likewise for the source; by default each occurs once.
        epsilon: as `otce_atoms` takes it, and so the others.
        relative_epsilon: multiply epsilon by the mean cost of all images.
        feature_space: what the features are.
        settings: stopping rule.
    """
    _check(source, target, epsilon, feature_space)
    if relative_epsilon:
        epsilon = epsilon * _mean_cost(source, target)
    sources = source.histograms(source_multiplicities)
    sources = sources if sources.ndim == 3 else sources[None]
    found = couple_resampled(
        _padded(source.points, 0), _padded(target.points, 0),
        _padded(sources, 1), _padded(target.histograms(multiplicities), 1),
        epsilon=epsilon, settings=settings,
    )  # fmt: skip
    return _scores(found)


def _scores(found: Resampled) -> np.ndarray:
    joint = np.asarray(found.joint)
    joint = joint / np.maximum(joint.sum(axis=(1, 2), keepdims=True), 1e-30)
    scores = -np.asarray(jax.vmap(entropy_given_rows)(jnp.asarray(joint)))
    return np.where(np.asarray(found.converged), scores, np.nan).astype(np.float64)


def _check(source: Atoms, target: Atoms, epsilon: Any, space: str) -> None:
    if space not in FEATURE_SPACES:
        raise ValueError(
            f"feature_space: {space!r} is none of {', '.join(FEATURE_SPACES)}"
        )
    widths = source.points.shape[1], target.points.shape[1]
    if widths[0] != widths[1]:
        raise ValueError(
            f"source, target: atoms of {widths[0]} and {widths[1]} features; both must "
            "come from the same network and layer"
        )
    if not (np.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"epsilon: {epsilon!r} is not a positive number")


def problem_of(source: Atoms, target: Atoms) -> Problem:
    """Return the transport problem between two sets of atoms."""
    parts = []
    for atoms in (source, target):
        mass = atoms.histograms()
        weights = mass.sum(axis=1)
        shares = mass / np.where(weights > 0, weights, 1)[:, None]
        columns = (atoms.points, weights, shares)
        parts.append(tuple(_padded(column, 0) for column in columns))
    (x, a, s), (y, b, t) = parts
    return Problem(x, y, a, b, s, t)


def _padded(values: np.ndarray, axis: int) -> jax.Array:
    """Add atoms of no mass up to a round number, so that few programs are compiled."""
    width = [(0, 0)] * values.ndim
    width[axis] = (0, -values.shape[axis] % ROUND)
    return jnp.asarray(np.pad(values, width))


def _solved(
    source: Atoms, target: Atoms, epsilon: float, settings: Settings
) -> Transport:
    return couple(problem_of(source, target), epsilon=epsilon, settings=settings)


def _entropy(joint: Any) -> float:
    return float(entropy_given_rows(joint / joint.sum()))


def _fewer(atoms: Atoms) -> int:
    return max(1, len(atoms) // COARSER)


def _scatter(source: Atoms, target: Atoms) -> float:
    return float(source.mean_scatter() + target.mean_scatter())


def _surplus(found: Transport, coarse: Transport, fine: float, wide: float) -> float:
    """Return what the transported distance lacks, by extrapolation over the scatter."""
    if wide <= fine:
        return fine
    slope = float(found.cost - coarse.cost) / (wide - fine)
    return min(max(slope, -1.0), 1.0) * fine


def _mean_cost(source: Atoms, target: Atoms) -> float:
    """Return the mean squared distance between a source and a target pixel."""
    total, means = _scatter(source, target), []
    for atoms in (source, target):
        weights = atoms.histograms().sum(axis=1).astype(np.float64)
        mean = weights @ atoms.points
        total += float(weights @ np.sum((atoms.points - mean) ** 2, axis=1))
        means.append(mean)
    return total + float(np.sum((means[0] - means[1]) ** 2))


def _result(
    found: Transport,
    task: float,
    cost: float,
    quantisation: Quantisation,
    epsilon: float,
    source: Atoms,
    target: Atoms,
    feature_space: FeatureSpace,
) -> OtceResult:
    joint = found.joint / found.joint.sum()
    value = jnp.asarray(task, joint.dtype)
    away = jnp.asarray(max(cost, 0.0), joint.dtype)
    draws = OtceDraws(
        value[None], away[None], joint[None], found.shares[None, : len(target)],
        jnp.arange(len(target))[None], found.marginal_error[None],
        found.joint_change[None], found.iterations[None], found.converged[None],
    )  # fmt: skip
    return OtceResult(
        score=-value, task_difference=value, domain_difference=away,
        standard_error=unknown(value.dtype), label_joint=joint,
        marginal_error=found.marginal_error, converged=found.converged,
        epsilon=jnp.asarray(epsilon, joint.dtype), draws=draws,
        num_samples=(source.pixels, target.pixels), feature_space=feature_space,
        solver="fast", source_classes=classes_of(source),
        target_classes=classes_of(target), quantisation=quantisation,
    )  # fmt: skip


def classes_of(atoms: Atoms) -> tuple[int, ...]:
    """Return the label ids that the columns of the histograms stand for."""
    return tuple(atoms.facts.get("classes") or range(atoms.num_classes))


def _doubts(result: OtceResult) -> list[str]:
    """Return what the caller has to be told."""
    found, doubts = result.quantisation, []
    assert found is not None  # made above
    if not result.converged:
        doubts.append(not_converged(result))
    if float(found.effect) > EFFECT:
        doubts.append(
            f"otce: a quarter of the atoms moves the score by {float(found.effect):.3f}"
            f" nats (scatter within atoms {float(found.scatter):.3g}, epsilon "
            f"{float(result.epsilon):.3g}): {found.atoms[0]} x {found.atoms[1]} atoms "
            "are too few for these features. Take more atoms, a larger epsilon or "
            "relative_epsilon=True, or draw pixels instead."
        )
    return doubts

"""OTCE on every pixel: the transport problem between the atoms of two sets."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np

from trfjax.atoms.atoms import Atoms
from trfjax.errors import ScoreWarning
from trfjax.numbers import as_real
from trfjax.scores.otce.quantisation import (
    Correction,
    entropy_of,
    problem_of,
    solved,
)
from trfjax.scores.otce.result import (
    OtceDraws,
    OtceResult,
    Quantisation,
    not_converged,
    too_coarse,
)
from trfjax.transport.joint import Transport, couple
from trfjax.transport.problem import Settings
from trfjax.typing import FEATURE_SPACES, FeatureSpace


def otce_atoms(
    source: Atoms,
    target: Atoms,
    *,
    epsilon: float = 0.1,
    relative_epsilon: bool = False,
    feature_space: FeatureSpace = "probs",
    settings: Settings | None = None,
) -> OtceResult:
    r"""OTCE between two compressed sets: every pixel counts.

    Equal points can be merged without changing the plan. Atoms stand for points that
    are nearly equal: the problem between them, with their masses as weights, is solved
    instead, and the joint of the labels is read through their histograms.

    What this changes is seen on the pixels that the sets have kept as they were: some
    are drawn from each side and coupled twice, as pixels and as atoms. The mean
    difference of the two label joints is added to that of all pixels, and likewise the
    transported distance; see `trfjax.scores.otce.quantisation`. The error that is left
    is hardly larger than `quantisation.effect`. Where every pixel is at its atom
    nothing is drawn.

    Args:
        source: atoms of the source pixels, as the source network sees them.
        target: atoms of the target pixels, as the same network sees them.
        epsilon: entropic regularisation, in units of the squared distance.
        relative_epsilon: multiply epsilon by the mean cost.
        feature_space: what the features are; recorded.
        settings: stopping rule.

    Returns:
        The result of `otce` with a single "draw" of all pixels. Its standard error is
        that of the correction. For intervals, resample images.

    Raises:
        ValueError: features of different widths, an epsilon that is not positive.

    Warns:
        ScoreWarning: the error may be above 0.02 nats, as on raw logits; take a larger
            epsilon, more pixels, or draws of pixels, as `rank` does by itself.
    """
    _check(source, target, epsilon, feature_space)
    settings = settings or Settings()
    scatter = float(source.mean_scatter() + target.mean_scatter())
    if relative_epsilon:
        epsilon = epsilon * mean_cost(source, target)
    if scatter > 1e-9 * epsilon:
        found, correction = solved(source, target, epsilon, settings)
    else:  # atoms are pixels
        found = couple(problem_of(source, target), epsilon=epsilon, settings=settings)
        nothing = np.zeros(found.joint.shape)
        correction = Correction(nothing, 0.0, 0.0, 0.0, 0)
    result = _result(
        found, correction, scatter, epsilon, (source, target), feature_space
    )
    for message in _doubts(result):
        warnings.warn(message, ScoreWarning, stacklevel=2)
    return result


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
    as_real("epsilon", epsilon, above=0)


def mean_cost(source: Atoms, target: Atoms) -> float:
    """Return the mean squared distance between a source and a target pixel."""
    total, means = float(source.mean_scatter() + target.mean_scatter()), []
    for atoms in (source, target):
        weights = atoms.histograms().sum(axis=1).astype(np.float64)
        mean = weights @ atoms.points
        total += float(weights @ np.sum((atoms.points - mean) ** 2, axis=1))
        means.append(mean)
    return total + float(np.sum((means[0] - means[1]) ** 2))


def _result(
    found: Transport,
    correction: Correction,
    scatter: float,
    epsilon: float,
    sets: tuple[Atoms, Atoms],
    feature_space: FeatureSpace,
) -> OtceResult:
    source, target = sets
    of_atoms = np.asarray(found.joint, np.float64)
    of_atoms /= of_atoms.sum()
    joint = np.maximum(of_atoms + correction.joint, 0)
    entropy = entropy_of(of_atoms + correction.joint)
    domain = max(float(found.cost) + correction.cost, 0.0)
    numbers = _on_device(
        found.shares.dtype,
        task=entropy,
        score=-entropy,
        domain=domain,
        error=correction.standard_error,
        joint=joint / joint.sum(),
        epsilon=epsilon,
    )
    single = _on_device(
        found.shares.dtype,
        task_difference=[entropy],
        domain_difference=[domain],
        label_joint=(joint / joint.sum())[None],
        target_shares=np.asarray(found.shares)[None, : len(target)],
        target_index=np.arange(len(target))[None],
        marginal_error=[found.marginal_error],
        joint_change=[found.joint_change],
        iterations=[found.iterations],
        converged=[found.converged],
    )
    return OtceResult(
        score=numbers["score"],
        task_difference=numbers["task"],
        domain_difference=numbers["domain"],
        standard_error=numbers["error"],
        label_joint=numbers["joint"],
        marginal_error=found.marginal_error,
        converged=found.converged,
        epsilon=numbers["epsilon"],
        draws=OtceDraws(**single),
        num_samples=(source.pixels, target.pixels),
        feature_space=feature_space,
        solver="fast",
        source_classes=classes_of(source),
        target_classes=classes_of(target),
        quantisation=Quantisation(
            effect=correction.effect,
            correction=correction.joint,
            atoms_task_difference=entropy_of(of_atoms),
            scatter=scatter,
            potentials=(
                np.asarray(found.log_scale)[: len(source)],
                np.asarray(found.log_offset)[: len(target)],
            ),
            draws=correction.draws,
            atoms=(len(source), len(target)),
        ),
    )


def _on_device(dtype: Any, **values: Any) -> dict[str, jax.Array]:
    """Return arrays of JAX, real numbers in a type, without a program for each."""
    arrays = {name: np.asarray(value) for name, value in values.items()}
    real = {n: a.astype(dtype) for n, a in arrays.items() if a.dtype.kind == "f"}
    return jax.device_put(arrays | real)


def classes_of(atoms: Atoms) -> tuple[int, ...]:
    """Return the label ids that the columns of the histograms stand for."""
    return tuple(atoms.facts.get("classes") or range(atoms.num_classes))


def _doubts(result: OtceResult) -> list[str]:
    """Return what the caller has to be told."""
    found, doubts = result.quantisation, []
    assert found is not None  # made above
    if not result.converged:
        doubts.append(not_converged(result))
    if too_coarse(result):
        doubts.append(too_coarse(result))
    return doubts

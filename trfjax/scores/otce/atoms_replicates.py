"""OTCE on every pixel of resampled images, from the atoms of two sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from trfjax.atoms.atoms import Atoms
from trfjax.scores.otce.atoms import otce_atoms
from trfjax.scores.otce.quantisation import ROUND, entropy_of
from trfjax.scores.otce.result import OtceResult
from trfjax.transport.problem import Settings
from trfjax.transport.resampled import Base, couple_resampled
from trfjax.typing import FeatureSpace


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
    result: OtceResult | None = None,
) -> np.ndarray:
    """Return the OTCE score of every resample of target images, `(b,)`.

    Resampling changes the weights and histograms of the atoms, not their points, so
    that all replicates share one kernel; each is solved to the tolerance. What atoms
    change is taken to be the same for all of them.

    Args:
        source: atoms of the source.
        target: atoms of the target.
        multiplicities: how often every target image occurs in a resample.
        source_multiplicities: likewise for the source; by default each occurs once.
        epsilon: as `otce_atoms` takes it, and so the others.
        relative_epsilon: multiply epsilon by the mean cost of all images.
        feature_space: what the features are.
        settings: stopping rule.
        result: of `otce_atoms` with these arguments, which is computed without it.
    """
    if result is None:
        result = otce_atoms(
            source,
            target,
            epsilon=epsilon,
            relative_epsilon=relative_epsilon,
            feature_space=feature_space,
            settings=settings,
        )
    sources = source.histograms(source_multiplicities)
    found = couple_resampled(
        _padded(source.points, 0),
        _padded(target.points, 0),
        _padded(sources if sources.ndim == 3 else sources[None], 1),
        _padded(target.histograms(multiplicities), 1),
        epsilon=float(result.epsilon),
        base=_base(source, target, result),
        settings=settings,
    )
    assert result.quantisation is not None  # made above
    return _scores(found, result.quantisation.correction)


def _base(source: Atoms, target: Atoms, result: OtceResult) -> Base:
    """Return the plan of all images."""
    assert result.quantisation is not None  # of atoms
    log_scale, log_offset = result.quantisation.potentials
    weights = (atoms.histograms().sum(axis=1) for atoms in (source, target))
    return Base(
        *(_padded(part, 0) for part in weights),
        log_scale=_padded(log_scale, 0, -np.inf),
        log_offset=_padded(log_offset, 0, -np.inf),
    )


def _scores(found: Any, correction: np.ndarray) -> np.ndarray:
    joints = np.asarray(found.joint, np.float64)
    joints /= np.maximum(joints.sum(axis=(1, 2), keepdims=True), 1e-30)
    scores = np.array([-entropy_of(joint + correction) for joint in joints])
    return np.where(np.asarray(found.converged), scores, np.nan)


def _padded(values: np.ndarray, axis: int, fill: float = 0.0) -> np.ndarray:
    """Add atoms of no mass up to a round number, so that few programs are compiled."""
    width = [(0, 0)] * values.ndim
    width[axis] = (0, -values.shape[axis] % ROUND)
    return np.pad(values, width, constant_values=fill)

"""What OTCE returns: the score, the terms it is made of, and their evidence."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from trfjax.arrays import is_traced
from trfjax.typing import FeatureSpace

Solver = Literal["fast", "ott", "exact"]
EFFECT = 0.02  # nats: a larger error is told, and `rank` draws pixels instead


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OtceDraws:
    """The terms of every draw of pixels."""

    task_difference: Float[Array, " k"]
    domain_difference: Float[Array, " k"]
    label_joint: Float[Array, "k s t"]
    target_shares: Float[Array, "k m s"]  # mass of every drawn pixel, by source label
    target_index: Int[Array, "k m"]  # which rows of the target were drawn
    marginal_error: Float[Array, " k"]
    joint_change: Float[Array, " k"]
    iterations: Int[Array, " k"]
    converged: Bool[Array, " k"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Quantisation:
    """The effect of atoms in the place of pixels."""

    effect: Any  # nats: the error that is left is hardly larger
    correction: Any  # (s, t) added to the label joint of the atoms
    atoms_task_difference: Any  # W_T of the atoms, without the correction
    scatter: Any  # mean squared distance of pixels to their atoms, both sides together
    potentials: Any  # the logarithms of the plan of all pixels: see `Transport`
    draws: int = dataclasses.field(metadata=dict(static=True))  # behind the correction
    atoms: tuple[int, int] = dataclasses.field(metadata=dict(static=True))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OtceResult:
    """OTCE averaged over draws, with the terms it is made of.

    `score` is minus `task_difference`; larger means more transferable. The standard
    error is over draws of pixels: it says how well *these* images were sampled. That of
    atoms is the error of their correction.
    """

    score: Float[Array, ""]  # -H(Yt | Ys), nats
    task_difference: Float[Array, ""]  # W_T = H(Yt | Ys) under the coupling, nats
    domain_difference: Float[Array, ""]  # W_D = <plan, cost>, squared feature units
    standard_error: Float[Array, ""]  # of the score over draws; NaN for one draw
    label_joint: Float[Array, "s t"]  # mean over draws, sums to 1
    marginal_error: Float[Array, ""]  # the largest of any draw
    converged: Bool[Array, ""]  # whether every draw is
    epsilon: Float[Array, ""]  # as used; the mean over draws if relative
    draws: OtceDraws
    num_samples: tuple[int, int] = dataclasses.field(metadata=dict(static=True))
    feature_space: FeatureSpace = dataclasses.field(metadata=dict(static=True))
    solver: Solver = dataclasses.field(metadata=dict(static=True))
    source_classes: tuple[int, ...] = dataclasses.field(metadata=dict(static=True))
    target_classes: tuple[int, ...] = dataclasses.field(metadata=dict(static=True))
    quantisation: Quantisation | None = None  # of atoms; None for draws of pixels

    @property
    def repeats(self) -> int:
        """Number of draws."""
        return self.draws.task_difference.shape[0]

    def __str__(self) -> str:
        if is_traced(self.score):
            return "OtceResult(traced)"
        source, target = self.num_samples
        error = f" +- {float(self.standard_error):.4f}"
        pixels = f"all {source:,} x {target:,} pixels"
        if self.quantisation is None:
            pixels = f"{self.repeats} draws of {source} x {target}"
        else:
            left, right = self.quantisation.atoms
            pixels += f" as {left} x {right} atoms"
        return (
            f"OTCE {float(self.score):.4f}{error} nats ({pixels}, "
            f"{self.feature_space}, epsilon {float(self.epsilon):g}, {self.solver})\n"
            f"  task difference   W_T {float(self.task_difference):.4f}\n"
            f"  domain difference W_D {float(self.domain_difference):.4g}\n"
            f"  marginal error {float(self.marginal_error):.1e}, "
            f"{'converged' if self.converged else 'NOT converged'}"
        )


def average(draws: OtceDraws, epsilon: Array, **facts: Any) -> OtceResult:
    """Return the mean over draws."""
    task = draws.task_difference
    repeats = len(task)
    spread = jnp.sum((task - task.mean()) ** 2) / max(repeats - 1, 1) / repeats
    safe = jnp.where(spread > 0, spread, 1)
    error = jnp.where(spread > 0, jnp.sqrt(safe), 0)
    return OtceResult(
        score=-task.mean(),
        task_difference=task.mean(),
        domain_difference=draws.domain_difference.mean(),
        standard_error=error if repeats > 1 else unknown(error.dtype),
        label_joint=draws.label_joint.mean(axis=0),
        marginal_error=draws.marginal_error.max(),
        converged=draws.converged.all(),
        epsilon=epsilon,
        draws=draws,
        **facts,
    )


def unknown(dtype: Any) -> Array:
    """Return NaN that was not computed, so that `jax_debug_nans` lets it pass."""
    with jax.debug_nans(False):
        return jnp.full((), jnp.nan, dtype)


def not_converged(result: OtceResult) -> str:
    """Return what to say of draws that did not converge."""
    failed = int((~np.asarray(result.draws.converged)).sum())
    return (
        f"otce: {failed} of {result.repeats} draws did not converge (marginal error "
        f"{float(result.marginal_error):.1e} after "
        f"{int(result.draws.iterations.max())} iterations). Raise epsilon, use "
        "relative_epsilon=True, or allow more iterations in settings."
    )


def too_coarse(result: OtceResult) -> str:
    """Return why atoms do not tell the score; nothing where they do."""
    found = result.quantisation
    if found is None or float(found.effect) <= EFFECT:
        return ""
    return (
        f"otce: {found.atoms[0]} x {found.atoms[1]} atoms are too few for these "
        f"features: the score may be wrong by {float(found.effect):.3f} nats (scatter "
        f"within atoms {float(found.scatter):.3g}, epsilon {float(result.epsilon):.3g})"
        ". Draw pixels instead, or take a larger epsilon or relative_epsilon=True."
    )


def details_of(result: OtceResult) -> dict[str, Any]:
    """Return the parts of a result as plain numbers."""
    found = result.quantisation
    atoms = {}
    if found is not None:
        atoms = {
            "atoms": list(found.atoms),
            "quantisation_effect": float(found.effect),
            "atoms_task_difference": float(found.atoms_task_difference),
            "scatter": float(found.scatter),
        }
    return {
        **atoms,
        "task_difference": float(result.task_difference),
        "domain_difference": float(result.domain_difference),
        "label_joint": np.asarray(result.label_joint).tolist(),
        "marginal_error": float(result.marginal_error),
        "converged": bool(result.converged),
        "iterations": int(np.max(result.draws.iterations)),
        "epsilon": float(result.epsilon),
        "num_samples": list(result.num_samples),
        "repeats": result.repeats,
        "per_draw": np.asarray(result.draws.task_difference).tolist(),
    }

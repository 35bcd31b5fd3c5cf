"""OTCE as a mean over target pixels, of which only some were coupled."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

from trfjax.transport.problem import Problem, Settings
from trfjax.transport.ragged import couple_ragged
from trfjax.transport.sinkhorn import solve

BLOCK = 20_000  # target pixels whose plan is formed at a time
EPSILON = 0.1  # as OTCE on probabilities


class PixelPlan(NamedTuple):
    """The potentials of the source side, from which the plan of any pixel follows."""

    source: Float[np.ndarray, "n d"]  # centred features
    marks: Float[np.ndarray, "n s"]  # one-hot source labels
    offset: Float[np.ndarray, " d"]  # mean of the target features coupled
    log_scale: Float[np.ndarray, " n"]
    joint: Float[np.ndarray, "s t"]
    epsilon: float

    def shares(
        self, target_features: Float[np.ndarray, "m d"]
    ) -> Float[np.ndarray, "m s"]:
        """Return the source labels that the plan sends to every pixel."""
        found = [
            np.zeros((0, self.marks.shape[1])),
            *(
                self._shares(target_features[start : start + BLOCK])
                for start in range(0, len(target_features), BLOCK)
            ),
        ]
        return np.concatenate(found)

    def _shares(self, features: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m s"]:
        # The column of a pixel y is exp(2/eps x.y + log_scale) up to its own potential,
        # which makes it sum to 1.
        products = (features - self.offset) @ self.source.T
        exponent = self.log_scale + 2 / self.epsilon * products
        exponent -= logsumexp(exponent, axis=1, keepdims=True)
        return np.exp(exponent) @ self.marks


def fit_pixels(
    source_features: Float[np.ndarray, "n d"],
    source_labels: Int[np.ndarray, " n"],
    target_features: Float[np.ndarray, "m d"],
    target_labels: Int[np.ndarray, " m"],
    *,
    num_source_classes: int,
    num_classes: int,
    epsilon: float = EPSILON,
    settings: Settings | None = None,
) -> PixelPlan:
    """Couple some pixels of each side; the plan extends to all of the target.

    Args:
        source_features: of the source pixels.
        source_labels: their class indices.
        target_features: of the target pixels.
        target_labels: likewise.
        num_source_classes: number of source classes.
        num_classes: number of target classes.
        epsilon: entropic regularisation, in units of the squared distance.
        settings: when the solver stops.
    """
    x, y = (np.asarray(part, np.float32) for part in (source_features, target_features))
    x, offset = x - x.mean(axis=0), y.mean(axis=0)
    marks = np.eye(num_source_classes, dtype=np.float32)[source_labels]
    problem = Problem(
        source=jnp.asarray(x),
        target=jnp.asarray(y - offset),
        source_weights=jnp.full(len(x), 1 / len(x)),
        target_weights=jnp.full(len(y), 1 / len(y)),
        source_labels=jnp.asarray(marks),
        target_labels=jnp.eye(num_classes)[target_labels],
    )
    run = jax.jit(solve, static_argnames=("settings",))
    solution = run(problem, jnp.asarray(epsilon), settings=settings or Settings())
    return PixelPlan(
        source=x,
        marks=marks,
        offset=offset,
        log_scale=np.asarray(solution.log_scale, np.float64),
        joint=np.asarray(solution.joint, np.float64),
        epsilon=epsilon,
    )


def otce_of_cells(
    source_features: Float[np.ndarray, "k n d"],
    source_labels: Int[np.ndarray, "k n"],
    target_features: Float[np.ndarray, "k m d"],
    target_labels: Int[np.ndarray, "k m"],
    *,
    num_source_classes: int,
    num_classes: int,
    epsilon: float = EPSILON,
    settings: Settings | None = None,
) -> Float[np.ndarray, "k m"]:
    """Return the score of every target pixel of many cells, each coupled by itself.

    A label of -1 marks a place without a pixel, on either side. A cell whose solver
    did not converge is NaN. The other arguments are those of `fit_pixels`.
    """
    sides = []
    for features, labels, classes in (
        (source_features, source_labels, num_source_classes),
        (target_features, target_labels, num_classes),
    ):
        weights = (labels >= 0).astype(np.float32)
        weights /= weights.sum(axis=1, keepdims=True)
        marks = np.eye(classes, dtype=np.float32)[np.maximum(labels, 0)]
        sides.append((features.astype(np.float32), weights, marks))
    (x, a, s), (y, b, t) = sides
    problems = Problem(
        source=x,
        target=y,
        source_weights=a,
        target_weights=b,
        source_labels=s,
        target_labels=t,
    )
    found = couple_ragged(problems, epsilon=epsilon, settings=settings)
    shares = np.asarray(found.shares, np.float64)
    total = shares.sum(axis=2, keepdims=True)
    shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
    joint = np.matmul((shares * b[..., None]).swapaxes(1, 2), t.astype(np.float64))
    scores = np.stack(
        [
            pixel_entropy(*cell)
            for cell in zip(shares, target_labels, joint, strict=True)
        ]
    )
    return np.where(np.asarray(found.converged)[:, None], scores, np.nan)


def pixel_otce(
    plan: PixelPlan,
    features: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """Return the score of every pixel, in nats, at most 0.

    Args:
        plan: of the pixels that were coupled.
        features: of the target pixels, those or others.
        labels: their class indices.
    """
    return pixel_entropy(plan.shares(features), labels, plan.joint)


def pixel_entropy(
    shares: Float[np.ndarray, "n s"],
    labels: Int[np.ndarray, " n"],
    joint: Float[np.ndarray, "s t"],
) -> Float[np.ndarray, " n"]:
    r"""Return `\sum_s P(s|i) log P(y_i|s)` of every pixel, in nats, at most 0.

    Args:
        shares: source labels that the plan sends to every pixel, rows that sum to 1.
        labels: target classes.
        joint: mass of the plan between source and target labels.
    """
    rows = joint.sum(axis=1, keepdims=True)
    given = np.divide(joint, rows, out=np.zeros_like(joint), where=rows > 0)
    logs = np.log(np.maximum(given, np.finfo(float).tiny))
    return np.sum(shares * logs.T[labels], axis=1)

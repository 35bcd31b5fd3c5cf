"""Log expected empirical prediction."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from trfjax.arrays import check_probs, labelled_rows, safe_divide, safe_log
from trfjax.typing import IGNORE, ArrayInput, Labels, Probs, Weights


def leep(
    source_probs: ArrayInput,
    target_labels: ArrayInput,
    *,
    num_classes: int | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    from_logits: bool = False,
    reduction: Literal["log", "prob"] = "log",
) -> Float[Array, ""]:
    r"""LEEP: how well source-class predictions explain target labels.

    $$\frac1n \sum_i \log \sum_z \hat P(y_i \mid z)\, \theta_{iz}, \qquad
    \hat P(y, z) = \frac1n \sum_{i:\, y_i = y} \theta_{iz}$$

    A source class that no instance puts mass on has no conditional distribution and
    never enters the sum.

    Args:
        source_probs: `(n, z)` or `(b, h, w, z)` source-class probabilities of the
            target instances, rows on the simplex.
        target_labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: non-negative weight of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        from_logits: apply a softmax first.
        reduction: `"log"` is LEEP; `"prob"` is the mean expected probability that
            some repositories print under that name, in `(0, 1]`.

    Returns:
        Mean log-likelihood in nats, in `[-H(Y), 0]`; larger means more transferable.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, rows that
            are not probabilities, nothing left to score.

    Reference:
        Nguyen, Hassner, Seeger and Archambeau, "LEEP: A New Measure to Evaluate
        Transferability of Learned Representations", ICML 2020, Equations 1 and 2.
    """
    if reduction not in ("log", "prob"):
        raise ValueError(f"reduction: {reduction!r} is neither 'log' nor 'prob'")
    rows = labelled_rows(
        ("source_probs", "target_labels"),
        source_probs, target_labels,
        num_classes=num_classes, weights=weights, ignore=ignore,
    )  # fmt: skip
    probs = jax.nn.softmax(rows.features) if from_logits else rows.features
    if not from_logits:
        check_probs(
            "source_probs", probs, rows.weights,
            instead="Pass probabilities, or logits with from_logits=True.",
        )  # fmt: skip
    return leep_core(
        probs, rows.labels, rows.weights,
        num_classes=rows.num_classes, reduction=reduction,
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames=("num_classes", "reduction"))
def leep_core(
    probs: Probs,
    labels: Labels,
    weights: Weights,
    *,
    num_classes: int,
    reduction: str = "log",
) -> Float[Array, ""]:
    """Return LEEP of indexed labels; rows of weight 0 count for nothing."""
    share = weights / weights.sum()
    member = jax.nn.one_hot(labels, num_classes, dtype=probs.dtype)
    joint = jnp.matmul((member * share[:, None]).T, probs, precision="highest")
    given_z = safe_divide(joint, joint.sum(axis=0))  # (y, z)
    explained = jnp.sum(given_z[labels] * probs, axis=1)
    if reduction == "prob":
        return jnp.sum(share * explained)
    # Its own probabilities enter the conditional, so `explained` is 0 only for a row
    # of weight 0, or by underflow.
    return jnp.sum(share * safe_log(explained))

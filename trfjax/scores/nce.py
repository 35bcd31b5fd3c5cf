"""Negative conditional entropy of target labels given source labels."""

from __future__ import annotations

import functools
from collections.abc import Collection

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from trfjax.arrays import as_labels, index_labels, row_weights
from trfjax.transport.conditional import entropy_given_rows
from trfjax.typing import IGNORE, ArrayInput, Labels, Weights


def nce(
    source_labels: ArrayInput,
    target_labels: ArrayInput,
    *,
    num_classes: int | None = None,
    num_source_classes: int | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
) -> Float[Array, ""]:
    r"""NCE: how far source labels determine target labels on the same instances.

    $$-H(Y|Z) = \sum_{z,y} \hat P(z,y) \log \frac{\hat P(z,y)}{\hat P(z)}$$

    Args:
        source_labels: `(n,)` or `(b, h, w)` source-class ids of the target instances,
            given or predicted; the ignore value marks instances to leave out.
        target_labels: target ids of the same shape.
        num_classes: number of target classes; None re-indexes the ids present.
        num_source_classes: likewise for the source.
        weights: non-negative weight of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing, on either side.

    Returns:
        Nats, in `[-H(Y), 0]`; larger means more transferable.

    Raises:
        TypeError, ValueError: labels that do not fit; nothing left to score.

    Reference:
        Tran, Nguyen and Hassner, "Transferability and Hardness of Supervised
        Classification Tasks", ICCV 2019, Section 3.
    """
    source = as_labels("source_labels", source_labels)
    target = as_labels("target_labels", target_labels)
    if source.shape != target.shape:
        raise ValueError(
            f"source_labels: shape {source.shape} differs from target_labels "
            f"{target.shape}; NCE needs both labels of every instance"
        )
    source, target = source.reshape(-1), target.reshape(-1)
    known = row_weights("target_labels", target, ignore, weights)
    known = row_weights("source_labels", source, ignore, known)
    z, sources = index_labels(
        "source_labels", source, known, num_source_classes, ignore,
        setting="num_source_classes",
    )  # fmt: skip
    y, targets = index_labels("target_labels", target, known, num_classes, ignore)
    return nce_core(
        jnp.asarray(z, jnp.int32), jnp.asarray(y, jnp.int32), jnp.asarray(known),
        sources=len(sources), targets=len(targets),
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames=("sources", "targets"))
def nce_core(
    source: Labels, target: Labels, weights: Weights, *, sources: int, targets: int
) -> Float[Array, ""]:
    """Return NCE of indexed labels; rows of weight 0 count for nothing."""
    return -entropy_given_rows(
        label_counts(source, target, weights, sources=sources, targets=targets)
    )


def label_counts(
    source: Int[Array, " n"],
    target: Int[Array, " n"],
    weights: Weights,
    *,
    sources: int,
    targets: int,
) -> Float[Array, "s t"]:
    """Return the weighted contingency table of two labellings."""
    cells = jnp.zeros(sources * targets, weights.dtype)
    return cells.at[source * targets + target].add(weights).reshape(sources, targets)

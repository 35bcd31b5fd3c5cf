"""Negative conditional entropy of target labels given source labels."""

from __future__ import annotations

import functools
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from trfjax.arrays import as_labels, index_labels, is_traced, row_weights
from trfjax.promotion import usual_promotion
from trfjax.scores.bounds import ENTROPY, entropy_bounds, entropy_limits, minus_entropy
from trfjax.scores.spec import OfSums, PerInstance, ScoreSpec, laws
from trfjax.transport.conditional import entropy_given_rows
from trfjax.typing import IGNORE, ArrayInput, Count, Labels, Weights

PART = 2**23  # rows that are counted in one float32 cell


@usual_promotion
def nce(
    source_labels: ArrayInput,
    target_labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    num_source_classes: Count | None = None,
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
        "source_labels",
        source,
        known,
        num_source_classes,
        ignore,
        setting="num_source_classes",
    )
    y, targets = index_labels("target_labels", target, known, num_classes, ignore)
    if not is_traced(z, y, known):
        counts = _exact_counts(
            np.asarray(z), np.asarray(y), np.asarray(known), len(sources), len(targets)
        )
        value = nce_of_counts(counts[None], np.ones((1, 1)))[0]
        return jnp.asarray(value, known.dtype)
    return _nce(
        jnp.asarray(z, jnp.int32),
        jnp.asarray(y, jnp.int32),
        jnp.asarray(known),
        sources=len(sources),
        targets=len(targets),
    )


@functools.partial(jax.jit, static_argnames=("sources", "targets"))
def _nce(
    source: Labels, target: Labels, weights: Weights, *, sources: int, targets: int
) -> Float[Array, ""]:
    """Return NCE of indexed labels; rows of weight 0 count for nothing."""
    return -entropy_given_rows(
        label_counts(source, target, weights, sources=sources, targets=targets)
    )


def _exact_counts(
    source: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray,
    sources: int,
    targets: int,
) -> np.ndarray:
    """Return the weighted contingency table in float64, exact at any size."""
    place = source.astype(np.int64) * targets + target.astype(np.int64)
    counts = np.bincount(place, weights, sources * targets)
    return counts.reshape(sources, targets)


def label_counts(
    source: Int[Array, " n"],
    target: Int[Array, " n"],
    weights: Weights,
    *,
    sources: int,
    targets: int,
) -> Float[Array, "s t"]:
    """Return the weighted contingency table of two labellings."""
    # In float32 a cell stops at 2^24, so no part has more rows than that.
    parts = -(-len(source) // PART)
    part = jnp.arange(len(source)) // PART
    cells = jnp.zeros(parts * sources * targets, weights.dtype)
    place = (part * sources + source) * targets + target
    counts = cells.at[place].add(weights)
    return counts.reshape(parts, sources, targets).sum(axis=0)


def nce_of_counts(
    counts: Float[np.ndarray, "i z c"], multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """NCE of all pixels of every resample; exact. See `nce`.

    Args:
        counts: pixels by image, predicted and given label.
        multiplicities: how often every image counts in a resample.

    Returns:
        NaN for a resample without a pixel.
    """
    many = np.asarray(multiplicities, np.float64)
    joint = np.tensordot(many, counts.astype(np.float64), axes=1)
    total = joint.sum(axis=(1, 2))
    terms = joint * np.log(np.where(joint > 0, _given(joint), 1))
    sums = terms.sum(axis=(1, 2))
    return np.where(total > 0, sums / np.where(total > 0, total, 1), np.nan)


def prediction_counts(
    predictions: Int[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    *,
    num_classes: int,
    num_source_classes: int,
) -> Float[np.ndarray, "z c"]:
    """Return pixels by predicted and given label."""
    counts = np.zeros((num_source_classes, num_classes))
    np.add.at(counts, (predictions, labels), 1)
    return counts


def pixel_nce(
    counts: Float[np.ndarray, "z c"],
    predictions: Int[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """Return `log P(y_i | z_i)` of every pixel, in nats, at most 0.

    Args:
        counts: all pixels by predicted and given label.
        predictions: source classes.
        labels: target classes.
    """
    given = _given(counts)[predictions, labels]
    return np.log(np.maximum(given, np.finfo(float).tiny))


def nce_of_cells(
    predictions: Int[np.ndarray, "k n"],
    labels: Int[np.ndarray, "k n"],
    *,
    num_classes: int,
    num_source_classes: int,
) -> Float[np.ndarray, "k n"]:
    """Return `pixel_nce` of many cells, each with the counts of its own pixels.

    Args:
        predictions: source classes, by cell and pixel.
        labels: target classes; -1 where there is no pixel.
        num_classes: number of target classes.
        num_source_classes: number of source classes.
    """
    shape = len(labels), num_source_classes, num_classes
    place = np.arange(len(labels))[:, None], predictions, np.maximum(labels, 0)
    counts = np.bincount(
        np.ravel_multi_index(np.broadcast_arrays(*place), shape).ravel(),
        (labels >= 0).ravel(),
        np.prod(shape),
    )
    given = _given(counts.reshape(shape))[place]
    return np.log(np.maximum(given, np.finfo(float).tiny))


def _given(joint: Float[np.ndarray, "*b z c"]) -> Float[np.ndarray, "*b z c"]:
    """Return P(y | z); 0 for a source class without a pixel."""
    total = joint.sum(axis=-1, keepdims=True)
    return np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)


SPEC = ScoreSpec(
    name="nce",
    function=nce,
    inputs=("target_predictions",),
    title="NCE",
    unit="nats",
    bounds=entropy_bounds,
    floor=minus_entropy,
    limits=entropy_limits,
    explained=ENTROPY,
    laws=laws("source_names", "duplicates"),
    space="probs",
    of_sums=OfSums(tables=("target_counts",), replicates=nce_of_counts),
    per_instance=PerInstance(
        fit=prediction_counts, score=pixel_nce, cells=nce_of_cells, additive=True
    ),
    merging_targets="not lower",
    merging_sources="not higher",
    differentiable=False,
    rtol=1e-6,
)

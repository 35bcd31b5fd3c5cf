"""Log expected empirical prediction."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from trfjax.arrays import Rows, labelled_rows, safe_divide, safe_log
from trfjax.atoms.atoms import Atoms
from trfjax.promotion import usual_promotion
from trfjax.scores.bounds import ENTROPY, entropy_bounds, entropy_limits, minus_entropy
from trfjax.scores.spec import OfSums, PerInstance, ScoreSpec, laws
from trfjax.scores.sums import PART, is_many
from trfjax.simplex import check_probs, half_step
from trfjax.typing import IGNORE, ArrayInput, Count, Labels, Probs, Weights


@usual_promotion
def leep(
    source_probs: ArrayInput,
    target_labels: ArrayInput,
    *,
    num_classes: Count | None = None,
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
        source_probs,
        target_labels,
        names=("source_probs", "target_labels"),
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
    )
    probs = jax.nn.softmax(rows.features) if from_logits else rows.features
    if not from_logits:
        probs = check_probs(
            "source_probs",
            probs,
            rows.weights,
            instead="Pass probabilities, or logits with from_logits=True.",
            half=half_step(source_probs),
        )
    if is_many(rows):
        return _of_many(dataclasses.replace(rows, features=probs), reduction)
    return _leep(
        probs,
        rows.labels,
        rows.weights,
        num_classes=rows.num_classes,
        reduction=reduction,
    )


@functools.partial(jax.jit, static_argnames=("num_classes", "reduction"))
def _leep(
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
    given_z = safe_divide(joint, joint.sum(axis=0, keepdims=True))  # (y, z)
    explained = jnp.sum(given_z[labels] * probs, axis=1)
    if reduction == "prob":
        return jnp.sum(share * explained)
    # Its own probabilities enter the conditional, so `explained` is 0 only for a row
    # of weight 0, or by underflow.
    return jnp.sum(share * safe_log(explained))


def _of_many(rows: Rows, reduction: str) -> Float[Array, ""]:
    """Return what `_leep` does, added up in float64."""
    probs, labels, weights = map(np.asarray, (rows.features, rows.labels, rows.weights))
    joint = np.zeros((rows.num_classes, probs.shape[1]))
    for z, column in enumerate(probs.T):
        joint[:, z] = np.bincount(labels, weights * column, rows.num_classes)
    given_z, total = _given(joint), 0.0
    for start in range(0, len(labels), PART):
        part = slice(start, start + PART)
        explained = np.sum(given_z[labels[part]] * probs[part], axis=1)
        if reduction == "log":
            explained = np.log(np.where(explained > 0, explained, 1))
        total += float(weights[part].astype(np.float64) @ explained)
    mean = total / weights.sum(dtype=np.float64)
    return jnp.asarray(mean, rows.features.dtype)


def leep_of_atoms(
    atoms: Atoms, multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """LEEP of all pixels of every resample, from atoms of probabilities; see `leep`.

    Every pixel stands where the mean of the pixels of its atom and label is: what this
    changes is of second order in the scatter within those.

    Args:
        atoms: of the source-class probabilities of the target pixels.
        multiplicities: how often every image counts in a resample.

    Returns:
        NaN for a resample without a pixel.
    """
    many = np.asarray(multiplicities, np.float64)
    counts = atoms.counts.astype(np.float64)  # (i, m, y)
    total, terms = many @ counts.sum(axis=(1, 2)), np.zeros(len(many))
    joints = np.einsum("imy,myz->iyz", counts, atoms.means, optimize=True)
    given = _given(np.tensordot(many, joints, axes=1))  # (b, y, z)
    for label in range(atoms.num_classes):
        held = counts[:, :, label].any(axis=0)
        mass, probs = counts[:, held, label], atoms.means[held, label].astype(float)
        explained = given[:, label] @ probs.T  # (b, atoms)
        # Only where no image of the resample has the pixel is nothing explained.
        logs = np.log(np.where(explained > 0, explained, 1))
        terms += np.sum(many * (logs @ mass.T), axis=1)
    return np.where(total > 0, terms / np.where(total > 0, total, 1), np.nan)


def label_joint(
    probs: Float[np.ndarray, "n z"], labels: Int[np.ndarray, " n"], *, num_classes: int
) -> Float[np.ndarray, "y z"]:
    """Return the sum of the probabilities of every target class, in float64."""
    joint = np.zeros((num_classes, probs.shape[1]))
    np.add.at(joint, labels, probs)
    return joint


def pixel_leep(
    joint: Float[np.ndarray, "y z"],
    probs: Float[np.ndarray, "n z"],
    labels: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    r"""Return `log \sum_z P(y_i|z) p_iz` of every pixel, in nats, at most 0.

    Args:
        joint: sum of the probabilities by target class, over all pixels.
        probs: of the source's classes, rows that sum to 1.
        labels: target classes.
    """
    explained = np.sum(_given(joint)[labels] * probs, axis=1)
    # Its own probabilities are in the joint, so it is 0 by underflow only.
    return np.log(np.maximum(explained, np.finfo(float).tiny))


def leep_of_cells(
    probs: Float[np.ndarray, "k n z"],
    labels: Int[np.ndarray, "k n"],
    *,
    num_classes: int,
) -> Float[np.ndarray, "k n"]:
    """Return `pixel_leep` of many cells, each with the joint of its own pixels.

    Args:
        probs: of the source's classes, by cell and pixel.
        labels: target classes; -1 where there is no pixel.
        num_classes: number of target classes.
    """
    member = (labels[..., None] == np.arange(num_classes)).astype(np.float64)
    given = _given(np.matmul(member.swapaxes(1, 2), probs))  # (k, y, z)
    row = np.maximum(labels, 0)[..., None]
    explained = np.sum(np.take_along_axis(given, row, axis=1) * probs, axis=2)
    return np.log(np.maximum(explained, np.finfo(float).tiny))


def _given(joint: Float[np.ndarray, "*b y z"]) -> Float[np.ndarray, "*b y z"]:
    """Return P(y | z); 0 for a source class without mass."""
    total = joint.sum(axis=-2, keepdims=True)
    return np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)


SPEC = ScoreSpec(
    name="leep",
    function=leep,
    inputs=("target_probs",),
    title="LEEP",
    unit="nats",
    bounds=entropy_bounds,
    floor=minus_entropy,
    limits=entropy_limits,
    explained=ENTROPY,
    sensitive=("architecture",),
    laws=laws("source_names", "duplicates"),
    space="probs",
    of_sums=OfSums(tables=("target_atoms",), replicates=leep_of_atoms),
    per_instance=PerInstance(
        fit=label_joint, score=pixel_leep, cells=leep_of_cells, additive=True
    ),
    merging_targets="not lower",
    rtol=1e-6,
)

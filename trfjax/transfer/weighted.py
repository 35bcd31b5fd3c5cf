"""Fine-tuning that looks most at the pixels that transfer worst.

LEEP and OTCE are means over target pixels, so each pixel has a transferability of its
own. The loss of a pixel is weighted by it, the lower the more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

from trfjax.data import Dataset
from trfjax.features.extract import extract, stream_maps
from trfjax.state import TrainedModel
from trfjax.transfer.finetune import FinetuneResult, finetune
from trfjax.transport.problem import Problem, Settings
from trfjax.transport.sinkhorn import solve

PIXELS = 2_000  # of each side that OTCE couples
BLOCK = 20_000  # target pixels whose plan is formed at a time
EPSILON = 0.1  # as OTCE on probabilities


def weighted_finetune(
    source: TrainedModel,
    shots: Dataset,
    *,
    score: str = "leep",
    source_data: Dataset | None = None,
    limit: float = 10.0,
    **options: Any,
) -> FinetuneResult:
    """Fine-tune with the weights of `transferability_weights`.

    Args:
        source: the network; left as it is.
        shots: the few labelled images.
        score: see `transferability_weights`.
        source_data: likewise.
        limit: likewise.
        **options: of `finetune`.

    Raises:
        ValueError: as `transferability_weights` and `finetune` do.
    """
    weights = transferability_weights(
        source, shots, score=score, source_data=source_data, limit=limit
    )
    return finetune(source, shots, label_weights=weights, **options)


def transferability_weights(
    source: TrainedModel,
    shots: Dataset,
    *,
    score: str = "leep",
    source_data: Dataset | None = None,
    limit: float = 10.0,
    seed: int = 0,
) -> Float[np.ndarray, "n ..."]:
    r"""Return the weight of every label of the shots.

    $$w_i \propto \exp(-s_i), \qquad \frac1n \sum_i w_i = 1$$

    over the valid labels; an ignored one has weight 0. The scores `s_i` are those of
    `pixel_leep` or `pixel_otce`, whose mean is the score of the shots.

    Args:
        source: the network.
        shots: the few labelled images, all of one size.
        score: "leep" looks at the shots alone; "otce" needs the source data.
        source_data: labelled images that show what the network was trained on.
        limit: the largest weight, in units of the mean. A class that the source cannot
            tell has a transferability near 0, and a weight without bound.
        seed: of the pixels that OTCE couples.

    Raises:
        ValueError: settings out of range, OTCE without source data, no valid label.
    """
    if score not in ("leep", "otce"):
        raise ValueError(f"unknown score {score!r}; available: leep, otce")
    if score == "otce" and source_data is None:
        raise ValueError("source_data: the score 'otce' needs it; 'leep' does not")
    if not limit > 1:
        raise ValueError(f"limit: {limit} must be above 1")
    if score == "leep":
        found = _leep_of(source, shots)
    else:
        assert source_data is not None  # checked
        found = _otce_of(source, shots, source_data, seed)
    labels = np.stack([np.asarray(example["label"]) for example in shots])
    scores = np.zeros(labels.shape)
    valid = labels != shots.ignore
    scores[valid] = found
    return weights_of(scores, valid, limit)


def weights_of(
    scores: Float[np.ndarray, "n ..."], valid: np.ndarray, limit: float
) -> Float[np.ndarray, "n ..."]:
    """Return `exp(-scores)` with mean 1 over the valid, none above `limit`."""
    weights = np.where(valid, np.exp(np.minimum(-scores, 700.0)), 0.0)
    part = weights[valid]
    if np.isposinf(limit) or part.max() <= limit * part.mean():
        return weights / part.mean()
    # The scale at which the clipped weights have mean 1; they grow with it.
    low, high = 0.0, limit / part.min()
    for _ in range(200):
        middle = (low + high) / 2
        if np.minimum(middle * part, limit).mean() < 1:
            low = middle
        else:
            high = middle
    return np.minimum(high * weights, limit)


def pixel_leep(
    probs: Float[np.ndarray, "n z"],
    labels: Int[np.ndarray, " n"],
    joint: Float[np.ndarray, "y z"],
) -> Float[np.ndarray, " n"]:
    r"""Return `log \sum_z P(y_i|z) p_iz` of every pixel, in nats, at most 0.

    Args:
        probs: of the source's classes, rows that sum to 1.
        labels: target classes.
        joint: sum of the probabilities by target class, over all pixels.
    """
    total = joint.sum(axis=0)
    given = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
    explained = np.sum(given[labels] * probs, axis=1)
    # Its own probabilities are in the joint, so it is 0 by underflow only.
    return np.log(np.maximum(explained, np.finfo(float).tiny))


def pixel_otce(
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


def _leep_of(source: TrainedModel, shots: Dataset) -> Float[np.ndarray, " n"]:
    """Return the score of every valid label, in two passes over the images."""
    joint = np.zeros((shots.num_classes, len(source.card.class_names)))
    for probs, labels in _rows(source, shots):
        np.add.at(joint, labels, probs)
    return np.concatenate(
        [pixel_leep(probs, labels, joint) for probs, labels in _rows(source, shots)]
    )


def _otce_of(
    source: TrainedModel, shots: Dataset, source_data: Dataset, seed: int
) -> Float[np.ndarray, " n"]:
    """Couple some pixels of each side, and extend the plan to all of the target."""
    options: dict[str, Any] = {"pixels": PIXELS, "seed": seed, "progress": False}
    there = extract(source, source_data, **options)
    here = extract(source, shots, **options)
    x, y = (part.features["probs"].astype(np.float32) for part in (there, here))
    x, offset = x - x.mean(axis=0), y.mean(axis=0)
    k, t = there.labels.max() + 1, shots.num_classes
    marks = np.eye(k, dtype=np.float32)[there.labels]
    problem = Problem(
        jnp.asarray(x), jnp.asarray(y - offset),
        jnp.full(len(x), 1 / len(x)), jnp.full(len(y), 1 / len(y)),
        jnp.asarray(marks), jnp.eye(t)[here.labels],
    )  # fmt: skip
    run = jax.jit(solve, static_argnames=("settings",))
    solution = run(problem, jnp.asarray(EPSILON), settings=Settings())
    joint = np.asarray(solution.joint, np.float64)
    scale = np.asarray(solution.log_scale, np.float64)
    found = []
    for probs, labels in _rows(source, shots):
        for start in range(0, len(labels), BLOCK):
            part = slice(start, start + BLOCK)
            exponent = scale + 2 / EPSILON * (probs[part] - offset) @ x.T
            exponent -= logsumexp(exponent, axis=1, keepdims=True)
            found.append(pixel_otce(np.exp(exponent) @ marks, labels[part], joint))
    return np.concatenate(found)


def _rows(
    source: TrainedModel, shots: Dataset
) -> Iterator[tuple[Float[np.ndarray, "n z"], Int[np.ndarray, " n"]]]:
    """Yield the probabilities and labels of the valid pixels of every image."""
    for image in stream_maps(source, shots, spaces=("probs",), progress=False):
        yield image.features["probs"].astype(np.float64), image.labels

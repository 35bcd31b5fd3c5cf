"""Fine-tuning that looks most at the pixels that transfer worst.

LEEP, NCE, OTCE and LogME are means over target pixels, so each pixel has a
transferability of its own: see `ScoreSpec.per_instance`. The loss of a pixel is
weighted by it, the lower the more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trfjax.data import Dataset
from trfjax.features.extract import extract
from trfjax.features.stream import stream_maps
from trfjax.scores import SCORES
from trfjax.scores.spec import ScoreSpec
from trfjax.state import TrainedModel
from trfjax.transfer.finetune import FinetuneResult, finetune

PIXELS = 2_000  # of each side that are fitted, where the form does not add up


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

    over the valid labels; an ignored one has weight 0. The mean of the scores `s_i` is
    the score of the shots.

    Args:
        source: the network.
        shots: the few labelled images, all of one size.
        score: one that is a mean over pixels; "leep", "nce" and "logme" look at the
            shots alone, "otce" needs the source data.
        source_data: labelled images that show what the network was trained on.
        limit: the largest weight, in units of the mean. A class that the source cannot
            tell has a transferability near 0, and a weight without bound.
        seed: of the pixels that OTCE couples.

    Returns:
        In the shape of the labels.

    Raises:
        ValueError: settings out of range, a score that is no mean over pixels or needs
            source data, no valid label.
    """
    spec = _per_pixel(score)
    if spec.two_sided and source_data is None:
        raise ValueError(f"source_data: the score {score!r} needs it; 'leep' does not")
    if not limit > 1:
        raise ValueError(f"limit: {limit} must be above 1")
    found = _pixel_scores(spec, source, shots, source_data, seed)
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


def _per_pixel(score: str) -> ScoreSpec:
    """Return a score that is a mean over pixels."""
    spec = SCORES.named(score)
    if spec.per_instance is None:
        means = [name for name, found in SCORES.items() if found.per_instance]
        raise ValueError(
            f"score: {score!r} is no mean over pixels; those are {', '.join(means)}"
        )
    return spec


def _pixel_scores(
    spec: ScoreSpec,
    source: TrainedModel,
    shots: Dataset,
    source_data: Dataset | None,
    seed: int,
) -> Float[np.ndarray, " n"]:
    """Return the score of every valid label, in two passes over the images."""
    form = spec.per_instance
    assert form is not None  # see `_per_pixel`
    counts = {"num_classes": shots.num_classes}
    if spec.source_ids:
        known = (
            source.card.class_names if source_data is None else source_data.class_names
        )
        counts["num_source_classes"] = len(known)
    if form.additive:
        fitted = form.fitted(_rows(spec, source, shots), **counts)
    else:
        drawn = _drawn(spec, source, shots, source_data, seed)
        fitted = form.fitted([drawn], **counts)
    return np.concatenate(
        [form.score(fitted, *rows) for rows in _rows(spec, source, shots)]
    )


def _drawn(
    spec: ScoreSpec,
    source: TrainedModel,
    shots: Dataset,
    source_data: Dataset | None,
    seed: int,
) -> list[np.ndarray]:
    """Return some pixels of both sides: what the score reads, and target labels."""
    options: dict[str, Any] = {
        "spaces": (spec.space,),
        "pixels": PIXELS,
        "seed": seed,
        "progress": False,
    }
    sides = {"target": extract(source, shots, **options)}
    if source_data is not None and spec.two_sided:
        sides["source"] = extract(source, source_data, **options)
    found = []
    for name in spec.inputs:
        side, noun = name.split("_", 1)
        part = sides[side]
        held = {"labels": part.labels, "predictions": part.predictions}
        found.append(held[noun] if noun in held else part.features[spec.space])
    return [*found, sides["target"].labels]


def _rows(
    spec: ScoreSpec, source: TrainedModel, shots: Dataset
) -> Iterator[tuple[Float[np.ndarray, "n z"] | Int[np.ndarray, " n"], ...]]:
    """Yield what the score reads of every image, and the labels of its valid pixels."""
    for image in stream_maps(source, shots, spaces=(spec.space,), progress=False):
        features = image.features[spec.space].astype(np.float64)
        inputs = [name for name in spec.inputs if name.startswith("target_")]
        yield (
            *(
                image.predictions if n.endswith("_predictions") else features
                for n in inputs
            ),
            image.labels,
        )

"""A score pixel by pixel, and class by class."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from scipy.stats import t as student

from trfjax.maps.inputs import Side, checked_sides, mapped_score
from trfjax.maps.means import ratio_mean
from trfjax.maps.result import ClassScore, PixelMap
from trfjax.numbers import as_count, as_real, as_seed
from trfjax.scores.spec import ScoreSpec
from trfjax.statistics.interval import Interval
from trfjax.transport.problem import Settings
from trfjax.typing import IGNORE, ArrayInput

TIGHT = Settings(tolerance=1e-5, joint_tolerance=1e-6)  # one problem: it can be exact


def pixel_map(
    source_features: ArrayInput | None,
    source_labels: ArrayInput | None,
    target_features: ArrayInput,
    target_labels: ArrayInput,
    *,
    metric: str = "leep",
    num_classes: int | None = None,
    num_source_classes: int | None = None,
    ignore: int | Collection[int] = IGNORE,
    epsilon: float = 0.1,
    num_samples: int = 2_000,
    seed: int = 0,
) -> PixelMap:
    r"""Score every pixel; the mean over the pixels that count is the score itself.

    All target pixels together say how source and target classes go together, unlike in
    `transfer_map`. By pixel i:

    - LEEP: $\log \sum_z \hat P(y_i \mid z)\, \theta_{iz}$,
    - NCE: $\log \hat P(y_i \mid z_i)$,
    - OTCE: $\sum_s P(s \mid i) \log P(y_i \mid s)$, with the share $P(s \mid i)$ of
      source label s in what the plan couples to the pixel,
    - LogME: its term of the log evidence, see `pixel_evidence`.

    Args:
        source_features: `(b, h, w, d)` maps of source images, or None for a score of
            the target alone.
        source_labels: source ids `(b, h, w)`, or None.
        target_features: what the score reads of the target through the source network;
            see `transfer_map`.
        target_labels: target ids, `(b, h, w)`.
        metric: a score that is a mean over pixels: "leep", "nce", "otce", "logme".
        num_classes: number of target classes; None re-indexes the ids present.
        num_source_classes: likewise for the source.
        ignore: the label, or labels, that count for nothing.
        epsilon: entropic regularisation of OTCE, in units of the squared distance.
        num_samples: pixels of each side that OTCE couples. The plan extends to the
            other target pixels, whose mean is the score up to the error of the draw.
        seed: of their drawing.

    Returns:
        Values in the unit of the score, larger is more transferable, with the means of
        the target classes and their intervals over images.

    Raises:
        TypeError, ValueError: arrays or settings that do not fit, a score that is no
            mean over pixels, nothing left to score.
    """
    epsilon, seed = as_real("epsilon", epsilon, above=0), as_seed("seed", seed)
    num_samples = as_count("num_samples", num_samples)
    spec = mapped_score(metric, pixels=True)
    source, target, known = checked_sides(
        spec,
        (source_features, source_labels),
        (target_features, target_labels),
        num_classes=num_classes,
        num_source_classes=num_source_classes,
        ignore=ignore,
    )
    if source is not None:
        known.update(epsilon=epsilon, settings=TIGHT)
    values = _values(spec, source, target, known, num_samples, seed)
    valid = target.labels >= 0
    return PixelMap(
        values=values,
        valid=valid,
        score=float(values[valid].mean()),
        classes=_by_class(values, target),
        metric=spec.name,
        unit=spec.unit,
    )


def _values(
    spec: ScoreSpec,
    source: Side | None,
    target: Side,
    known: dict[str, Any],
    num_samples: int,
    seed: int,
) -> np.ndarray:
    form = spec.per_instance
    assert form is not None  # asked for by name
    if source is not None:
        rng = np.random.default_rng(seed)
        sides = (_drawn(side, num_samples, rng) for side in (source, target))
        fitted = form.fitted([(*next(sides), *next(sides))], **known)
    else:
        fitted = form.fitted(_images(target), **known)
    values = np.full(target.labels.shape, np.nan)
    for value, labels, rows in zip(values, target.labels, _images(target), strict=True):
        value[labels >= 0] = form.score(fitted, *rows)
    return values


def _images(side: Side) -> Any:
    """Yield what counts of one image after the other: features and labels."""
    for features, labels in zip(side.features, side.labels, strict=True):
        yield features[labels >= 0], labels[labels >= 0]


def _drawn(
    side: Side, most: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels that count, at most so many, drawn without replacement."""
    rows = np.flatnonzero(side.labels.ravel() >= 0)
    if len(rows) > most:
        rows = np.sort(rng.choice(rows, most, replace=False))
    flat = side.features.reshape(side.labels.size, *side.features.shape[3:])
    return flat[rows], side.labels.ravel()[rows]


def _by_class(values: np.ndarray, target: Side) -> tuple[ClassScore, ...]:
    """Return the mean of every class that is present, with its interval."""
    found = []
    for index, label in enumerate(target.classes):
        held = target.labels == index
        counts = held.sum(axis=(1, 2))
        if not counts.any():
            continue
        mean, error = ratio_mean(np.where(held, values, 0).sum(axis=(1, 2)), counts)
        shown = int((counts > 0).sum())
        reach = student.ppf(0.975, shown - 1) * error if shown > 1 else np.nan
        interval = Interval(
            float(mean), float(mean - reach), float(mean + reach), shown
        )
        pixels = int(counts.sum())
        found.append(ClassScore(label=label, pixels=pixels, interval=interval))
    return tuple(found)

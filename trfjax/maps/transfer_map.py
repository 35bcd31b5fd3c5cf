"""Where in the image a source will transfer: a score on a grid of cells."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeAlias

import numpy as np

from trfjax.maps.cells import CellPixels, Grid, rows_of_cells
from trfjax.maps.inputs import Side, checked_sides, mapped_score
from trfjax.maps.means import ratio_mean
from trfjax.maps.result import TransferMap
from trfjax.maps.sums import scored_sums
from trfjax.numbers import as_count, as_real, as_seed
from trfjax.scores.spec import ScoreSpec
from trfjax.typing import IGNORE, ArrayInput

NUMBERS = 16_000_000  # features of cells that are worked on at a time

# From the pixels of both sides of some cells to values and standard errors.
Scored: TypeAlias = Callable[
    [CellPixels | None, CellPixels], tuple[np.ndarray, np.ndarray]
]


def transfer_map(
    source_features: ArrayInput | None,
    source_labels: ArrayInput | None,
    target_features: ArrayInput,
    target_labels: ArrayInput,
    *,
    metric: str = "leep",
    stride: int = 8,
    min_pixels: int = 16,
    image: int | None = None,
    num_classes: int | None = None,
    num_source_classes: int | None = None,
    ignore: int | Collection[int] = IGNORE,
    epsilon: float = 0.1,
    num_samples: int = 256,
    seed: int = 0,
    progress: Callable[[Iterator[int]], Iterator[int]] = iter,
) -> TransferMap:
    """Score every cell of `stride x stride` pixels, pooled over the target images.

    A cell is a small target of its own: its pixels alone say how source and target
    classes go together there. Rows and columns of cells that do not fit keep the rest.

    Args:
        source_features: `(b, h, w, d)` maps of source images, of any size; the source
            pixels of a cell are those at the same share of the way. None for a score
            of the target alone.
        source_labels: source ids `(b, h, w)`, or None.
        target_features: what the score reads of the target through the source network:
            probabilities for LEEP, predicted ids `(b, h, w)` for NCE, features for
            OTCE, H-score, LogME and other scores with a form in sums.
        target_labels: target ids, `(b, h, w)`.
        metric: the score, by its name in `SCORES`.
        stride: pixels a cell is high and wide.
        min_pixels: a cell with fewer, on a side that the score looks at, has no value.
        image: the index of one target image; None pools all.
        num_classes: number of target classes; None re-indexes the ids present.
        num_source_classes: likewise for the source.
        ignore: the label, or labels, that count for nothing.
        epsilon: entropic regularisation of OTCE, in units of the squared distance.
        num_samples: pixels of each side that OTCE couples in a cell, at most.
        seed: of their drawing.
        progress: wraps the numbers of the rows of cells, to show how far it is.

    Returns:
        Values in the unit of the score, larger is more transferable; NaN and invalid
        where there is too little. The standard error is over images: of a score that
        is a mean over pixels with what the cell says together held as it is, of others
        by the jackknife over at most ten groups of images.

    Raises:
        TypeError, ValueError: arrays or settings that do not fit, a stride larger than
            the images, no cell with enough pixels.
    """
    _check(stride, min_pixels, num_samples)
    epsilon, seed = as_real("epsilon", epsilon, above=0), as_seed("seed", seed)
    spec = mapped_score(metric, pixels=False)
    source, target, known = checked_sides(
        spec,
        (source_features, source_labels),
        (target_features, target_labels),
        num_classes=num_classes,
        num_source_classes=num_source_classes,
        ignore=ignore,
    )
    target = target if image is None else _one(target, image)
    grid = _grid(target, stride)
    if source is None:
        scored = _target_scores(spec, known)
    else:
        known["epsilon"] = epsilon
        scored = functools.partial(_coupled, spec, known, num_samples, seed)
    parts = _rows(grid, source, target, scored, min_pixels, progress)
    counts, values, errors = (np.stack(part) for part in zip(*parts, strict=True))
    if np.isnan(values).all():
        raise ValueError(
            f"min_pixels: no cell of {stride} x {stride} pixels has a value with at "
            f"least {min_pixels} labelled pixels (the fullest has {counts.max()}); "
            "take a larger stride or a smaller min_pixels"
        )
    return TransferMap(
        values=values,
        valid=np.isfinite(values),
        counts=counts,
        standard_error=errors,
        metric=spec.name,
        unit=spec.unit,
        stride=stride,
        size=(grid.height, grid.width),
    )


def _check(stride: int, min_pixels: int, num_samples: int) -> None:
    named = {"stride": stride, "min_pixels": min_pixels, "num_samples": num_samples}
    for name, value in named.items():
        as_count(name, value)


def _one(target: Side, image: int) -> Side:
    count = len(target.labels)
    if not 0 <= image < count:
        raise ValueError(f"image: {image} is outside 0..{count - 1}")
    part = slice(image, image + 1)
    return Side(target.features[part], target.labels[part], target.classes)


def _grid(target: Side, stride: int) -> Grid:
    height, width = target.labels.shape[1:]
    if stride > max(height, width):
        raise ValueError(
            f"stride: {stride} is larger than the maps of {height} x {width} pixels; "
            f"at most {max(height, width)}"
        )
    return Grid(height, width, stride)


def _rows(
    grid: Grid,
    source: Side | None,
    target: Side,
    scored: Scored,
    min_pixels: int,
    progress: Callable[[Iterator[int]], Iterator[int]],
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield counts, values and standard errors of one row of cells after the other."""
    targets = rows_of_cells(grid, target.features, target.labels)
    sources = None
    if source is not None:
        sources = rows_of_cells(grid, source.features, source.labels)
    for _ in progress(iter(range(grid.shape[0]))):
        pixels = next(targets)
        source_pixels = None if sources is None else next(sources)
        enough = pixels.counts >= min_pixels
        if source_pixels is not None:
            enough &= source_pixels.counts >= min_pixels
        values, errors = (np.full(len(enough), np.nan) for _ in range(2))
        together = max(1, NUMBERS // max(pixels.features[0].size, 1))
        cells = np.flatnonzero(enough)
        for start in range(0, len(cells), together):
            some = cells[start : start + together]
            given = None if source_pixels is None else source_pixels.chosen(some)
            values[some], errors[some] = scored(given, pixels.chosen(some))
        yield pixels.counts, values, errors


def _target_scores(spec: ScoreSpec, known: dict[str, Any]) -> Scored:
    if spec.per_instance is None:
        return lambda _, pixels: scored_sums(spec, pixels, **known)
    form = spec.per_instance.cells
    return lambda _, pixels: _mean(
        form(pixels.features, pixels.labels, **known), pixels
    )


def _coupled(
    spec: ScoreSpec,
    known: dict[str, Any],
    num_samples: int,
    seed: int,
    source: CellPixels | None,
    target: CellPixels,
) -> tuple[np.ndarray, np.ndarray]:
    assert spec.per_instance is not None and source is not None  # it is two-sided
    rng = np.random.default_rng(seed)
    source, target = source.thinned(num_samples, rng), target.thinned(num_samples, rng)
    found = spec.per_instance.cells(
        source.features, source.labels, target.features, target.labels, **known
    )
    return _mean(found, target)


def _mean(found: np.ndarray, pixels: CellPixels) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the pixel scores of every cell, and its error over images."""
    counted = pixels.labels >= 0
    shape = len(counted), int(pixels.images.max()) + 1
    place = (np.arange(shape[0])[:, None] * shape[1] + pixels.images)[counted]
    size = shape[0] * shape[1]
    sums = np.bincount(place, found[counted], size).reshape(shape)
    counts = np.bincount(place, minlength=size).reshape(shape)
    return ratio_mean(sums, counts)

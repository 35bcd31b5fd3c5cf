"""Does the map of a source, made from the shots, say where the fine-tuned network errs?

A map predicts if the cells it calls bad are those where the network, once fine-tuned to
the same shots, is wrong on other images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from trfjax.data.dataset import Dataset
from trfjax.maps.cells import Grid
from trfjax.maps.errors import prediction_errors
from trfjax.maps.inputs import mapped_score
from trfjax.maps.networks import MapArrays, map_arrays
from trfjax.maps.transfer_map import transfer_map
from trfjax.state import TrainedModel
from trfjax.statistics.interval import Interval
from trfjax.statistics.partial import partial_spearman

# What a user sees without any score; the first two need no second look at the network.
BASELINES = ("class frequency", "confidence", "errors as it is")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CellRun:
    """One source fine-tuned once: maps made before, errors counted after."""

    source: str
    seed: int
    maps: Mapping[str, Float[np.ndarray, "r c"]]  # by score or baseline; NaN undefined
    wrong: Float[np.ndarray, "t r c"]  # pixels of every test image the network errs on
    pixels: Float[np.ndarray, "t r c"]  # labelled pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapQuality:
    """The quality of one score, or baseline, as a map of where networks are right."""

    name: str
    correlation: Interval  # Spearman over cells, mean over runs
    beyond: Interval  # the same with the baselines held fixed; NaN for a baseline


def maps_before(
    model: Any,
    shots: Dataset,
    source_data: Dataset,
    *,
    metrics: Sequence[str],
    stride: int,
    min_pixels: int = 64,
    seed: int = 0,
) -> dict[str, Float[np.ndarray, "r c"]]:
    """Map a source on the shots by every score, and by the plain baselines.

    - class frequency: the mean log share that the class of a pixel has among the shots,
    - confidence: the mean of the network's largest probability,
    - errors as it is: minus the share of wrong pixels, see `prediction_errors`.

    Args:
        model: the source, as it is.
        shots: the labelled target images, of one size.
        source_data: labelled images of the source, for scores that look at them.
        metrics: scores that can be mapped.
        stride: pixels a cell is high and wide.
        min_pixels: labelled pixels that a cell needs.
        seed: of what OTCE draws.

    Returns:
        Larger is better; NaN in cells with too few pixels.

    Raises:
        ValueError: settings or data that cannot be used.
    """
    found: dict[str, np.ndarray] = {}
    options: dict[str, Any] = {"stride": stride, "min_pixels": min_pixels, "seed": seed}
    reading: dict[str, Any] = {"progress": False}
    reading["num_source_classes"] = source_data.num_classes
    plain = map_arrays(model, shots, metric="leep", **reading)
    for metric in metrics:
        paired = mapped_score(metric, pixels=False).two_sided
        data = source_data if paired else None
        arrays = plain
        if metric != "leep":
            arrays = map_arrays(
                model, shots, metric=metric, source_data=data, **reading
            )
        cells = transfer_map(
            *arrays.arrays, metric=metric, **options, **arrays.settings
        )
        found[metric] = cells.values
    return found | _baselines(plain, stride, min_pixels)


def _baselines(arrays: MapArrays, stride: int, least: int) -> dict[str, np.ndarray]:
    labels = arrays.target_labels
    _, height, width = labels.shape
    grid = Grid(height, width, stride)
    valid = labels >= 0
    shares = np.bincount(labels[valid], minlength=arrays.num_classes) / valid.sum()
    logs = np.log(np.maximum(shares, 1 / valid.sum()))
    values = (
        logs[labels],
        arrays.target_features.max(axis=-1),
        -prediction_errors(arrays.predictions, labels).astype(np.float64),
    )
    counts = cell_sums(valid, grid).sum(axis=0)
    enough = np.where(counts >= least, counts, np.nan)
    sums = (
        cell_sums(np.where(valid, value, 0.0), grid).sum(axis=0) for value in values
    )
    return {name: total / enough for name, total in zip(BASELINES, sums, strict=True)}


def errors_after(
    model: TrainedModel, test: Dataset, stride: int
) -> tuple[Float[np.ndarray, "t r c"], Float[np.ndarray, "t r c"]]:
    """Count, by test image and cell, wrong and labelled pixels of a fine-tuned network.

    Args:
        model: a fine-tuned network with the classes of the test set.
        test: labelled images of the size of the shots.
        stride: pixels a cell is high and wide.

    Raises:
        ValueError: images of different sizes, or other classes than the network's.
    """
    if model.card.class_names != test.class_names:
        raise ValueError(
            f"test: classes {', '.join(test.class_names)}, and the network tells "
            f"{', '.join(model.card.class_names)} apart; they must be the same"
        )
    arrays = map_arrays(model, test, metric="nce", progress=False)
    valid = arrays.target_labels >= 0
    wrong = valid & (arrays.predictions != arrays.target_labels)
    _, height, width = valid.shape
    grid = Grid(height, width, stride)
    return cell_sums(wrong, grid), cell_sums(valid, grid)


def cell_sums(values: np.ndarray, grid: Grid) -> Float[np.ndarray, "b r c"]:
    """Return the sum of `(b, h, w)` values over every cell."""
    rows = np.arange(grid.shape[0]) * grid.stride
    columns = np.arange(grid.shape[1]) * grid.stride
    by_row = np.add.reduceat(np.asarray(values, np.float64), rows, axis=1)
    return np.add.reduceat(by_row, columns, axis=2)


def judge_maps(
    runs: Sequence[CellRun],
    *,
    resamples: int = 500,
    level: float = 0.90,
    seed: int = 0,
) -> tuple[MapQuality, ...]:
    """Correlate every map with where the fine-tuned networks are right.

    Args:
        runs: of one target; all have the same test images and maps.
        resamples: of sources and of test images together, for the intervals. The maps
            stay as they are, so that the draw of the shots is not in the interval.
        level: of the intervals.
        seed: of the resamples.

    Returns:
        Scores first, in the order of the maps, then the baselines.

    Raises:
        ValueError: no runs, or runs that do not belong together.
    """
    if not runs or len({(tuple(r.maps), r.wrong.shape) for r in runs}) != 1:
        raise ValueError("runs: needs at least one, all with the same maps and images")
    rng = np.random.default_rng(seed)
    names = tuple(runs[0].maps)
    images = len(runs[0].wrong)
    sources = sorted({run.source for run in runs})
    whole = np.stack([_agreement(run, np.ones(images)) for run in runs])
    drawn = []
    for _ in range(resamples):
        picked = rng.choice(sources, len(sources))
        weights = np.bincount(rng.integers(images, size=images), minlength=images)
        rows = [r for s in picked for r in runs if r.source == s]
        drawn.append(np.mean([_agreement(r, weights) for r in rows], axis=0))
    tails = (1 - level) / 2, (1 + level) / 2
    ends = np.quantile(drawn, tails, axis=0)  # NaN where a run has NaN
    value = whole.mean(axis=0)

    def interval(kind: int, j: int) -> Interval:
        at = kind, j
        return Interval(value[at], ends[0][at], ends[1][at], images)

    return tuple(
        MapQuality(name=name, correlation=interval(0, j), beyond=interval(1, j))
        for j, name in enumerate(names)
    )


def _agreement(run: CellRun, weights: np.ndarray) -> Float[np.ndarray, "2 m"]:
    """Return the correlations of all maps, plain and beyond the baselines."""
    wrong, pixels = (np.tensordot(weights, x, 1) for x in (run.wrong, run.pixels))
    defined = [np.isfinite(values) for values in run.maps.values()]
    kept = np.logical_and.reduce([pixels > 0, *defined])
    right = 1 - wrong[kept] / pixels[kept]
    shown = np.column_stack([values[kept] for values in run.maps.values()])
    plain = np.array([name in BASELINES for name in run.maps])
    beyond = partial_spearman(shown, right, shown[:, plain])
    return np.stack(
        [partial_spearman(shown, right, shown[:, :0]), np.where(plain, np.nan, beyond)]
    )

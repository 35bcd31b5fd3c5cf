"""Run a network over a data set and keep what scores need, in bounded memory."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trfjax.atoms.compress import ATOMS
from trfjax.data.dataset import Dataset
from trfjax.features.cache import Cache, cache_folder, entry, read_entry, write_entry
from trfjax.features.compressed import CompressedSet, Compression, compress_images
from trfjax.features.featureset import SCHEMA, FeatureSet
from trfjax.features.forward import check_finite, forward, label_map, values_at
from trfjax.features.pixels import RADIUS, Pixels, check_drawing, draw_pixels
from trfjax.features.predictor import Predictor, as_predictor
from trfjax.files import strict
from trfjax.typing import FEATURE_SPACES, FeatureSpace

log = logging.getLogger("trfjax")


class ImageRows(NamedTuple):
    """All valid pixels of one image."""

    features: dict[str, np.ndarray]  # space -> (valid pixels, d) float32
    labels: np.ndarray  # (valid pixels,) int32
    predictions: np.ndarray  # (valid pixels,) int32 arg-max of the source head
    image: int  # index in the data set


def extract(
    model: Any,
    dataset: Dataset,
    *,
    spaces: Sequence[str] = ("probs",),
    pixels: int = 100_000,
    strategy: str = "uniform",
    radius: int = RADIUS,
    batch_size: int = 8,
    seed: int = 0,
    cache: Cache = None,
    progress: bool = True,
    **options: Any,
) -> FeatureSet:
    """Run a network over a data set and keep some of its pixels.

    The pixels drawn depend on the data set and the seed, not on the model. Labels stay
    at their own resolution; maps of another size are read bilinearly at the pixels
    drawn. In classification every image is one row, and `pixels` bounds their number.
    `extract_all` compresses all pixels instead.

    Args:
        model: anything `as_predictor` takes.
        dataset: labelled images; of one size, unless the model has an input size.
        spaces: features to keep: `probs`, `logits`, `penultimate`.
        pixels: how many pixels to keep, all together.
        strategy: how they are drawn; see `draw_pixels`.
        radius: of the boundary band, in pixels of the label.
        batch_size: images at a time; halved when memory runs out.
        seed: another seed draws other pixels.
        cache: where extracted features are kept: a folder, True for the user's cache
            folder, None for nowhere.
        progress: show a bar on a terminal.
        **options: of `as_predictor`, such as `name` or `layer`.

    Raises:
        TypeError, ValueError: settings, images, labels or output that cannot be used.
    """
    spaces = _check(dataset, spaces, batch_size)
    check_drawing(pixels, strategy, radius, seed)
    predictor = as_predictor(model, **options)
    facts: dict[str, Any] = {
        **_origin(predictor, dataset),
        "schema": SCHEMA,
        "spaces": list(spaces),
        "pixels": pixels,
        "strategy": strategy,
        "radius": radius if strategy == "boundary" else None,
        "seed": seed,
    }
    path = _cache_entry(cache, facts, dataset)
    if path is not None and (kept := read_entry(path, FeatureSet.load)) is not None:
        return kept
    found = _extract(predictor, dataset, spaces, facts, batch_size, progress)
    if path is not None:
        write_entry(path, found)
    return found


def extract_all(
    model: Any,
    dataset: Dataset,
    *,
    atoms: Mapping[FeatureSpace, int] | None = None,
    moments: Sequence[FeatureSpace] = (),
    batch_size: int = 8,
    seed: int = 0,
    cache: Cache = None,
    progress: bool = True,
    **options: Any,
) -> CompressedSet:
    """Run a network over a data set and compress all its pixels, image by image.

    The network runs once, and one batch of images is in memory at a time.

    Args:
        model: anything `as_predictor` takes.
        dataset: labelled images.
        atoms: at most how many atoms to make in which feature space; 512 of `probs`
            where neither atoms nor moments are named.
        moments: feature spaces whose moments are kept, for H-score and LogME.
        batch_size: images at a time; halved when memory runs out.
        seed: of the search for atoms.
        cache: where the result is kept; see `extract`.
        progress: show a bar on a terminal.
        **options: of `as_predictor`.

    Returns:
        Atoms, moments and counts by image, which the scores of all pixels read.

    Raises:
        TypeError, ValueError: settings, images, labels or output that cannot be used.
    """
    if atoms is None:
        atoms = {} if moments else {"probs": ATOMS}
    into = Compression(atoms=dict(atoms), moments=tuple(moments), seed=seed)
    spaces = _check(dataset, into.spaces, batch_size)
    predictor = as_predictor(model, **options)
    facts: dict[str, Any] = {
        **_origin(predictor, dataset),
        "kind": "all",
        "atoms": dict(into.atoms),
        "moments": list(into.moments),
        "seed": seed,
    }
    path = _cache_entry(cache, facts, dataset)
    if path is not None and (kept := read_entry(path, CompressedSet.load)) is not None:
        return kept
    images = _stream(predictor, dataset, spaces, batch_size, progress)
    found = compress_images(
        (row[:3] for row in images),
        dataset.image_ids,
        class_names=dataset.class_names,
        source_class_names=predictor.class_names,
        ignore=dataset.ignore,
        into=into,
        facts=facts,
    )
    if path is not None:
        write_entry(path, found)
    return found


def stream_maps(
    model: Any,
    dataset: Dataset,
    *,
    spaces: Sequence[str] = ("probs",),
    batch_size: int = 8,
    progress: bool = True,
    **options: Any,
) -> Iterator[ImageRows]:
    """Yield all valid pixels of one image after the other, at label resolution.

    Takes the arguments of `extract`. An image whose pixels are all ignored yields
    arrays of no rows.

    Raises:
        TypeError, ValueError: settings, images, labels or output that cannot be used.
    """
    spaces = _check(dataset, spaces, batch_size)
    predictor = as_predictor(model, **options)
    return _stream(predictor, dataset, spaces, batch_size, progress)


def _origin(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return the facts of what is run on what."""
    return {
        "model": predictor.name,
        "weights": predictor.digest,
        "source_class_names": list(predictor.class_names),
        "preprocessing": strict(dataclasses.asdict(predictor.preprocessing)),
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
    }


def _check(dataset: Dataset, spaces: Sequence[str], batch_size: int) -> tuple[str, ...]:
    wrong = [space for space in spaces if space not in FEATURE_SPACES]
    if wrong or not spaces or isinstance(spaces, str):
        raise ValueError(
            f"spaces: {spaces!r}; expected some of {', '.join(FEATURE_SPACES)}, "
            "as a tuple"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size: {batch_size} is less than 1")
    if not len(dataset):
        raise ValueError(f"dataset: {dataset.name} has no image")
    return tuple(space for space in FEATURE_SPACES if space in spaces)


def _cache_entry(cache: Cache, facts: dict[str, Any], dataset: Dataset) -> Path | None:
    folder = cache_folder(cache)
    if folder is None:
        return None
    for name in ("weights", "fingerprint"):
        if not facts[name]:
            log.info(
                "%s on %s: not cached, its %s has no identity (digest=)",
                *(facts["model"], facts["data"], name),
            )
            return None
    names = [dataset.class_names, dataset.ignore, dataset.image_ids]
    return entry(folder, {**facts, "dataset": names})


def _extract(
    predictor: Predictor,
    dataset: Dataset,
    spaces: tuple[str, ...],
    facts: dict[str, Any],
    batch_size: int,
    progress: bool,
) -> FeatureSet:
    drawn = _draw(dataset, facts)
    columns: dict[str, np.ndarray] = {}
    predictions, classes = np.empty(len(drawn), np.int32), 0
    batches = forward(
        predictor,
        dataset,
        np.unique(drawn.image).tolist(),  # an image without a drawn pixel is not run
        spaces=spaces,
        batch_size=batch_size,
        progress=progress,
    )
    for batch in batches:
        ends = np.searchsorted(drawn.image, [batch.indices[0], batch.indices[-1] + 1])
        rows = slice(*ends.tolist())
        image = drawn.image[rows]
        place = np.searchsorted(batch.indices, image)
        coordinates = np.column_stack([place, drawn.row[rows], drawn.column[rows]])
        values = values_at(batch.maps, coordinates, drawn.sizes[image], spaces)
        check_finite(predictor, dataset, values, image)
        for name, array in values.features.items():
            if name not in columns:
                columns[name] = np.empty((len(drawn), array.shape[1]), np.float32)
            columns[name][rows] = array
        predictions[rows], classes = values.predictions, values.classes
    return FeatureSet(
        features=columns,
        labels=drawn.labels,
        predictions=predictions,
        image=drawn.image,
        image_ids=dataset.image_ids,
        class_names=dataset.class_names,
        source_class_names=predictor.class_names or tuple(map(str, range(classes))),
        ignore=dataset.ignore,
        facts={**facts, "kept": len(drawn), "total_valid": drawn.total_valid},
    )


def _draw(dataset: Dataset, facts: dict[str, Any]) -> Pixels:
    """Draw the pixels in a pass over the labels."""
    first = label_map(dataset, dataset[0])
    if first.shape == (1, 1) and facts["strategy"] == "boundary":
        raise ValueError(
            f"strategy: {dataset.name} has one label per image, so no boundaries"
        )
    drawn = draw_pixels(
        (label_map(dataset, dataset[i]) for i in range(len(dataset))),
        image_ids=dataset.image_ids,
        # The data as loaded: a selection or a map of labels draws the same pixels.
        identity=dataset.fingerprint.split("|")[0] or dataset.name,
        pixels=facts["pixels"],
        ignore=dataset.ignore,
        strategy=facts["strategy"],
        radius=facts["radius"] or RADIUS,
        seed=facts["seed"],
    )
    if len(drawn) < facts["pixels"] and first.shape != (1, 1):
        log.warning(
            "%s: %d pixels asked for, only %d to draw (strategy %s)",
            *(dataset.name, facts["pixels"], len(drawn), facts["strategy"]),
        )
    return drawn


def _stream(
    predictor: Predictor,
    dataset: Dataset,
    spaces: tuple[str, ...],
    batch_size: int,
    progress: bool,
) -> Iterator[ImageRows]:
    batches = forward(
        predictor,
        dataset,
        range(len(dataset)),
        spaces=spaces,
        batch_size=batch_size,
        progress=progress,
    )
    for batch in batches:
        for place, index in enumerate(batch.indices):
            label = batch.labels[place]
            row, column = np.nonzero(label != dataset.ignore)
            coordinates = np.column_stack([np.full(len(row), place), row, column])
            size = np.asarray(label.shape)
            values = values_at(batch.maps, coordinates, size, spaces)
            check_finite(predictor, dataset, values, np.full(len(row), index))
            labels = label[row, column].astype(np.int32)
            yield ImageRows(values.features, labels, values.predictions, index)

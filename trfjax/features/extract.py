"""Run a network over a data set and keep what scores need, in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.features.cache import Cache, kept_features
from trfjax.features.featureset import SCHEMA, FeatureSet
from trfjax.features.forward import check_finite, forward, label_map, values_at
from trfjax.features.pixels import RADIUS, Pixels, check_drawing, draw_pixels
from trfjax.features.predictor import Predictor, as_predictor
from trfjax.features.request import checked_spaces, origin, with_their_labels

log = logging.getLogger("trfjax")


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

    Returns:
        Features, labels and predictions of the pixels drawn.

    Raises:
        TypeError, ValueError: settings, images, labels or output that cannot be used.
    """
    spaces = checked_spaces(dataset, spaces, batch_size)
    check_drawing(pixels, strategy, radius, seed)
    predictor = as_predictor(model, **options)
    dataset = with_their_labels(predictor, dataset, spaces, batch_size)
    facts: dict[str, Any] = {
        **origin(predictor, dataset),
        "schema": SCHEMA,
        "spaces": list(spaces),
        "pixels": pixels,
        "strategy": strategy,
        "radius": radius if strategy == "boundary" else None,
        "seed": seed,
    }

    def work() -> FeatureSet:
        return _extract(predictor, dataset, spaces, facts, batch_size, progress)

    return kept_features(cache, facts, dataset, FeatureSet.load, work)


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

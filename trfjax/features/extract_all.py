"""Run a network over a data set and compress all its pixels, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trfjax.atoms.compress import ATOMS, VERSION
from trfjax.data.dataset import Dataset
from trfjax.features.cache import Cache, kept_features
from trfjax.features.compressed import (
    SCHEMA,
    CompressedSet,
    Compression,
    compress_images,
)
from trfjax.features.predictor import as_predictor
from trfjax.features.request import checked_spaces, origin, with_their_labels
from trfjax.features.stream import stream
from trfjax.typing import FeatureSpace


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
    spaces = checked_spaces(dataset, into.spaces, batch_size)
    predictor = as_predictor(model, **options)
    dataset = with_their_labels(predictor, dataset, spaces, batch_size)
    facts: dict[str, Any] = {
        **origin(predictor, dataset),
        "schema": SCHEMA,
        "kind": "all",
        "compression": VERSION,
        "atoms": dict(into.atoms),
        "moments": list(into.moments),
        "seed": seed,
    }

    def work() -> CompressedSet:
        images = stream(predictor, dataset, spaces, batch_size, progress)
        return compress_images(
            (row[:3] for row in images),
            dataset.image_ids,
            class_names=dataset.class_names,
            source_class_names=predictor.class_names,
            ignore=dataset.ignore,
            into=into,
            facts=facts,
        )

    return kept_features(cache, facts, dataset, CompressedSet.load, work)

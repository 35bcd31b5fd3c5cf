"""Every kind of data set, and where its files lie."""

from __future__ import annotations

from collections.abc import Iterator

from trfjax.data.classification import SOURCES
from trfjax.data.layouts import LAYOUTS
from trfjax.data.medical.layouts import VOLUME_LAYOUTS

_MADE = {
    "synthetic:CITY": "drawn on the spot, no files",
    "brains:HOSPITAL": "drawn on the spot, no files",
    "photographs": "images that nobody has labelled, of any size, in any folders",
    "tfds:FOLDER": "a builder that TensorFlow Datasets has prepared in that folder",
}
_LABELLED = {
    "mnist": "IDX files as published, gzipped or not",
    "usps": "usps.h5",
    "omniglot": "*.zip, or folders ALPHABET/CHARACTER/",
    "image-folder": "CLASS/*.jpg, or SPLIT/CLASS/*.jpg",
    "pacs": "DOMAIN/CLASS/*.jpg",
}


def kinds() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the name of every kind of data set, and where its files lie."""
    for name, layout in LAYOUTS.items():
        labels = (path for files in layout.labels for path in files.paths)
        yield name, (*layout.images, *labels)
    for name in SOURCES:
        yield name, (_LABELLED.get(name, ""),)
    for name, volumes in VOLUME_LAYOUTS.items():
        yield name, (*volumes.images, *volumes.masks)
    for name, words in _MADE.items():
        yield name, (words,)

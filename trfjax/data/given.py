"""Labelled images a user has in memory, in any common container, as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trfjax.arrays import to_array
from trfjax.data.dataset import Dataset
from trfjax.data.given_images import as_bytes, as_images, as_pixels
from trfjax.data.labels import LabelMap
from trfjax.typing import IGNORE

IMAGE_KEYS = ("image", "img", "pixel_values")
LABEL_KEYS = ("label", "labels", "mask", "segmentation_mask", "annotation")
Pair = tuple[np.ndarray, np.ndarray]  # (h, w, c) uint8, (h, w) or () int32


def as_dataset(
    data: Any,
    *,
    name: str = "given images",
    class_names: Sequence[str] | None = None,
    ignore: int = IGNORE,
) -> Dataset:
    """Return labelled images as a `Dataset`; one that is given stays as it is.

    Everything is read once and held in memory as uint8.

    Args:
        data: a `Dataset`; a pair of arrays `(images, labels)`, NumPy, JAX or torch:
            images `(n, h, w, c)` or `(n, h, w)`, uint8 or floats in `[0, 1]` (torch
            tensors may be `(n, c, h, w)`), labels `(n, h, w)` or `(n,)`; a pair
            `(images, None)` of images that nobody has labelled; or anything
            to iterate over, such as a torch `Dataset` or `DataLoader`, a Hugging Face
            or tfds data source, or a list: of pairs `(image, label)`, single or in
            batches, or of mappings with one of the keys "image", "img",
            "pixel_values" and one of "label", "labels", "mask", "segmentation_mask",
            "annotation".
        name: what the set is called.
        class_names: in the order of the ids; by default the ids themselves.
        ignore: the label that counts for nothing.

    Returns:
        The data set, of which nothing is read again.

    Raises:
        TypeError, ValueError: something else, images and labels that do not belong
            together, one-hot labels, labels outside the classes.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, tuple) and len(data) == 2 and data[1] is None:
        return as_images(data[0], name=name)
    pairs = [
        _pair(*found, where=f"{name}: image {i}")
        for i, found in enumerate(_pairs(data, name))
    ]
    if not pairs:
        raise ValueError(f"{name}: holds no image")
    classes = _classes(pairs, class_names, ignore, name)
    state = hashlib.sha256()
    for array in (part for pair in pairs for part in pair):
        state.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    ids = tuple(f"{i:05d}" for i in range(len(pairs)))
    fingerprint = f"given-{state.hexdigest()[:24]}"
    labels = LabelMap(classes, ignore=ignore)
    return Dataset(
        name=name,
        labels=labels,
        image_ids=ids,
        read=pairs.__getitem__,
        groups=ids,
        fingerprint=fingerprint,
    )


def _pairs(data: Any, name: str) -> Iterator[tuple[Any, Any]]:
    """Yield an image and its label at a time, whatever they come in."""
    if isinstance(data, tuple) and len(data) == 2 and _many(data[0]):
        yield from _unbatched(*data, where=name)
        return
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        items = data
        data = (items[i] for i in range(len(items)))
    if not isinstance(data, Iterable):
        raise TypeError(
            f"{name}: {type(data).__name__} is no data set; give (images, labels), or "
            "something to iterate over that yields pairs or mappings of both"
        )
    for i, item in enumerate(data):
        image, label = _of_item(item, f"{name}: item {i}")
        if _many(image) and np.ndim(image) == 4:
            yield from _unbatched(image, label, where=f"{name}: item {i}")
        else:
            yield image, label


def _many(images: Any) -> bool:
    return not isinstance(images, str | Mapping) and np.ndim(images) >= 3


def _of_item(item: Any, where: str) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        keys = [
            next((k for k in wanted if k in item), None)
            for wanted in (IMAGE_KEYS, LABEL_KEYS)
        ]
        if None in keys:
            raise ValueError(
                f"{where}: has the keys {', '.join(map(str, item))}; one of "
                f"{', '.join(IMAGE_KEYS)} and one of {', '.join(LABEL_KEYS)} is needed"
            )
        return item[keys[0]], item[keys[1]]
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    raise TypeError(
        f"{where}: {type(item).__name__} is neither a pair (image, label) nor a mapping"
    )


def _unbatched(images: Any, labels: Any, where: str) -> Iterator[tuple[Any, Any]]:
    if len(images) != len(labels):
        raise ValueError(
            f"{where}: {len(images)} images and {len(labels)} labels; there must be "
            "one label, or label map, for each image"
        )
    if hasattr(images, "detach") and np.ndim(images) == 4 and images.shape[1] in (1, 3):
        images = np.moveaxis(np.asarray(to_array("images", images)), 1, -1)
    yield from zip(images, labels, strict=True)


def _pair(image: Any, label: Any, *, where: str) -> Pair:
    """Return an image as `(h, w, c)` uint8 and its label as int32."""
    pixels = as_pixels(image, where)
    ids = np.asarray(to_array(f"{where}: label", label))
    if ids.ndim == 3 and ids.shape[-1] == 1:
        ids = ids[..., 0]  # tfds keeps the axis of channels
    if pixels.ndim != 3 or ids.shape not in ((), pixels.shape[:2]):
        hint = " Channels come last." if pixels.shape[:1] in ((1,), (3,)) else ""
        one_hot = ids.ndim in (1, 3) and set(np.unique(ids).tolist()) <= {0, 1}
        if one_hot:
            hint = " The labels look one-hot: take their argmax over the classes."
        raise ValueError(
            f"{where}: shape {pixels.shape} with a label of shape {ids.shape}; "
            f"expected (h, w, c) with (h, w), or with one number.{hint}"
        )
    if ids.dtype.kind not in "iub":
        raise TypeError(f"{where}: the label is {ids.dtype}; class ids are integers")
    return as_bytes(pixels, where), ids.astype(np.int32)


def _classes(
    pairs: Sequence[Pair], names: Sequence[str] | None, ignore: int, where: str
) -> tuple[str, ...]:
    """Return the class names, and hold the labels against them."""
    seen = sorted({int(i) for _, label in pairs for i in np.unique(label)} - {ignore})
    if not seen:
        raise ValueError(f"{where}: every label is ignored (ignore={ignore})")
    count = seen[-1] + 1 if names is None else len(names)
    if seen[0] < 0 or seen[-1] >= count or (names is None and count > 1_000):
        raise ValueError(
            f"{where}: labels from {seen[0]} to {seen[-1]} for "
            f"{'classes numbered from 0' if names is None else f'{count} classes'}; "
            f"pass ignore= for void pixels (now {ignore}), or class_names="
        )
    return tuple(map(str, range(count))) if names is None else tuple(names)

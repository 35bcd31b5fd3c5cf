"""Images without labels that a user has in memory, as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from trfjax.arrays import to_array
from trfjax.data.dataset import Dataset
from trfjax.data.labels import NO_LABELS


def as_images(images: Any, *, name: str = "given images") -> Dataset:
    """Return images without labels as a data set; one that is given loses its labels.

    Args:
        images: a `Dataset`; images `(n, h, w, c)` or `(n, h, w)`, NumPy, JAX or torch,
            uint8 or floats in `[0, 1]` (torch tensors may be `(n, c, h, w)`); or a
            sequence of single ones, whose sizes may differ; or one image `(h, w, 3)`.
        name: what the set is called.

    Raises:
        TypeError, ValueError: something else, or no image at all.
    """
    if isinstance(images, Dataset):
        return without_labels(images)
    if not hasattr(images, "__len__") or isinstance(images, str | bytes):
        raise TypeError(
            f"images: {type(images).__name__} is neither an array (n, h, w, c) nor a "
            "sequence of arrays (h, w, c)"
        )
    shape = tuple(getattr(images, "shape", ()))
    if len(shape) == 3 and shape[-1] in (1, 3):
        images = [images]
    ready = [
        as_bytes(as_pixels(image, f"images: {i}"), f"images: {i}")
        for i, image in enumerate(images)
    ]
    if not ready:
        raise ValueError("images: there is none")
    return unlabelled(ready, name=name)


def as_pixels(image: Any, where: str) -> np.ndarray:
    """Return an image with its channels last, `(h, w, c)`."""
    torch = hasattr(image, "detach")
    pixels = np.asarray(to_array(where, image))
    if torch and pixels.ndim == 3 and pixels.shape[0] in (1, 3):
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def as_bytes(pixels: np.ndarray, where: str) -> np.ndarray:
    """Return an image as uint8.

    Raises:
        ValueError: no image, or values that are not within `[0, 1]`.
    """
    if pixels.ndim != 3 or not pixels.size:
        raise ValueError(f"{where}: shape {pixels.shape}, expected (h, w, c)")
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    values = pixels.astype(np.float64)
    if pixels.dtype.kind == "f" and values.min() >= 0 and values.max() <= 1:
        return np.round(values * 255).astype(np.uint8)
    raise ValueError(
        f"{where}: {pixels.dtype} from {values.min():g} to {values.max():g}; images "
        "are uint8, or floats in [0, 1]. Undo a normalisation: that of the network is "
        "applied to them"
    )


def unlabelled(
    images: Sequence[np.ndarray] | np.ndarray,
    *,
    name: str = "given images",
    image_ids: Sequence[str] | None = None,
) -> Dataset:
    """Return a data set of images that nobody has labelled; every pixel counts.

    Args:
        images: `(h, w, c)` uint8 each; sizes may differ.
        name: what the set is called.
        image_ids: their names; numbers by default.
    """
    ids = tuple(image_ids or (f"{i:05d}" for i in range(len(images))))
    state = hashlib.sha256()
    for image in images:
        state.update(f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes())

    def read(position: int) -> tuple[np.ndarray, np.ndarray]:
        image = images[position]
        return image, nothing(image)

    fingerprint = f"given-{state.hexdigest()[:24]}"
    return Dataset(
        name=name,
        labels=NO_LABELS,
        image_ids=ids,
        read=read,
        groups=ids,
        fingerprint=fingerprint,
    )


def without_labels(dataset: Dataset) -> Dataset:
    """Return the same images as if nobody had labelled them."""
    if not dataset.labelled:
        return dataset

    def bare(image: np.ndarray, label: Any) -> tuple[np.ndarray, np.ndarray]:
        return image, np.zeros_like(label)

    changed = dataset.map(bare, tag="no labels")
    return Dataset(
        name=dataset.name,
        labels=NO_LABELS,
        image_ids=dataset.image_ids,
        read=changed.read,
        groups=dataset.groups,
        fingerprint=changed.fingerprint,
        order=dataset.order,
        unit=dataset.unit,
    )


def nothing(image: np.ndarray) -> np.ndarray:
    """Return the label map of an image without labels; it takes no memory."""
    return np.broadcast_to(np.int32(0), image.shape[:2])

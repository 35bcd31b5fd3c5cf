"""What a network says of images: a class for every pixel, or for every image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int32
from PIL import Image

from trfjax.data.dataset import Dataset
from trfjax.data.given_images import as_images, nothing, unlabelled
from trfjax.data.photographs import find_photographs
from trfjax.features.featureset import softmax
from trfjax.features.forward import Batch, forward
from trfjax.features.predictor import Predictor, as_predictor
from trfjax.numbers import as_count


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of a network for one image.

    Attributes:
        image_id: which image.
        class_names: of the network; numbers where they are not known.
        probs: probability of every class, as the network's map has it; `(k,)` where it
            gives one class an image.
        mask: the most probable class of every pixel of the image; `()` likewise.
        confidence: its probability.
    """

    image_id: str
    class_names: tuple[str, ...]
    probs: Float[np.ndarray, "*map k"]
    mask: Int32[np.ndarray, "*image"]
    confidence: Float[np.ndarray, "*image"]

    @property
    def shares(self) -> dict[str, float]:
        """Share of the pixels that every class has, or its probability."""
        if self.mask.ndim == 0:
            values = self.probs
        else:
            counts = np.bincount(self.mask.ravel(), minlength=len(self.class_names))
            values = counts / self.mask.size
        return dict(zip(self.class_names, map(float, values), strict=True))

    def __str__(self) -> str:
        shares = sorted(self.shares.items(), key=lambda item: -item[1])
        parts = ", ".join(f"{name} {share:.0%}" for name, share in shares[:4])
        return f"{self.image_id}: {parts}"

    __repr__ = __str__


def predict(
    model: Any,
    images: Any,
    *,
    size: tuple[int, int] | None = None,
    batch_size: int = 8,
    progress: bool = True,
    **options: Any,
) -> list[Prediction]:
    r"""Return what a network says of images: masks and probabilities.

    An image is resized to what the network was trained at, and the probabilities are
    resized back to the image, linearly; a pixel gets the class of the largest.

    Args:
        model: anything `as_predictor` takes, such as a `TrainedModel`.
        images: images `(n, h, w, c)`, uint8 or floats in `[0, 1]`; a sequence of
            `(h, w, c)` of any sizes; a `Dataset`, whose labels are not looked at; or
            folders and files of photographs.
        size: height and width that the network sees; by default what it was trained
            at, or the image's own where nothing says.
        batch_size: images at a time; halved when memory runs out.
        progress: show a bar on a terminal.
        **options: of `as_predictor`, such as `preprocessing` or `class_names`.

    Returns:
        One `Prediction` an image, in their order.

    Raises:
        TypeError, ValueError: images or output that cannot be used.
        FileNotFoundError, DataError: photographs that cannot be.
    """
    as_count("batch_size", batch_size)
    predictor = sized(as_predictor(model, **options), size)
    data = _opened(images, predictor)
    if not len(data):
        raise ValueError("images: there is none")
    one_shape = hasattr(images, "shape") or predictor.input_size is not None
    batches = forward(
        predictor,
        data,
        range(len(data)),
        spaces=("probs",),
        batch_size=batch_size if one_shape else 1,
        progress=progress,
    )
    return [found for batch in batches for found in _of_batch(batch, data, predictor)]


def sized(predictor: Predictor, size: tuple[int, int] | None) -> Predictor:
    """Return the network with images at another size; None changes nothing."""
    if size is None:
        return predictor
    changed = dataclasses.replace(predictor.preprocessing, size=size)
    return dataclasses.replace(predictor, preprocessing=changed)


def channels_of(predictor: Predictor) -> int:
    """Return how many channels the photographs need: 1 where a network says so."""
    one = len(predictor.preprocessing.mean) == 1 and predictor.input_size is not None
    return 1 if one else 3


def _opened(images: Any, predictor: Predictor) -> Dataset:
    """Return the images as a data set whose labels only tell their size."""
    paths = [images] if isinstance(images, str | Path) else images
    if isinstance(paths, Sequence) and all(isinstance(p, str | Path) for p in paths):
        found, _ = find_photographs(paths)
        read = [one.read(channels_of(predictor))[0] for one in found]
        return unlabelled(read, name="photographs", image_ids=[p.name for p in found])
    data = as_images(images)
    return data.map(lambda image, _: (image, nothing(image)), tag="of the image's size")


def _of_batch(
    batch: Batch, data: Dataset, predictor: Predictor
) -> Iterator[Prediction]:
    maps = batch.maps
    probs = np.asarray(
        maps["probs"] if "probs" in maps else softmax(np.asarray(maps["logits"])),
        np.float32,
    )
    names = predictor.class_names or tuple(map(str, range(probs.shape[-1])))
    for place, index in enumerate(batch.indices):
        found = probs[place]
        if not np.isfinite(found).all():
            raise ValueError(
                f"{predictor.name}: its output for image {data.image_ids[index]} is "
                "NaN or infinite; check its weights and preprocessing"
            )
        if found.shape[:2] == (1, 1) and batch.labels[place].size > 1:
            found = found[0, 0]
            mask, sure = np.int32(found.argmax()), found.max()
        else:
            mask, sure = largest(found, batch.labels[place].shape)
        yield Prediction(
            data.image_ids[index], names, found, np.asarray(mask), np.asarray(sure)
        )


def largest(
    probs: Float[np.ndarray, "h w k"], size: tuple[int, ...]
) -> tuple[Int32[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """Return the most probable class at every pixel of another size, and how probable.

    One class is resized at a time, so that a large photograph takes little memory.
    """
    height, width = size
    mask, best = np.zeros((height, width), np.int32), np.full(size, -1, np.float32)
    for index in range(probs.shape[-1]):
        plane = np.ascontiguousarray(probs[..., index])
        if plane.shape != size:
            scaled = Image.fromarray(plane).resize(
                (width, height), Image.Resampling.BILINEAR
            )
            plane = np.asarray(scaled)
        better = plane > best
        mask[better], best[better] = index, plane[better]
    return mask, best

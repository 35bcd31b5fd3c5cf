"""Run a network over the images of a data set, a batch of one shape at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool
from tqdm.auto import tqdm

from trfjax.data.batches import prefetch
from trfjax.data.dataset import Dataset, Example
from trfjax.features.head import head_predictions, softmax
from trfjax.features.levels import LEVEL, levels_of
from trfjax.features.predictor import Maps, Predictor
from trfjax.features.sampling import sample_maps
from trfjax.typing import AnyArray

log = logging.getLogger("trfjax")


class Batch(NamedTuple):
    """Some images, as the network sees them."""

    indices: list[int]  # in the data set, ascending
    labels: list[np.ndarray]  # (h, w) each, (1, 1) in classification
    maps: Maps  # of at least as many images; the rest is padding


class Values(NamedTuple):
    """The output of a network at some pixels."""

    features: dict[str, np.ndarray]  # space -> (n, d) float32
    predictions: np.ndarray  # (n,) int32
    classes: int  # of the head


def label_map(dataset: Dataset, example: Example) -> np.ndarray:
    """Return the label as a map, `(1, 1)` in classification.

    Raises:
        ValueError: a label that does not fit its image, or that is no class.
    """
    label, image = example["label"], example["image"]
    where = f"{dataset.name}: {example['image_id']}"
    if label.shape not in ((), image.shape[:2]):
        raise ValueError(
            f"{where}: label of shape {label.shape} for an image of shape "
            f"{image.shape}; resize them together (trfjax.data.resize)"
        )
    wrong = (label != dataset.ignore) & ((label < 0) | (label >= dataset.num_classes))
    if wrong.any():
        raise ValueError(
            f"{where}: label {label[wrong].flat[0]} is outside "
            f"0..{dataset.num_classes - 1} (ignore={dataset.ignore}). Load the data "
            "set with the label map its files were made with."
        )
    return label.reshape(1, 1) if label.ndim == 0 else label


def forward(
    predictor: Predictor,
    dataset: Dataset,
    indices: Sequence[int],
    *,
    spaces: Sequence[str],
    batch_size: int,
    progress: bool,
) -> Iterator[Batch]:
    """Run the network over some images; in smaller batches if memory runs out.

    Args:
        predictor: the network.
        dataset: where the images are read, up to two batches ahead.
        indices: ascending positions in it.
        spaces: the feature spaces wanted.
        batch_size: images at a time, at most.
        progress: show a bar on a terminal.

    Raises:
        ValueError: images, labels or output that cannot be used.
    """
    size = min(batch_size, len(indices))
    parts = [list(indices[i : i + size]) for i in range(0, len(indices), size)]

    def read(part: list[int]) -> tuple[list[int], np.ndarray, list[np.ndarray]]:
        examples = [dataset[i] for i in part]
        labels = [label_map(dataset, example) for example in examples]
        return part, predictor.prepare([e["image"] for e in examples]), labels

    title = f"{predictor.name} on {dataset.name}"
    # disable=None: shown on a terminal only.
    # It goes when it is done: those of all sources would fill the terminal.
    hidden = None if progress else True
    bar = tqdm(total=len(indices), desc=title, disable=hidden, leave=False)
    with bar:
        for part, images, labels in prefetch(map(read, parts)):
            start = 0
            while start < len(part):
                chunk = slice(start, start + size)
                try:
                    maps = predictor.maps(_filled(images[chunk], size), spaces)
                    maps = jax.block_until_ready(maps)
                except (MemoryError, RuntimeError) as error:
                    if size == 1 or not is_out_of_memory(error):
                        raise
                    size //= 2
                    log.warning("%s: out of memory; %d images at a time", title, size)
                    continue
                _check_kind(predictor, dataset, maps, labels[start])
                yield Batch(part[chunk], labels[chunk], maps)
                bar.update(len(part[chunk]))
                start += size


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether a network failed for want of memory."""
    texts = ("RESOURCE_EXHAUSTED", "out of memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)


def values_at(
    maps: Maps, coordinates: np.ndarray, sizes: np.ndarray, spaces: Sequence[str]
) -> Values:
    """Return what the maps say at pixels.

    Args:
        maps: of a batch.
        coordinates: `(n, 3)` integers: image in the batch, row, column.
        sizes: `(2,)` or `(n, 2)` height and width of the label they refer to.
        spaces: the feature spaces wanted.
    """
    return values_of(
        {name: sample_maps(array, coordinates, sizes) for name, array in maps.items()},
        spaces,
    )


def values_of_image(
    maps: Maps, place: int, valid: Bool[np.ndarray, "h w"], spaces: Sequence[str]
) -> Values:
    """Return what the maps say at all valid pixels of one image.

    Args:
        maps: of a batch.
        place: of the image in it.
        valid: on the grid of the label.
        spaces: the feature spaces wanted.
    """
    row, column = np.nonzero(valid)
    coordinates = np.column_stack([np.full(len(row), place), row, column])

    def rows(array: AnyArray) -> np.ndarray:
        if array.shape[1:3] != valid.shape:
            return sample_maps(array, coordinates, np.asarray(valid.shape))
        image = np.asarray(array)[place]  # once for the batch: JAX keeps what it copied
        return image.reshape(len(row), -1) if valid.all() else image[valid]

    return values_of({name: rows(array) for name, array in maps.items()}, spaces)


def values_of(read: dict[str, np.ndarray], spaces: Sequence[str]) -> Values:
    """Return what rows of maps say, `(n, d)` each."""
    read = {name: rows.astype(np.float32, copy=False) for name, rows in read.items()}
    if "levels" in spaces:
        read["levels"] = levels_of(read)
    if "probs" in spaces and "probs" not in read:
        read["probs"] = softmax(read["logits"])
    head = read["logits"] if "logits" in read else read["probs"]
    return Values(
        {space: read[space] for space in spaces},
        head_predictions(read, len(head)),
        head.shape[1],
    )


def check_finite(
    predictor: Predictor, dataset: Dataset, values: Values, image: np.ndarray
) -> None:
    """Refuse NaN and infinity; `image` is `(n,)`, the image of every row.

    Raises:
        ValueError: with the first image it happens on.
    """
    for name, array in values.features.items():
        with np.errstate(over="ignore", invalid="ignore"):  # looked at more closely
            if np.isfinite(array.reshape(-1) @ array.reshape(-1)):
                continue
        bad = ~np.isfinite(array).all(axis=1)
        if bad.any():
            raise ValueError(
                f"{predictor.name}: {name} are NaN or infinite, first for image "
                f"{dataset.image_ids[image[bad.argmax()]]}; check its weights and "
                "preprocessing"
            )


def _filled(images: np.ndarray, size: int) -> np.ndarray:
    """Fill a batch up with its last image, so that shapes never change."""
    return images[np.minimum(np.arange(size), len(images) - 1)]


def _check_kind(
    predictor: Predictor, dataset: Dataset, maps: Maps, label: np.ndarray
) -> None:
    """Refuse a classifier on label maps, and the other way round."""
    if not dataset.labelled:
        return
    vectors = label.shape == (1, 1)
    for name, array in maps.items():
        vector = array.shape[1:3] == (1, 1)
        inner = name == "penultimate" or name.startswith(LEVEL)
        if vectors != vector and (vectors or not inner):
            raise ValueError(
                f"{predictor.name}: {name} is {array.shape[1]} x {array.shape[2]} per "
                f"image, the labels of {dataset.name} are {label.shape}. A data set "
                "with one label per image needs vectors (average maps over their "
                "places); label maps need maps."
            )

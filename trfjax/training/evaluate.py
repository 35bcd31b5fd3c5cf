"""How well a network does on labelled images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int64

from trfjax.data import Dataset, LabelMap, load_batch
from trfjax.state import ModelCard, SourceModel, apply
from trfjax.training.losses import fit_labels, log_likelihood


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Counts of one network on one data set, and what follows from them."""

    class_names: tuple[str, ...]
    confusion: Int64[np.ndarray, "k k"]  # pixels: row is the truth, column the guess
    log_likelihood: float  # expected log p(y | x) per valid pixel, in nats, at most 0
    images: int

    @property
    def pixels(self) -> int:
        """Valid labels that were counted."""
        return int(self.confusion.sum())

    @property
    def class_iou(self) -> Float[np.ndarray, " k"]:
        """Intersection over union; NaN for a class that no pixel has."""
        true = self.confusion.sum(axis=1)
        union = true + self.confusion.sum(axis=0) - np.diag(self.confusion)
        return _ratio(np.diag(self.confusion), np.where(true > 0, union, 0))

    @property
    def class_dice(self) -> Float[np.ndarray, " k"]:
        """Dice overlap of all images together; NaN for a class that no pixel has."""
        true = self.confusion.sum(axis=1)
        both = true + self.confusion.sum(axis=0)
        return _ratio(2 * np.diag(self.confusion), np.where(true > 0, both, 0))

    @property
    def class_accuracy(self) -> Float[np.ndarray, " k"]:
        """Share of the pixels of a class found; NaN for a class that no pixel has."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def miou(self) -> float:
        """Mean of `class_iou` over the classes that occur."""
        return float(np.nanmean(self.class_iou))

    @property
    def mean_class_accuracy(self) -> float:
        """Mean of `class_accuracy` over the classes that occur."""
        return float(np.nanmean(self.class_accuracy))

    @property
    def accuracy(self) -> float:
        """Share of the valid pixels that are right."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes that no pixel has; they are left out of the means."""
        missing = self.confusion.sum(axis=1) == 0
        return tuple(np.array(self.class_names, object)[missing].tolist())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; an absent class has None."""
        return {
            "accuracy": self.accuracy,
            "miou": self.miou,
            "mean_class_accuracy": self.mean_class_accuracy,
            "log_likelihood": self.log_likelihood,
            "images": self.images,
            "pixels": self.pixels,
            "absent": list(self.absent),
            "classes": {
                name: {"iou": _plain(iou), "accuracy": _plain(found), "pixels": int(n)}
                for name, iou, found, n in zip(
                    self.class_names,
                    self.class_iou,
                    self.class_accuracy,
                    self.confusion.sum(axis=1),
                    strict=True,
                )
            },
        }


def merged(parts: Sequence[Evaluation]) -> Evaluation:
    """Return the evaluation of all images together, from those of parts of them."""
    confusion = np.sum([part.confusion for part in parts], axis=0)
    total = sum(part.log_likelihood * part.pixels for part in parts)
    return Evaluation(
        parts[0].class_names,
        confusion,
        total / int(confusion.sum()),
        sum(part.images for part in parts),
    )


def evaluate(
    model: SourceModel, card: ModelCard, dataset: Dataset, *, batch_size: int = 8
) -> Evaluation:
    """Run a network over a data set and count.

    The log-likelihood is the empirical transferability of Definition 1 in Tan et al.,
    "OTCE: A Transferability Metric for Cross-Domain Cross-Task Representations",
    CVPR 2021, when the network was fine-tuned to the data set's task.

    Args:
        model: the network.
        card: its class names and normalisation.
        dataset: labelled images; its classes are found in the card by name.
        batch_size: images at a time; it changes the memory, not the result.

    Raises:
        ValueError: a class the network does not know, or no valid pixel at all.
    """
    dataset = align(dataset, card.class_names)
    k = dataset.num_classes
    confusion = np.zeros((k, k), np.int64)
    total = 0.0
    scale = normalisation(card)
    for images, labels in chunks(dataset, min(batch_size, len(dataset))):
        counts, likelihoods = _count(model, images, labels, scale, dataset.ignore)
        confusion += np.asarray(counts, np.int64)
        total += float(np.asarray(likelihoods, np.float64).sum())
    if not confusion.any():
        raise ValueError(
            f"{dataset.name}: nothing to evaluate: all labels of its {len(dataset)} "
            f"images are the ignore value {dataset.ignore}"
        )
    return Evaluation(
        card.class_names, confusion, total / int(confusion.sum()), len(dataset)
    )


def align(dataset: Dataset, class_names: tuple[str, ...]) -> Dataset:
    """Return the data set with the class indices that `class_names` have.

    Raises:
        ValueError: a class of the data set that is not among the names.
    """
    if dataset.class_names == class_names:
        return dataset
    unknown = [name for name in dataset.class_names if name not in class_names]
    if unknown:
        raise ValueError(
            f"{dataset.name}: class {unknown[0]!r} is not one the network knows "
            f"({', '.join(class_names)}). Fine-tune the network to these labels, or "
            "load the data set with another label map."
        )
    index = {i: class_names.index(name) for i, name in enumerate(dataset.class_names)}
    inside = 0 <= dataset.ignore < len(class_names)  # an index in the longer list
    ignore = -1 if inside else dataset.ignore
    change = LabelMap(class_names, {**index, dataset.ignore: ignore}, ignore)
    moved = dataset.map(
        lambda image, label: (image, change(label)), tag=f"align:{class_names}"
    )
    return dataclasses.replace(moved, labels=LabelMap(class_names, ignore=ignore))


def check_labels(dataset: Dataset, labels: np.ndarray) -> None:
    """Refuse labels that are no class; on the device they would not be noticed.

    Raises:
        ValueError: the first such label.
    """
    wrong = (labels != dataset.ignore) & (
        (labels < 0) | (labels >= dataset.num_classes)
    )
    if wrong.any():
        raise ValueError(
            f"{dataset.name}: label {labels[wrong][0]} is outside "
            f"0..{dataset.num_classes - 1} (ignore={dataset.ignore}). Load the data "
            "set with the label map its files were made with."
        )


def normalisation(card: ModelCard) -> Float[Array, "2 c"]:
    """Return the mean and the standard deviation of the card's images."""
    return jnp.asarray([card.mean, card.std], jnp.float32)


def standardise(
    pixels: Float[Array, "*b h w c"], scale: Float[Array, "2 c"]
) -> Float[Array, "*b h w c"]:
    """Return images in `[0, 1]` as a network takes them; see `normalisation`."""
    return (pixels - scale[0]) / scale[1]


def chunks(dataset: Dataset, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read in batches of one shape: the last is filled with ignored labels."""
    for start in range(0, len(dataset), size):
        indices = [min(i, len(dataset) - 1) for i in range(start, start + size)]
        images, labels = load_batch(dataset, indices)
        check_labels(dataset, labels)
        labels[len(dataset) - start :] = dataset.ignore
        yield images, labels


@jax.jit
def _count(
    model: SourceModel, images: Array, labels: Array, scale: Array, ignore: Array
) -> tuple[Int[Array, "k k"], Float[Array, " b"]]:
    """Count one batch; sums are per image, so that float32 loses nothing."""
    logits = apply(model, standardise(images / 255.0, scale)).logits
    labels = fit_labels(labels, logits)
    k = logits.shape[-1]
    valid = labels != ignore
    truth = jnp.where(valid, labels, 0)
    cell = jnp.where(valid, truth * k + logits.argmax(axis=-1), k * k)
    counts = jnp.bincount(cell.reshape(-1), length=k * k + 1)[:-1].reshape(k, k)
    likelihood = jnp.where(valid, log_likelihood(logits, truth), 0)
    return counts, likelihood.reshape(len(labels), -1).sum(axis=1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.where(below > 0, above / np.maximum(below, 1), np.nan)


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

"""What a network does on images without labels: shares, entropy, information."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from trfjax.data import Dataset, LabelMap, load_batch
from trfjax.state import ModelCard, SourceModel, apply
from trfjax.training.evaluate import align, normalisation, standardise

RARE = 1e-3  # the share of pixels above which a class is missed when it is gone
SURE = 1e-2  # entropy below which predictions have collapsed to certainty
BATCH = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    r"""The predictions of a network on a whole target, without its labels."""

    class_names: tuple[str, ...]
    shares: Float[np.ndarray, " k"]  # of pixels, by predicted class
    entropy: float  # mean over pixels, over log K: 0 certain, 1 uniform
    information: float  # mutual information of pixel and class, in nats, at least 0

    def warnings(self, before: Look) -> tuple[str, ...]:
        """Return signs of collapse, compared with the look before adaptation."""
        found = [
            f"class {name!r} vanished: {100 * old:.1f} % of the target was predicted "
            f"as such before, {100 * new:.2f} % is now"
            for name, old, new in zip(
                self.class_names, before.shares, self.shares, strict=True
            )
            if old > RARE and new < RARE / 10
        ]
        if self.entropy < SURE <= before.entropy:
            found.append(
                f"the entropy of predictions fell from {before.entropy:.3f} to "
                f"{self.entropy:.4f}: the network is certain of everything"
            )
        return tuple(found)


class Glance(NamedTuple):
    """The predictions of a network for a few images of a target, in numbers."""

    probs: np.ndarray  # (b, h, w, k) or (b, k)
    features: Array  # the penultimate map or vector; stays on the device


def look(model: SourceModel, card: ModelCard, images: Dataset) -> Look:
    r"""Run a network over a target and sum up what it predicts; labels are not read.

    Information is $H(\bar p) - \overline{H(p)}$: large where every prediction is sure
    and all classes occur, 0 where all predictions are the same.

    Args:
        model: the network.
        card: its classes and normalisation.
        images: the target.
    """
    k = len(card.class_names)
    mean, counts, total, pixels = np.zeros(k), np.zeros(k), 0.0, 0
    for glance in glances(model, card, images):
        rows = glance.probs.reshape(-1, k).astype(np.float64)
        mean += rows.sum(axis=0)
        counts += np.bincount(rows.argmax(axis=1), minlength=k)
        total += _entropy(rows).sum()
        pixels += len(rows)
    information = float(_entropy(mean[None] / pixels)[0]) - total / pixels
    return Look(
        card.class_names,
        counts / pixels,
        total / pixels / math.log(max(k, 2)),
        max(information, 0.0),
    )


def glances(model: SourceModel, card: ModelCard, images: Dataset) -> Iterator[Glance]:
    """Yield what a network makes of a few images at a time, in evaluation mode."""
    scale, size = normalisation(card), min(BATCH, len(images))
    for start in range(0, len(images), size):
        rows = [min(i, len(images) - 1) for i in range(start, start + size)]
        batch, _ = load_batch(images, rows)  # of one shape; the last is filled up
        keep = len(images) - start
        probs, features = _outputs(model, batch, scale)
        yield Glance(np.asarray(probs)[:keep], features[:keep])


def known_part(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """Return a target as a network of other classes can be judged on it.

    Labels of classes that the network does not know are ignored.

    Raises:
        ValueError: no class in common.
    """
    unknown = [name for name in dataset.class_names if name not in names]
    if not unknown:
        return align(dataset, names)
    if len(unknown) == dataset.num_classes:
        raise ValueError(
            f"{dataset.name}: none of its classes ({', '.join(dataset.class_names)}) "
            f"is one the network knows ({', '.join(names)}). Load the data set with "
            "a label map that both share."
        )
    ignore = -1  # outside every list of classes
    ids = {
        i: names.index(name) if name in names else ignore
        for i, name in enumerate(dataset.class_names)
    }
    change = LabelMap(names, {**ids, dataset.ignore: ignore}, ignore)
    moved = dataset.map(
        lambda image, label: (image, change(label)), tag=f"known:{names}"
    )
    return dataclasses.replace(moved, labels=LabelMap(names, ignore=ignore))


@jax.jit
def _outputs(model: SourceModel, images: Array, scale: Array) -> tuple[Array, Array]:
    output = apply(model, standardise(images / 255.0, scale))
    return jax.nn.softmax(output.logits), output.features


def _entropy(probs: Float[np.ndarray, "*n k"]) -> np.ndarray:
    return -np.where(probs > 0, probs * np.log(np.maximum(probs, 1e-300)), 0).sum(-1)

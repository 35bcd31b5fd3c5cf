"""How well a network does on patients: Dice, lesions and surfaces of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from trfjax.data import Dataset
from trfjax.state import ModelCard, SourceModel, apply
from trfjax.statistics.interval import Interval, mean_interval
from trfjax.training import masks
from trfjax.training.evaluate import align, chunks, normalisation, standardise
from trfjax.training.losses import fit_labels


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """One volume of one patient: the truth and the guess, slice by slice."""

    patient: str
    truth: np.ndarray  # (slices, h, w) class indices or the ignore value
    predicted: np.ndarray  # (slices, h, w) class indices


@dataclasses.dataclass(frozen=True, eq=False)
class PatientEvaluation:
    """Predictions of one network for some patients, and what follows from them.

    Every measure is `(patients, classes)`, the mean over the volumes of a patient; NaN
    where a class is in neither the truth nor the guess. Class 0 is the background.
    """

    class_names: tuple[str, ...]
    series: tuple[Series, ...]
    ignore: int

    @property
    def patients(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(dict.fromkeys(series.patient for series in self.series))

    def dice(self) -> Float[np.ndarray, "p k"]:
        """Overlap of every patient and class, 0 to 1."""
        return self._each(masks.dice)

    def lesion_dice(self) -> Float[np.ndarray, "p k"]:
        """Dice lesion by lesion; see `trfjax.training.masks.lesions`."""
        return self._each(lambda guess, truth: masks.lesions(guess, truth).dice)

    def surface_distance(
        self, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ) -> Float[np.ndarray, "p k"]:
        """Average symmetric surface distance; infinite where one mask is empty.

        Args:
            spacing: mm between slices, rows and columns. All slices must be there, as
                with `Slicing(keep="all")`.
        """
        return self._each(
            lambda guess, truth: masks.surfaces(guess, truth, spacing).mean
        )

    def hd95(
        self, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ) -> Float[np.ndarray, "p k"]:
        """95th percentile of the Hausdorff distance, likewise."""
        return self._each(
            lambda guess, truth: masks.surfaces(guess, truth, spacing).hd95
        )

    def mean_dice(self, confidence: float = 0.95) -> Interval:
        """Mean over patients of their mean Dice of all classes but the background.

        Raises:
            ValueError: no patient shows any of the classes.
        """
        return over_patients(_mean(self.dice()[:, 1:]), confidence)

    def _each(
        self, measure: Callable[[np.ndarray, np.ndarray], float]
    ) -> Float[np.ndarray, "p k"]:
        values = [
            [
                measure((s.predicted == c) & (s.truth != self.ignore), s.truth == c)
                for c in range(len(self.class_names))
            ]
            for s in self.series
        ]
        rows = {name: [] for name in self.patients}
        for series, row in zip(self.series, values, strict=True):
            rows[series.patient].append(row)
        return np.array([_mean(np.array(found).T) for found in rows.values()])


def over_patients(
    values: Float[np.ndarray, " p"], confidence: float = 0.95
) -> Interval:
    """Return the mean over patients with Student's t interval; NaN is left out.

    Raises:
        ValueError: no patient has a value.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        raise ValueError("values: no patient has one; the class is in none of them")
    return mean_interval(known, confidence)


def evaluate_patients(
    model: SourceModel, card: ModelCard, dataset: Dataset, *, batch_size: int = 8
) -> PatientEvaluation:
    """Run a network over patients and keep what it says of every volume.

    Args:
        model: the network.
        card: its class names and normalisation.
        dataset: labelled slices; a group is a patient, and what comes before the last
            stroke of an image's name is its volume.
        batch_size: images at a time.

    Raises:
        ValueError: a class the network does not know.
    """
    return evaluate_together([model], card, dataset, batch_size=batch_size)


def evaluate_together(
    models: Sequence[SourceModel],
    card: ModelCard,
    dataset: Dataset,
    *,
    batch_size: int = 8,
) -> PatientEvaluation:
    """Evaluate several networks as one: the mean of their probabilities.

    Args:
        models: networks of one architecture, all with the card's classes.
        card: class names and normalisation.
        dataset: labelled slices, as for `evaluate_patients`.
        batch_size: images at a time.

    Raises:
        ValueError: no network, or a class they do not know.
    """
    if not models:
        raise ValueError("models: none given")
    data = align(dataset, card.class_names)
    scale = normalisation(card)
    truths: list[np.ndarray] = []
    guesses: list[np.ndarray] = []
    for images, labels in chunks(data, min(batch_size, len(data))):
        seen = [_probabilities(model, images, labels, scale) for model in models]
        probs = sum(np.asarray(probs) for probs, _ in seen)
        guesses += list(np.argmax(probs, axis=-1).astype(np.int32))
        truths += list(np.asarray(seen[0][1]))
    volumes: dict[tuple[str, str], list[int]] = {}
    for i, (group, name) in enumerate(zip(data.groups, data.image_ids, strict=True)):
        volumes.setdefault((group, name.rpartition("/")[0]), []).append(i)
    series = tuple(
        Series(
            patient,
            np.stack([truths[i] for i in rows]),
            np.stack([guesses[i] for i in rows]),
        )
        for (patient, _), rows in volumes.items()
    )
    return PatientEvaluation(card.class_names, series, data.ignore)


@jax.jit
def _probabilities(
    model: SourceModel, images: Array, labels: Array, scale: Array
) -> tuple[Float[Array, "b h w k"], Int[Array, "b h w"]]:
    """Return what a network says, and the labels at the same pixels."""
    logits = apply(model, standardise(images / 255.0, scale)).logits
    return jax.nn.softmax(logits), fit_labels(labels, logits)


def _mean(values: np.ndarray) -> np.ndarray:
    """Return row means over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)

"""How many target pixels have a pseudo label, and how many of those are right."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from trfjax.adaptation.look import BATCH
from trfjax.adaptation.method import Method, Setting
from trfjax.data import Dataset
from trfjax.state import ModelCard
from trfjax.training.evaluate import chunks, normalisation
from trfjax.training.step import State
from trfjax.training.supervised import Batch
from trfjax.typing import IGNORE


def pseudo_accuracy(
    method: Method, setting: Setting, state: State, card: ModelCard, target: Dataset
) -> dict[str, Any] | None:
    """Return share and accuracy of the pseudo labels that the state would give.

    Args:
        method: that gives them; None is returned where it gives none.
        setting: it is used in.
        state: after the last step; the labels are those of the last round.
        card: says how images are normalised.
        target: labelled images of the network's classes; for reporting only.

    Returns:
        "share" of the pixels with a true label that have a pseudo label; "accuracy" of
        those; and by class of the truth "share" and "recall", by class of the pseudo
        label "precision". None where nothing is counted.
    """
    if type(method).label is Method.label:
        return None
    k = target.num_classes
    counts = np.zeros((k, k + 1), np.int64)  # truth by pseudo label; the last: none

    scale = normalisation(card)

    @jax.jit
    def label(state: State, images: Array, hidden: Array) -> Array:
        batch = Batch(images, hidden, np.int32(IGNORE), scale)
        return method.label(setting, state, batch)

    for images, labels in chunks(target, min(BATCH, len(target))):
        found = np.asarray(label(state, images, np.full_like(labels, IGNORE)))
        valid = labels != target.ignore
        cell = np.where(found == IGNORE, k, found)[valid]
        np.add.at(counts, (labels[valid], cell), 1)
    return _shares(counts, target.class_names)


def _shares(counts: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the measures of a table of truth by pseudo label."""
    right, kept = np.diag(counts), counts[:, :-1]
    return {
        "share": _ratio(kept.sum(), counts.sum()),
        "accuracy": _ratio(right.sum(), kept.sum()),
        "classes": {
            name: {
                "share": _ratio(kept[c].sum(), counts[c].sum()),
                "recall": _ratio(right[c], counts[c].sum()),
                "precision": _ratio(right[c], kept[:, c].sum()),
            }
            for c, name in enumerate(names)
        },
    }


def _ratio(part: np.integer, whole: np.integer) -> float | None:
    return float(part / whole) if whole else None

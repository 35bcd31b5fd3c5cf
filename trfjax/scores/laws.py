"""What a spec may promise: changes of the data that leave the score as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from trfjax.scores.example import CLASSED, Case
from trfjax.scores.vocabulary import Law

Change: TypeAlias = Callable[[Case, np.random.Generator], Case]


def order(case: Case, rng: np.random.Generator) -> Case:
    """Return the instances in another order, those of the source in another one."""
    changed = case.rows(rng.permutation(len(case.labels)))
    return changed.source_rows(rng.permutation)


def target_names(case: Case, rng: np.random.Generator) -> Case:
    """Return the target classes under each other's ids."""
    names = rng.permutation(case.num_classes)
    return replace(case, labels=names[case.labels])


def source_names(case: Case, rng: np.random.Generator) -> Case:
    """Return the source classes in another order, wherever they are spoken of."""
    heads = [n for n in case.arrays if n.endswith(("_probs", "_logits"))]
    sizes = [case.arrays[n].shape[-1] for n in heads]
    sizes += [case.arrays[n].max() + 1 for n in CLASSED if n in case.arrays]
    name = rng.permutation(max(sizes))  # of every source class
    changed = case.map(lambda ids: name[ids], *CLASSED)
    return changed.map(lambda a: a[..., np.argsort(name)], *heads)


def duplicates(case: Case, rng: np.random.Generator) -> Case:
    """Return every instance twice."""
    changed = case.rows(np.arange(2 * len(case.labels)) // 2)
    return changed.source_rows(lambda n: np.arange(2 * n) // 2)


def _on_features(case: Case, change: Callable[[np.ndarray], np.ndarray]) -> Case:
    # In float64, so that the change itself is not rounded where x64 is enabled.
    sides = ("target_features", "source_features")
    return case.map(lambda a: change(a.astype(np.float64)), *sides)


def rotation(case: Case, rng: np.random.Generator) -> Case:
    """Return the features of both sides turned."""
    d = case.arrays["target_features"].shape[1]
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return _on_features(case, lambda a: a @ turn)


def shift(case: Case, rng: np.random.Generator) -> Case:
    """Return the features of both sides moved by one vector."""
    vector = rng.normal(size=case.arrays["target_features"].shape[1])
    return _on_features(case, lambda a: a + vector)


def scale(case: Case, rng: np.random.Generator) -> Case:
    """Return the features of both sides times one number."""
    return _on_features(case, lambda a: 2.7 * a)


def zero_feature(case: Case, rng: np.random.Generator) -> Case:
    """Return the features of both sides with one more, 0 everywhere."""
    return _on_features(case, lambda a: np.pad(a, ((0, 0), (0, 1))))


LAWS: dict[Law, Change] = {
    "order": order,
    "target_names": target_names,
    "source_names": source_names,
    "duplicates": duplicates,
    "rotation": rotation,
    "shift": shift,
    "scale": scale,
    "zero_feature": zero_feature,
}

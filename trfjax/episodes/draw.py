"""N-way K-shot episodes drawn from labelled images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int


@dataclasses.dataclass(frozen=True, eq=False)
class Episodes:
    """Few-shot tasks as positions in a data set; class i of a task is its label i."""

    classes: Int[np.ndarray, "s ways"]  # labels in the data set
    support: Int[np.ndarray, "s ways shots"]  # images that are trained on
    query: Int[np.ndarray, "s ways queries"]  # images that are tested on
    numbers: Int[np.ndarray, " s"]  # which seed what is random in fine-tuning

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def ways(self) -> int:
        """Classes of an episode."""
        return self.classes.shape[1]

    @property
    def shots(self) -> int:
        """Labelled images of a class."""
        return self.support.shape[2]

    def select(self, rows: slice | Sequence[int]) -> Episodes:
        """Return some of the episodes."""
        return Episodes(
            self.classes[rows], self.support[rows], self.query[rows], self.numbers[rows]
        )


def draw_episodes(
    labels: Int[np.ndarray, " n"],
    *,
    count: int,
    ways: int,
    shots: int,
    queries: int,
    classes: Sequence[int] | None = None,
    query_from: Int[np.ndarray, " q"] | None = None,
    seed: int = 0,
) -> Episodes:
    """Draw few-shot tasks; no image of an episode is both trained and tested on.

    An episode depends on the seed and its number alone: a longer list begins with the
    shorter one.

    Args:
        labels: class of every image.
        count: episodes.
        ways: classes of an episode, drawn without replacement.
        shots: labelled images of every class.
        queries: test images of every class.
        classes: those to draw from; all that occur by default.
        query_from: positions of the images that may be tested on, and are never
            trained on; any image may be either by default.
        seed: of the draws.

    Raises:
        ValueError: fewer classes than ways, or a class with too few images.
    """
    labels = np.asarray(labels)
    pool = sorted(set(labels.tolist() if classes is None else classes))
    _check(count, ways, shots, queries, len(pool))
    testable = np.ones(len(labels), bool)
    if query_from is not None:
        testable[:] = False
        testable[query_from] = True
    members = {c: np.flatnonzero(labels == c) for c in pool}
    separate = query_from is not None
    for c, rows in members.items():
        _check_class(c, rows, testable, shots, queries, separate)
    drawn = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        chosen = rng.permutation(pool)[:ways]
        support, query = [], []
        for c in chosen:
            rows = rng.permutation(members[c])
            trained = rows[~testable[rows]][:shots] if separate else rows[:shots]
            rest = rows[testable[rows]] if separate else rows[shots:]
            support.append(trained)
            query.append(rest[:queries])
        drawn.append((chosen, support, query))
    parts = (np.array(part) for part in zip(*drawn, strict=True))
    return Episodes(*parts, numbers=np.arange(count))


def _check(count: int, ways: int, shots: int, queries: int, pool: int) -> None:
    least = {"count": 1, "ways": 2, "shots": 1, "queries": 1}
    given = {"count": count, "ways": ways, "shots": shots, "queries": queries}
    for name, value in given.items():
        if value < least[name]:
            raise ValueError(f"{name}: {value} must be at least {least[name]}")
    if ways > pool:
        raise ValueError(f"ways: {ways} asked of a pool of {pool} classes")


def _check_class(
    c: int,
    rows: Int[np.ndarray, " k"],
    testable: np.ndarray,
    shots: int,
    queries: int,
    separate: bool,
) -> None:
    inside = int(testable[rows].sum())
    if not separate and len(rows) < shots + queries:
        raise ValueError(
            f"shots, queries: {shots} and {queries} asked of class {c}, which has "
            f"{len(rows)} images"
        )
    if separate and len(rows) - inside < shots:
        raise ValueError(
            f"shots: {shots} asked of class {c}, which has {len(rows) - inside} images "
            "outside query_from"
        )
    if separate and inside < queries:
        raise ValueError(
            f"queries: {queries} asked of class {c}, which has {inside} images in "
            "query_from"
        )

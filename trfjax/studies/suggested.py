"""Are suggested images worth more than as many drawn at random?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.maps.suggest import suggest
from trfjax.statistics.interval import Interval, mean_interval
from trfjax.store import Made, Store
from trfjax.studies.sources import SourceRun
from trfjax.training.recipe import Recipe
from trfjax.transfer.empirical import MEASURES
from trfjax.transfer.finetune import finetune
from trfjax.transfer.start import FINETUNE

CHOICES = ("suggest", "random")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draw:
    """One set of unlabelled images, and what fine-tuning on either choice comes to."""

    source: str
    seed: int
    measured: dict[str, dict[str, float]]  # by choice and measure

    def gain(self, measure: str) -> float:
        """Return by how much the suggested images are better."""
        suggested, drawn = (self.measured[choice][measure] for choice in CHOICES)
        return suggested - drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choosing:
    """The pool that is chosen from, and how the chosen images are learned."""

    pool: Dataset  # labels are looked at only once an image is chosen
    test: Dataset
    candidates: int = 60  # images of the pool that every draw chooses from
    count: int = 20  # to be labelled
    recipe: Recipe = FINETUNE

    def __post_init__(self) -> None:
        if not 1 <= self.count < self.candidates <= len(self.pool):
            raise ValueError(
                f"count, candidates: {self.count} of {self.candidates} of the "
                f"{len(self.pool)} images of {self.pool.name}; each must be less than "
                "the next, the candidates at most all"
            )


def draws(
    name: str, run: SourceRun, choosing: Choosing, seeds: Sequence[int], folder: Path
) -> Iterator[Draw]:
    """Yield a draw a seed: candidates at random, then both choices among the same.

    Both are fine-tuned with the same seed and tested on the same images. What the
    folder holds already is read back.

    Args:
        name: of the source.
        run: the source.
        choosing: what is chosen from.
        seeds: of the candidates, the random choice and the fine-tuning.
        folder: where every draw is kept.
    """
    for seed in seeds:
        key = {
            "source": run.key,
            "pool": choosing.pool.fingerprint,
            "test": choosing.test.fingerprint,
            "candidates": choosing.candidates,
            "count": choosing.count,
            "recipe": choosing.recipe.to_dict(),
            "seed": seed,
        }

        def work(seed: int = seed) -> Made:
            return Made(value=_measured(run.trained, choosing, seed))

        record = Store(folder).keep(key, work, name=f"{name}-{seed}")
        yield Draw(source=name, seed=seed, measured=record.value)


def _measured(source: Any, choosing: Choosing, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(choosing.pool))[: choosing.candidates]
    candidates = choosing.pool.select(some)
    count = choosing.count
    suggested = suggest(source, candidates, count=count, seed=seed, progress=False)
    picked = {
        "suggest": suggested.indices,
        "random": rng.choice(len(candidates), count, replace=False),
    }
    recipe = dataclasses.replace(choosing.recipe, seed=seed)
    found = {}
    for choice, indices in picked.items():
        shots = candidates.select(indices)
        tuned = finetune(source, shots, test=choosing.test, recipe=recipe)
        assert tuned.evaluation is not None  # there is a test set
        found[choice] = {m: float(getattr(tuned.evaluation, m)) for m in MEASURES}
    return found


def gains(found: Sequence[Draw], measure: str = "miou") -> Interval:
    """Return the mean gain of suggested images, 95 % interval over draws.

    Student's t; draws of one pool share its images, so the interval says how sure the
    gain is for this pool and these sources.

    Raises:
        ValueError: no draws.
    """
    return mean_interval(np.array([one.gain(measure) for one in found]))

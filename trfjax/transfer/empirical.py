"""Measured transfer, repeated: the yardstick of every score, with its own error."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from trfjax.data import Dataset
from trfjax.state import TrainedModel
from trfjax.training.evaluate import Evaluation
from trfjax.training.recipe import Recipe
from trfjax.transfer.finetune import finetune
from trfjax.transfer.start import FINETUNE

MEASURES = ("log_likelihood", "accuracy", "miou")


@dataclasses.dataclass(frozen=True, eq=False)
class Transferability:
    """The transfer of one source, measured over draws of shots and optimisations."""

    seeds: tuple[int, ...]  # of the shots
    optimisation_seeds: tuple[int, ...]
    evaluations: tuple[tuple[Evaluation, ...], ...]  # by seed, by optimisation seed

    def values(self, measure: str) -> Float[np.ndarray, "seeds optimisations"]:
        """Return one of `MEASURES` for every run."""
        if measure not in MEASURES:
            raise ValueError(
                f"unknown measure {measure!r}; available: {', '.join(MEASURES)}"
            )
        return np.array(
            [[getattr(run, measure) for run in row] for row in self.evaluations]
        )

    def mean(self, measure: str) -> float:
        """Return the mean over all runs."""
        return float(self.values(measure).mean())

    def shots_spread(self, measure: str) -> float:
        """Return the standard deviation between draws; NaN for a single draw.

        Of the means over optimisations, so it holds a share of their noise too.
        """
        return _deviation(self.values(measure).mean(axis=1))

    def optimisation_spread(self, measure: str) -> float:
        """Return the standard deviation at one draw; NaN for one optimisation."""
        values = self.values(measure)
        if values.shape[1] < 2:
            return float("nan")
        return float(np.sqrt(values.var(axis=1, ddof=1).mean()))

    def to_dict(self) -> dict[str, Any]:
        """Return the summary and every run as plain values."""
        return {
            "seeds": list(self.seeds),
            "optimisation_seeds": list(self.optimisation_seeds),
            **{
                measure: {
                    "mean": self.mean(measure),
                    "shots_spread": self.shots_spread(measure),
                    "optimisation_spread": self.optimisation_spread(measure),
                    "values": self.values(measure).tolist(),
                }
                for measure in MEASURES
            },
            "runs": [[run.to_dict() for run in row] for row in self.evaluations],
        }


def empirical_transferability(
    source: TrainedModel,
    pool: Dataset,
    test: Dataset,
    *,
    shots: int = 20,
    seeds: Sequence[int] = (0, 1),
    optimisation_seeds: Sequence[int] = (0,),
    recipe: Recipe = FINETUNE,
    **options: Any,
) -> Transferability:
    """Fine-tune a source several times and measure each result on the test set.

    Args:
        source: the network.
        pool: target images that the shots are drawn from.
        test: target images of other scenes.
        shots: labelled images per run.
        seeds: one draw of shots each. The same seeds for every source make the
            comparison between sources paired.
        optimisation_seeds: at every draw, of the batches, the augmentation and a new
            head; they take the place of the recipe's seed.
        recipe: how to fine-tune.
        **options: of `finetune`, such as `mode` and `held_out`.

    Raises:
        ValueError: no seeds, more shots than images, or images in both sets.
    """
    if not seeds or not optimisation_seeds:
        raise ValueError("seeds, optimisation_seeds: at least one of each is needed")
    shared = set(pool.image_ids) & set(test.image_ids)
    if shared and pool.fingerprint.split("|")[0] == test.fingerprint.split("|")[0]:
        raise ValueError(
            f"test: {len(shared)} of its images are in the pool too (such as "
            f"{min(shared)}); measured transfer would be too good"
        )
    runs = [
        tuple(
            _measure(
                source, pool.shots(shots, seed=seed), test, recipe, number, options
            )
            for number in optimisation_seeds
        )
        for seed in seeds
    ]
    return Transferability(tuple(seeds), tuple(optimisation_seeds), tuple(runs))


def _measure(
    source: TrainedModel,
    shots: Dataset,
    test: Dataset,
    recipe: Recipe,
    seed: int,
    options: dict[str, Any],
) -> Evaluation:
    recipe = dataclasses.replace(recipe, seed=seed)
    evaluation = finetune(source, shots, test=test, recipe=recipe, **options).evaluation
    assert evaluation is not None  # there is a test set
    return evaluation


def _deviation(values: Float[np.ndarray, " n"]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")

"""What adaptation came to: networks, measures over seeds, curves, warnings."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from trfjax.state import TrainedModel
from trfjax.statistics.interval import Interval, mean_interval
from trfjax.training.evaluate import Evaluation


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AdaptRun:
    """One seed."""

    seed: int
    trained: TrainedModel  # of the chosen step
    chosen_step: int
    curves: dict[str, list[float]]  # by step; what the validator saw, and when
    warnings: tuple[str, ...]  # signs of collapse
    seconds: float  # of the steps of this call
    evaluation: Evaluation | None  # on the target; for reporting only
    pseudo: dict[str, Any] | None = None  # share and accuracy of pseudo labels


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AdaptResult:
    """All seeds of one method, and the network before adaptation."""

    method: str
    runs: tuple[AdaptRun, ...]
    before: Evaluation | None  # of the network as it came, on the target
    left_out: tuple[str, ...]  # target classes the network does not know

    @property
    def trained(self) -> TrainedModel:
        """The network of the first seed."""
        return self.runs[0].trained

    @property
    def miou(self) -> Interval:
        """Mean IoU over seeds, with Student's t interval."""
        return mean_interval(np.array([e.miou for e in self._evaluations()]))

    @property
    def accuracy(self) -> Interval:
        """Share of pixels, or of images, that are right, likewise."""
        return mean_interval(np.array([e.accuracy for e in self._evaluations()]))

    @property
    def gain(self) -> Interval:
        """Mean IoU less that of the network as it came."""
        if self.before is None:
            raise ValueError("gain: the target has no labels to measure it by")
        gains = [e.miou - self.before.miou for e in self._evaluations()]
        return mean_interval(np.array(gains))

    @property
    def class_iou(self) -> dict[str, Interval]:
        """IoU by class over seeds, of the classes that the target shows."""
        rows = np.stack([e.class_iou for e in self._evaluations()])
        names = self.trained.card.class_names
        return {
            name: mean_interval(rows[:, i])
            for i, name in enumerate(names)
            if np.isfinite(rows[:, i]).all()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "method": self.method,
            "left_out": list(self.left_out),
            "before": None if self.before is None else self.before.to_dict(),
            "runs": [
                {
                    "seed": run.seed,
                    "chosen_step": run.chosen_step,
                    "seconds": run.seconds,
                    "warnings": list(run.warnings),
                    "pseudo": run.pseudo,
                    "evaluation": (
                        None if run.evaluation is None else run.evaluation.to_dict()
                    ),
                }
                for run in self.runs
            ],
        }

    def _evaluations(self) -> list[Evaluation]:
        found = [run.evaluation for run in self.runs if run.evaluation is not None]
        if len(found) < len(self.runs):
            raise ValueError("the target has no labels to measure adaptation by")
        return found

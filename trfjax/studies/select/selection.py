"""What a race came to: the chosen network, and the table that led to it."""

from __future__ import annotations

import dataclasses
from typing import Any

from trfjax.state import TrainedModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class Racer:
    """What was found of one source."""

    source: str
    score: float  # before the race; larger is better
    steps: int  # that it ran, in every fold
    value: float  # cross-validated, at its last step; NaN where it did not run
    believed: float  # where it ends: scores and runs together
    probability: float  # of being best


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """The chosen network, and what led to it."""

    best: str
    trained: TrainedModel  # fine-tuned on all shots
    race: tuple[Racer, ...]  # best first
    measured: str
    steps: int  # optimiser steps of the race and the final run
    all_steps: int  # of fine-tuning every source, judged by the same folds
    seconds: float  # scores, race and final run; what was read back costs nothing
    probability: float  # of the choice to be best, as far as the race can tell
    expected_loss: float  # in the unit of what is measured; NaN without a race

    def to_dict(self) -> dict[str, Any]:
        """Return all but the network as plain values."""
        names = [field.name for field in dataclasses.fields(self)]
        found = {n: getattr(self, n) for n in names if n not in ("trained", "race")}
        return found | {"race": [dataclasses.asdict(racer) for racer in self.race]}

    def __str__(self) -> str:
        share = self.steps / self.all_steps
        lines = [
            f"{self.best}: best by {self.measured} with probability "
            f"{self.probability:.2f}, expected to lose {self.expected_loss:.4f}; "
            f"{self.steps} steps, {share:.0%} of racing all to the end",
            f"{'source':24} score     steps  {self.measured}",
        ]
        for racer in self.race:
            lines.append(
                f"{racer.source[:24]:24} {racer.score:8.4f} {racer.steps:6}  "
                f"{racer.value:8.4f}"
            )
        return "\n".join(lines)

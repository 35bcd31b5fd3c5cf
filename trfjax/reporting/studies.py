"""A study in words: its progress, and how well the scores predicted transfer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trfjax.ranking.result import Ranking
from trfjax.studies.agreement import Agreement
from trfjax.studies.study import SourceReady, TransferMeasured


def progress_line(event: SourceReady | Ranking | TransferMeasured) -> str:
    """Return what a finished part of a study came to."""
    if isinstance(event, Ranking):
        return f"\n{event}\n"
    if isinstance(event, SourceReady):
        miou, seconds = event.run.evaluation["miou"], event.run.seconds
        return (
            f"  {event.name:12} {event.images:4} images, mIoU {miou:.3f} on held-out "
            f"images of its own, {seconds:.0f} s"
        )
    values = {measure: np.array(found) for measure, found in event.values.items()}
    accuracy = values["accuracy"]
    return (
        f"  {event.name:12} accuracy {event.unchanged:.3f} -> {accuracy.mean():.3f} "
        f"+- {np.ptp(accuracy) / 2:.3f}, mIoU {values['miou'].mean():.3f}, "
        f"log-likelihood {values['log_likelihood'].mean():.3f}"
    )


def agreement_text(found: Sequence[Agreement]) -> str:
    """Say how well the scores predict what was measured, without dressing it up."""
    lines = []
    for one in found:
        lines.append(
            f"{one.measure}: seeds agree {one.reliability:.2f} (mean Spearman of "
            "repeats)"
        )
        lines += [
            f"  {metric:8} Pearson {one.pearson[metric]:+.2f}  Spearman {rho:+.2f}"
            for metric, rho in one.spearman.items()
        ]
    lines.append(
        f"With {found[0].sources} sources a Spearman correlation has a standard error "
        f"of about {found[0].standard_error:.2f}: read them as such."
    )
    return "\n".join(lines)

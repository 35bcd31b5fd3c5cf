"""Draw the picture of the README from a finished demo in runs/demo."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trfjax.data import load_dataset
from trfjax.ranking.result import read_ranking
from trfjax.reporting.plot_transfer import plot_transfer
from trfjax.reporting.plots import plot
from trfjax.studies.cities import FULL, SOURCES, TARGET
from trfjax.studies.study import read_outcome


@dataclasses.dataclass(frozen=True)
class Config:
    """The place of the demo, and of the pictures."""

    demo: str = "runs/demo"
    out: str = "docs/demo.png"


def main(config: Config) -> None:
    """Put cities, ranking and measured transfer side by side."""
    ranking = read_ranking(Path(config.demo) / "ranking" / "results.json")
    outcome = read_outcome(Path(config.demo))
    if outcome is None:
        raise SystemExit(f"{config.demo}: no demo was run there; trfjax demo makes it")
    measured = outcome["measured"]
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.add_gridspec(2, 1, height_ratios=(1, 3))
    cities = rows[0].subgridspec(1, len(SOURCES) + 1, wspace=0.02)
    for place, name in enumerate((*SOURCES, TARGET)):
        ax = figure.add_subplot(cities[place])
        picture = load_dataset(f"synthetic:{name}", count=2, size=(96, 144))[0]["image"]
        ax.imshow(picture)
        ax.set_title(f"target: {name}" if name == TARGET else name, fontsize=10)
        ax.set_axis_off()
    below = rows[1].subgridspec(1, 2)
    plot(ranking, ax=figure.add_subplot(below[0]))
    values = {name: np.array(found["accuracy"]) for name, found in measured.items()}
    cells = ranking.column("otce")
    plot_transfer(
        {cell.source: cell.score for cell in cells},
        {name: float(found.mean()) for name, found in values.items()},
        intervals={cell.source: cell.interval() for cell in cells},
        spread={name: float(np.ptp(found)) / 2 for name, found in values.items()},
        score="otce",
        quantity="accuracy, fine-tuned",
        ax=figure.add_subplot(below[1]),
    )
    figure.savefig(config.out, dpi=90)
    height, width = FULL.size
    print(f"{config.out}: {len(cells)} sources, images of {height} x {width}")


if __name__ == "__main__":
    main(tyro.cli(Config))

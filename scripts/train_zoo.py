"""Train every network of the recipe table on a made-up city, and measure it.

python scripts/train_zoo.py --out runs/zoo
python scripts/train_zoo.py --out runs/zoo --only unet segnet

A network that is in the folder already, trained in the same way, is read back.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro

from trfjax.reporting.tables import markdown
from trfjax.studies.specs import DataSpec
from trfjax.studies.zoo import train_entry
from trfjax.training.zoo import RECIPES, recipe_for


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the measurement."""

    out: str = "runs/zoo"  # networks, curves and evaluations are kept here
    only: tuple[str, ...] = ()  # entries of the table; all by default
    city: str = "arden"
    images: int = 100  # of the city; a fifth, of other streets, is for the mIoU
    steps: int | None = None  # instead of those of the recipes
    seed: int = 0


def main(config: Config) -> None:
    """Train one after the other and print the table."""
    names = config.only or tuple(RECIPES)
    entries = {name: recipe_for(name) for name in names}  # a wrong name fails at once
    rows = []
    for name, entry in entries.items():
        data = DataSpec(
            name=f"synthetic:{config.city}",
            count=config.images,
            size=entry.size,
            seed=config.seed,
        )
        facts = train_entry(
            name, data, Path(config.out) / name, seed=config.seed, steps=config.steps
        )
        row = [name, entry.config["width"], f"{facts['parameters']:,}"]
        row += [f"{entry.size[0]} x {entry.size[1]}", facts["steps"]]
        row += [f"{facts['seconds']:.0f}", f"{facts['cpu']:.0f}"]
        row += [f"{facts['memory']:.2f}", facts["miou"], facts["accuracy"]]
        rows.append(row)
        print(f"{name}: {facts['seconds']:.0f} s, mIoU {facts['miou']:.3f}", flush=True)
    header = ["network", "width", "parameters", "images", "steps", "seconds"]
    print(markdown([*header, "CPU seconds", "peak GB", "mIoU", "accuracy"], rows))


if __name__ == "__main__":
    main(tyro.cli(Config))

"""The study on embedded data: six invented cities, and a seventh as the target."""

from __future__ import annotations

import dataclasses

from trfjax.studies.specs import DataSpec
from trfjax.studies.study import Study
from trfjax.training.recipe import Recipe
from trfjax.transfer.start import FINETUNE

SOURCES = ("arden", "corvale", "delmira", "galden", "ilmar", "lumeo")
TARGET = "kestry"  # towers at dusk


@dataclasses.dataclass(frozen=True)
class Extent:
    """The size of a demo."""

    sources: int
    size: tuple[int, int]
    images: int  # of every source city
    pool: int  # target images that the labelled few are drawn from
    test: int  # target images of other streets
    shots: int
    width: int  # of the networks
    recipe: Recipe
    finetune: Recipe


FULL = Extent(
    sources=len(SOURCES),
    size=(64, 128),
    images=40,
    pool=40,
    test=40,
    shots=20,
    width=8,
    recipe=Recipe(steps=160),
    finetune=FINETUNE,
)
# Shows that every part works; its networks have learnt too little to rank.
QUICK = Extent(
    sources=3,
    size=(32, 64),
    images=12,
    pool=8,
    test=4,
    shots=6,
    width=4,
    recipe=Recipe(steps=12),
    finetune=dataclasses.replace(FINETUNE, steps=6),
)


def city_study(*, quick: bool = False, repeats: int = 2, seed: int = 0) -> Study:
    """Return the study of the demo: U-Nets trained on cities, for towers at dusk.

    Args:
        quick: three small networks that have learnt too little to rank.
        repeats: draws of shots, and fine-tunings, of every source.
        seed: of the images, and the first of the draws.
    """
    extent = QUICK if quick else FULL

    def city(name: str, count: int, seed: int) -> DataSpec:
        return DataSpec(
            name=f"synthetic:{name}", count=count, size=extent.size, seed=seed
        )

    names = SOURCES[: extent.sources]
    return Study(
        sources={name: city(name, extent.images, seed) for name in names},
        target=city(TARGET, extent.pool, seed),
        test=city(TARGET, extent.test, seed + 1000),
        size=extent.size,
        width=extent.width,
        shots=extent.shots,
        recipe=extent.recipe,
        finetune=extent.finetune,
        seeds=tuple(range(seed, seed + repeats)),
        seed=seed,
    )

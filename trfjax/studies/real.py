"""The studies on photographs: which source to take for a dark drive, and for a town."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from trfjax.studies.specs import DataSpec
from trfjax.studies.study import Study
from trfjax.training.recipe import Recipe

# Day sequences and their halves; the target is the dark sequence.
CAMVID = (
    "camvid:0006R0",
    "camvid:0006R0[:0.5]",
    "camvid:0016E5",
    "camvid:0016E5[:0.5]",
    "camvid:Seq05VD",
    "camvid:Seq05VD[0.5:]",
)
# Photographs of other places and two drives, over the six classes they share.
LABELMEFACADE = (
    "labelmefacade:boston_area",
    "labelmefacade:cambridge_uk",
    "labelmefacade:envelope_insidecity",
    "labelmefacade:mallorca_villages",
    "camvid:0006R0",
    "camvid:0016E5",
)


def real_study(
    name: Literal["camvid", "labelmefacade"],
    root: str | Path,
    *,
    size: tuple[int, int] = (96, 128),
) -> Study:
    """Return a study on real data: six sources, one target, U-Nets of base width 12.

    The shots are drawn from the first half of the target; transfer is measured on the
    second.

    Args:
        name: of the target's data set. CamVid has 11 classes; LabelMeFacade is read in
            the six classes it shares with CamVid.
        root: folder that holds `camvid` and `labelmefacade`.
        size: height and width the networks see.
    """
    camvid = name == "camvid"
    target = "camvid:0001TP" if camvid else "labelmefacade:palma"

    def data(part: str) -> DataSpec:
        folder = str(Path(root) / part.split(":")[0])
        labels = None if camvid else "common6"
        return DataSpec(name=part, root=folder, labels=labels, size=size)

    names = CAMVID if camvid else LABELMEFACADE
    return Study(
        sources={part.split(":", 1)[1]: data(part) for part in names},
        target=data(f"{target}[:0.5]"),
        test=data(f"{target}[0.5:]"),
        size=size,
        width=12,
        recipe=Recipe(steps=250),
    )

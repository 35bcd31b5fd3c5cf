"""The options of `trfjax predict`."""

from __future__ import annotations

from typing import Literal

from trfjax.cli.commands.kinds import (
    Count,
    Name,
    Options,
    Photographs,
    Share,
    Size,
)


class Predict(Options):
    """Predict masks, or classes, of photographs with a trained network.

    Attributes:
        model: run folder of trfjax train, finetune or adapt, or a checkpoint.
        images: photographs, and folders of them: PNG, JPEG, WebP, TIFF or BMP of any
            sizes, turned as their EXIF tag says.
        size: height and width that the network sees; by default what it was trained
            at. Masks have the size of the photograph.
        overlays: write every photograph under its mask too, with a legend.
        probabilities: write the probabilities of all classes too.
        opacity: of the mask over the photograph, 0 to 1.
        batch_size: images per call of the network.
        out: folder for masks and tables; finished photographs are read back.
        overwrite: replace what another network or other options left in that folder.
        format: how the result is printed.
    """

    model: Name
    images: Photographs
    size: Size = None
    overlays: bool = True
    probabilities: bool = False
    opacity: Share = 0.5
    batch_size: Count = 8
    out: Name = "runs/predict"
    overwrite: bool = False
    format: Literal["table", "csv", "json"] = "table"

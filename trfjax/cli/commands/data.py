"""The options of `trfjax data`."""

from __future__ import annotations

from typing import Literal

from trfjax.cli.commands.kinds import (
    Folder,
    Name,
    Number,
    Options,
    Pictures,
    Size,
    Text,
)


class Data(Options):
    """Summarise a data set and write a contact sheet.

    Attributes:
        data: data set, such as "synthetic:arden" or "camvid:0001TP".
        root: folder of the data set; synthetic ones need none.
        labels: label map, such as trainids, native or common6.
        split: split of the data set, such as train or val; every image by default.
        size: height and width to resize to.
        count: use this many images, spread evenly over the set.
        sheet: the picture to write, .png or .jpg; "none" for no picture.
        images: images on the contact sheet.
        kinds: list every kind of data set and where its files lie, and stop.
        format: how the result is printed.
    """

    data: Name = "synthetic:arden"
    root: Folder = None
    labels: Text = None
    split: Text = None
    size: Size = None
    count: Number = None
    sheet: Name = "contact-sheet.png"
    images: Pictures = 12
    kinds: bool = False
    format: Literal["table", "json"] = "table"

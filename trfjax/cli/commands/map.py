"""The options of `trfjax map`."""

from __future__ import annotations

from trfjax.cli.commands.kinds import (
    Count,
    Ends,
    File,
    Folder,
    Name,
    Number,
    Options,
    Positive,
    Seed,
    Share,
    Size,
    Sources,
    Text,
    Whole,
)


class Map(Options):
    """Map where in the image sources transfer to a target, as values and pictures.

    Attributes:
        sources: run folders of trfjax train, which know their own data, or YAML lists
            of other networks; see docs/ranking.md.
        target: data set of the target, such as "camvid:0001TP".
        root: folder of the target data set; synthetic ones need none.
        labels: label map of the target, such as trainids, native or common6.
        split: split of the target data set, such as val; every image by default.
        size: height and width of the target images.
        shots: labelled target images, drawn by the seed; all of them by default.
        published: a folder of published features to map instead of networks.
        city: the target within that folder; needed where there are several.
        code: a Python file whose functions the YAML list may name as models.
        metric: leep, nce, otce, logme, h_score or another score with a form in sums.
        stride: pixels a cell is high and wide.
        min_pixels: labelled pixels that a cell needs to have a value.
        epsilon: entropic regularisation of OTCE, in squared feature units.
        images: of the images that transfer worst, how many are drawn.
        opacity: of the map over the image, 0 to 1.
        limits: lowest and highest value of the colours, so that maps of several runs
            compare; by default those that hold 98 % of the values.
        batch_size: images per call of a network.
        seed: of every random choice.
        out: folder for values and pictures.
    """

    sources: Sources = ()
    target: Name = "synthetic:kestry"
    root: Folder = None
    labels: Text = None
    split: Text = None
    size: Size = None
    shots: Number = None
    published: Folder = None
    city: Text = None
    code: File = None
    metric: Name = "leep"
    stride: Count = 8
    min_pixels: Count = 16
    epsilon: Positive = 0.1
    images: Whole = 6
    opacity: Share = 0.6
    limits: Ends = None
    batch_size: Count = 8
    seed: Seed = 0
    out: Name = "runs/map"

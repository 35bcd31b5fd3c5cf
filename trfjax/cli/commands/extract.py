"""The options of `trfjax extract`."""

from __future__ import annotations

from trfjax.cli.commands.kinds import (
    Count,
    Folder,
    Name,
    Number,
    Options,
    Pixels,
    Seed,
    Spaces,
    Strategy,
    Text,
)


class Extract(Options):
    """Run a network over a data set and save features of a sample of pixels, or of all.

    Attributes:
        model: a checkpoint, or a run folder of trfjax train.
        data: data set, such as "synthetic:arden" or "camvid:0001TP".
        root: folder of the data set; synthetic ones need none.
        labels: label map, such as trainids, native or common6.
        split: split of the data set, such as train or val; every image by default.
        shots: draw this many images by the seed; all of them by default.
        spaces: the feature spaces to keep.
        pixels: how many pixels to keep; "all" compresses every pixel into atoms.
        atoms: points that all pixels are compressed into at most.
        strategy: how they are drawn: uniform, balanced (as many of every class),
            boundary (near label edges) or per_image (as many of every image).
        batch_size: images per call of the network.
        seed: of the draws.
        out: the .safetensors file to write.
    """

    model: Name
    data: Name = "synthetic:arden"
    root: Folder = None
    labels: Text = None
    split: Text = None
    shots: Number = None
    spaces: Spaces = ("probs", "penultimate")
    pixels: Pixels = 100_000
    atoms: Count = 512
    strategy: Strategy = "uniform"
    batch_size: Count = 8
    seed: Seed = 0
    out: Name = "features.safetensors"

"""The options of `trfjax train`."""

from __future__ import annotations

from trfjax.cli.commands.kinds import (
    Base,
    Count,
    Folder,
    Name,
    Number,
    Options,
    Pair,
    Real,
    Seed,
    Text,
)


class Train(Options):
    """Train a source network on a labelled data set.

    Attributes:
        data: data set, such as "synthetic:arden" or "camvid:0006R0,0016E5[:0.5]".
        root: folder of the data set; synthetic ones need none.
        labels: label map, such as trainids, native or common6.
        split: split of the data set, such as train or val; every image by default.
        count: use this many images, spread evenly over the set.
        size: height and width the network sees.
        test: data set to evaluate on, of the same root; by default a tenth of the
            images, of other scenes, is held out.
        model: architecture; trfjax info lists them.
        width: base width; the published one by default.
        steps: optimiser steps.
        batch_size: images per step.
        learning_rate: at its peak; the recipe's by default.
        seed: of weights, batches and augmentation.
        out: run folder; checkpoints and the finished network go there.
        name: what the network is called; the name of the folder by default.
        resume: go on from the last checkpoint in the run folder; more steps than
            before extend a finished run.
        overwrite: start over in a folder that holds a run; that run is lost.
        checkpoint_every: steps between checkpoints.
    """

    data: Name = "synthetic:arden"
    root: Folder = None
    labels: Text = None
    split: Text = None
    count: Number = None
    size: Pair = (96, 192)
    test: Text = None
    model: Name = "unet"
    width: Base = 8
    steps: Count = 250
    batch_size: Count = 8
    learning_rate: Real = None
    seed: Seed = 0
    out: Name = "runs/train"
    name: Text = None
    resume: bool = False
    overwrite: bool = False
    checkpoint_every: Count = 100

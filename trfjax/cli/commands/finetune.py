"""The options of `trfjax finetune`."""

from __future__ import annotations

from typing import Literal

from trfjax.cli.commands.kinds import (
    Folder,
    Half,
    Name,
    Number,
    Options,
    Real,
    Seeds,
    Size,
    Text,
)


class Finetune(Options):
    """Fine-tune a source network to a few labelled target images, and test it.

    Attributes:
        source: run folder of trfjax train, or a checkpoint.
        target: data set of the target, such as "camvid:0001TP".
        root: folder of the target data set; synthetic ones need none.
        labels: label map of the target, such as trainids, native or common6.
        split: split of the target data set, such as train; every image by default.
        count: use this many images of it, spread evenly over the set.
        test: half (of the target's images, of other scenes, is held back), cv (every
            shot is tested by a network that learnt from the others; the one that is
            kept learns from all), none, or a data set of the same root.
        size: height and width of the images; those the source was trained at by
            default.
        shots: labelled target images to learn from, drawn by the seed; by default 20,
            or all where there are fewer. With --test cv or none they are those that
            trfjax rank draws.
        method: full, head, last-<k> (the last k layers), norm or scratch (fresh
            weights); otce aligns features with the source's data first; weighted
            looks most at the pixels that the source transfers to worst.
        source_data: data set of the source, for otce; that of its run folder by
            default.
        source_root: folder of that data set; --root by default.
        alignment_steps: steps of the alignment, for otce.
        steps: optimiser steps; those of the recipe by default, as the next two.
        batch_size: images per step.
        learning_rate: at its peak; for scratch by default that of trfjax train.
        held_out: share of the shots that chooses the best step instead of being
            learned, 0 to 0.5.
        compare: measure the source as it is, and a network from scratch, too.
        seeds: one run each, with its own shots, batches and augmentation.
        out: folder for networks, tables and curves; finished seeds are read back.
        overwrite: replace networks of other options in that folder; they are lost.
        format: how the result is printed.
    """

    source: Name
    target: Name = "synthetic:kestry"
    root: Folder = None
    labels: Text = None
    split: Text = None
    count: Number = None
    test: Name = "half"
    size: Size = None
    shots: Number = None
    method: Name = "full"
    source_data: Text = None
    source_root: Folder = None
    alignment_steps: Number = None
    steps: Number = None
    batch_size: Number = None
    learning_rate: Real = None
    held_out: Half = 0.0
    compare: bool = True
    seeds: Seeds = (0,)
    out: Name = "runs/finetune"
    overwrite: bool = False
    format: Literal["table", "csv", "json"] = "table"

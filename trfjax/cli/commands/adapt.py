"""The options of `trfjax adapt`."""

from __future__ import annotations

from typing import Literal

from trfjax.cli.commands.kinds import (
    Folder,
    Name,
    Names,
    Number,
    Options,
    Real,
    Seeds,
    Size,
    Text,
    Weight,
)


class Adapt(Options):
    """Adapt a trained network to a target without labels, by one method or several.

    Attributes:
        source: run folder of trfjax train, or a checkpoint.
        target: data set of the target, such as "camvid:0001TP".
        methods: such as source_only, dann, fcd_light, ssl, cbst, dacs, proda.
        root: folder of the target data set; synthetic ones need none.
        labels: label map of the target, such as trainids, native or common6.
        split: split of the target data set, such as train; every image by default.
        count: use this many images of it, spread evenly over the set.
        test: data set to report on, of the same root; by default half of the target's
            images, of other scenes, is held back; "none" where there are no labels.
        size: height and width of the images; those the source was trained at by
            default.
        source_data: data set of the source; that of its run folder by default.
        source_root: folder of that data set; --root by default.
        steps: optimiser steps; those of the recipe by default, as the next two.
        batch_size: images per step, of each domain.
        learning_rate: at its peak.
        aux_weight: of the loss on auxiliary logits; 0 by default.
        validator: the step that is kept: last, or information, that whose predictions
            hold most mutual information of pixel and class. Neither looks at labels.
        seeds: one run each.
        out: folder for networks and tables; what is finished is read back.
        resume: go on with runs that were interrupted.
        overwrite: replace networks of other options in that folder; they are lost.
        format: how the result is printed.
    """

    source: Name
    target: Name = "synthetic:kestry"
    methods: Names = ("source_only", "cbst")
    root: Folder = None
    labels: Text = None
    split: Text = None
    count: Number = None
    test: Text = None
    size: Size = None
    source_data: Text = None
    source_root: Folder = None
    steps: Number = None
    batch_size: Number = None
    learning_rate: Real = None
    aux_weight: Weight = None
    validator: Literal["last", "information"] = "last"
    seeds: Seeds = (0,)
    out: Name = "runs/adapt"
    resume: bool = False
    overwrite: bool = False
    format: Literal["table", "csv", "json"] = "table"

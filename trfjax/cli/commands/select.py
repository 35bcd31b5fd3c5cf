"""The options of `trfjax select`."""

from __future__ import annotations

from typing import Literal

from trfjax.cli.commands.kinds import (
    Count,
    Folder,
    Name,
    Names,
    Number,
    Options,
    Real,
    Seed,
    Share,
    Size,
    Sources,
    Text,
)


class Select(Options):
    """Find the source that fine-tunes best within a budget, and fine-tune it.

    Attributes:
        sources: run folders of trfjax train, or YAML lists of such networks.
        target: data set of the target, such as "camvid:0001TP".
        root: folder of the target data set; synthetic ones need none.
        labels: label map of the target, such as trainids, native or common6.
        split: split of the target data set, such as train; every image by default.
        size: height and width of the images; those of the data set by default.
        shots: labelled target images, drawn by the seed.
        budget: optimiser steps of the race, all folds, and of the final run.
        metrics: scores that the race begins with; the mean of their ranks.
        measured: what the race is about: accuracy, miou or log_likelihood.
        folds: parts of the shots; each judges once.
        sure: probability of the leader at which the race ends early.
        steps: of a whole run; those of the recipe by default, as the next two.
        batch_size: images per step.
        learning_rate: at its peak.
        seed: of the shots and the folds.
        out: folder for the network and the race; a second run goes on in it.
    """

    sources: Sources = ()
    target: Name = "synthetic:kestry"
    root: Folder = None
    labels: Text = None
    split: Text = None
    size: Size = None
    shots: Count = 20
    budget: Count = 600
    metrics: Names = ("logme", "h_score", "linear_probe")
    measured: Literal["accuracy", "miou", "log_likelihood"] = "accuracy"
    folds: Count = 2
    sure: Share = 0.95
    steps: Number = None
    batch_size: Number = None
    learning_rate: Real = None
    seed: Seed = 0
    out: Name = "runs/select"

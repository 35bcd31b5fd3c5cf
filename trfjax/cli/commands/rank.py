"""The options of `trfjax rank`."""

from __future__ import annotations

from typing import Literal

from trfjax.cli.commands.kinds import (
    Combination,
    Count,
    Draws,
    File,
    Folder,
    Layer,
    Name,
    Names,
    Number,
    Options,
    Positive,
    Resamples,
    Seed,
    Sources,
    Strategy,
    Text,
)
from trfjax.scores import DEFAULT


class Rank(Options):
    """Rank source networks for a few labelled target images.

    Attributes:
        sources: run folders of trfjax train, which know their own data, or YAML lists
            of other networks and saved features; see docs/ranking.md.
        target: data set of the target, such as "camvid:0001TP".
        root: folder of the target data set; synthetic ones need none.
        labels: label map of the target, such as trainids, native or common6.
        split: split of the target data set, such as val; every image by default.
        shots: labelled target images, drawn by the seed; all of them by default.
        published: a folder of published features to rank instead of networks.
        city: the target within that folder; needed where there are several.
        code: a Python file whose functions the YAML list may name as models.
        metrics: scores by name; the first orders the table.
        pixels: "all", or N, pixels drawn from each side for one OTCE draw (10000 as
            published); by default all for every score that can take them, unless the
            solver or the strategy needs draws.
        atoms: points that all pixels of a side are compressed into at most.
        repeats: K, draws OTCE is averaged over.
        epsilon: entropic regularisation of OTCE, in squared feature units.
        relative_epsilon: measure epsilon in mean costs.
        features: feature space of all scores but LEEP and NCE; by default probs for
            OTCE and penultimate for the others.
        solver: of OTCE.
        strategy: how pixels are drawn: uniform, balanced (as many of every class),
            boundary (near label edges) or per_image (as many of every image).
        combine: mean of all metrics in a first column: ranks, standardised or range.
        bootstrap: resamples of the target images, for intervals; 0 for none.
        maps: a score, such as leep, whose maps of the target's images go into the
            report.
        batch_size: images per call of a network.
        seed: of every random choice.
        out: folder for cells, tables, plot and report.
        format: how the result is printed.
    """

    sources: Sources = ()
    target: Name = "synthetic:kestry"
    root: Folder = None
    labels: Text = None
    split: Text = None
    shots: Number = None
    published: Folder = None
    city: Text = None
    code: File = None
    metrics: Names = DEFAULT
    pixels: Draws = None
    atoms: Count = 512
    repeats: Count = 10
    epsilon: Positive = 0.1
    relative_epsilon: bool = False
    features: Layer = None
    solver: Literal["fast", "ott", "exact"] = "fast"
    strategy: Strategy = "uniform"
    combine: Combination = None
    bootstrap: Resamples = 200
    maps: Text = None
    batch_size: Count = 8
    seed: Seed = 0
    out: Name = "runs/rank"
    format: Literal["table", "csv", "json"] = "table"

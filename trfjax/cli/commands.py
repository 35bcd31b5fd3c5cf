"""The options of every command; one typed struct serves the flags and the YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import tyro

Strategy = Literal["uniform", "balanced", "boundary", "per_image"]
Space = Literal["probs", "logits", "penultimate"]
Positional = tyro.conf.Positional


class Options(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Options of a command."""


class Demo(Options):
    """The main job on embedded data: train sources, rank them, prove it.

    Attributes:
        out: folder for everything the demo makes; a second run reads it back.
        seed: of every random choice.
        repeats: measurements of every fine-tuning, with different shots.
    """

    out: str = "runs/demo"
    seed: int = 0
    repeats: int = 2


class Train(Options):
    """Train a source network on a labelled data set.

    Attributes:
        data: data set, such as "synthetic:arden" or "camvid:0006R0,0016E5[:0.5]".
        root: folder of the data set; synthetic ones need none.
        labels: label map, such as trainids, native or common6.
        split: split of the data set.
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
        resume: go on from the last checkpoint in the folder.
        checkpoint_every: steps between checkpoints.
    """

    data: str = "synthetic:arden"
    root: str | None = None
    labels: str | None = None
    split: str | None = None
    count: int | None = None
    size: tuple[int, int] = (96, 192)
    test: str | None = None
    model: str = "unet"
    width: int | None = 8
    steps: int = 250
    batch_size: int = 8
    learning_rate: float | None = None
    seed: int = 0
    out: str = "runs/train"
    name: str | None = None
    resume: bool = False
    checkpoint_every: int = 100


class Extract(Options):
    """Run a network over a data set and save features of a sample of pixels.

    Attributes:
        model: a checkpoint, or a run folder of trfjax train.
        data: data set.
        root: folder of the data set.
        labels: label map.
        split: split of the data set.
        shots: draw this many images.
        spaces: what to keep.
        pixels: how many pixels.
        strategy: how they are drawn.
        batch_size: images per call of the network.
        seed: of the draws.
        out: the .safetensors file to write.
    """

    model: str
    data: str = "synthetic:arden"
    root: str | None = None
    labels: str | None = None
    split: str | None = None
    shots: int | None = None
    spaces: tuple[Space, ...] = ("probs", "penultimate")
    pixels: int = 100_000
    strategy: Strategy = "uniform"
    batch_size: int = 8
    seed: int = 0
    out: str = "features.safetensors"


class Rank(Options):
    """Rank source networks for a few labelled target images.

    Attributes:
        sources: run folders of trfjax train, which know their own data, or a YAML
            list; see docs/ranking.md.
        target: data set of the target.
        root: folder of the target data set.
        labels: label map of the target.
        split: split of the target data set.
        shots: labelled target images, drawn by the seed; all of them by default.
        published: a folder of published features to rank instead of networks.
        city: the target within that folder.
        code: a Python file whose functions the YAML list may name as models.
        metrics: scores; the first orders the table.
        pixels: N, pixels drawn from each side for one OTCE draw.
        repeats: K, draws OTCE is averaged over.
        epsilon: entropic regularisation of OTCE.
        relative_epsilon: measure epsilon in mean costs.
        features: feature space of all scores but LEEP and NCE.
        solver: of OTCE.
        strategy: how pixels are drawn.
        bootstrap: resamples of the target images for intervals.
        batch_size: images per call of a network.
        seed: of every random choice.
        out: folder for cells, tables, plot and report.
        format: what is printed.
    """

    sources: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN ...")] = ()
    target: str = "synthetic:kestry"
    root: str | None = None
    labels: str | None = None
    split: str | None = None
    shots: int | None = None
    published: str | None = None
    city: str | None = None
    code: str | None = None
    metrics: tuple[str, ...] = ("otce", "leep", "nce", "h_score", "logme")
    pixels: int = 10_000
    repeats: int = 10
    epsilon: float = 0.1
    relative_epsilon: bool = False
    features: Space | None = None
    solver: Literal["fast", "ott", "exact"] = "fast"
    strategy: Strategy = "uniform"
    bootstrap: int = 200
    batch_size: int = 8
    seed: int = 0
    out: str = "runs/rank"
    format: Literal["table", "csv", "json"] = "table"


class Report(Options):
    """Write the HTML report of a finished ranking again.

    Attributes:
        folder: folder of trfjax rank or trfjax demo.
        out: the file to write; report.html in that folder by default.
    """

    folder: str = "runs/rank"
    out: str | None = None


class Data(Options):
    """Summarise a data set and write a contact sheet.

    Attributes:
        data: data set.
        root: folder of the data set.
        labels: label map.
        split: split of the data set.
        size: height and width to resize to.
        count: use this many images, spread evenly over the set.
        sheet: the picture to write; none to leave it out.
        images: images on the contact sheet.
        format: what is printed.
    """

    data: str = "synthetic:arden"
    root: str | None = None
    labels: str | None = None
    split: str | None = None
    size: tuple[int, int] | None = None
    count: int | None = None
    sheet: str = "contact-sheet.png"
    images: int = 12
    format: Literal["table", "json"] = "table"


class Info(Options):
    """Show what networks cost: parameters, multiply-adds, taps.

    Attributes:
        model: an architecture or a checkpoint; all architectures by default.
        size: height and width of the input.
        classes: number of classes.
        width: base width; the published one by default.
        format: what is printed.
    """

    model: str | None = None
    size: tuple[int, int] = (512, 1024)
    classes: int = 19
    width: int | None = None
    format: Literal["table", "json"] = "table"


COMMANDS: dict[str, type[Any]] = {
    "demo": Demo,
    "data": Data,
    "train": Train,
    "extract": Extract,
    "rank": Rank,
    "report": Report,
    "info": Info,
}

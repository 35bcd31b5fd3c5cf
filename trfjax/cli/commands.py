"""The options of every command; one typed struct serves the flags and the YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import tyro

from trfjax.scores import DEFAULT

Strategy = Literal["uniform", "balanced", "boundary", "per_image"]
Space = Literal["probs", "logits", "penultimate"]
Combined = Literal["ranks", "standardised", "range"]


def _option(kind: Any, metavar: str) -> Any:
    """Return the type of an option that may be left out, as the help shows it."""
    arg = tyro.conf.arg(metavar=metavar, help_behavior_hint="")
    return Annotated[kind | None, arg]


if TYPE_CHECKING:
    Text = Folder = File = str | None
    Number = int | None
    Real = float | None
    Size = tuple[int, int] | None
    Ends = tuple[float, float] | None
    Layer = Space | None
    Combination = Combined | None
    Pixels = int | Literal["all"] | None
else:
    Text, Folder, File = (_option(str, name) for name in ("NAME", "FOLDER", "FILE"))
    Number, Real = _option(int, "INT"), _option(float, "FLOAT")
    Size = _option(tuple[int, int], "HEIGHT WIDTH")
    Ends = _option(tuple[float, float], "LOW HIGH")
    Layer = _option(Space, "{probs,logits,penultimate}")
    Combination = _option(Combined, "{ranks,standardised,range}")
    Pixels = _option(int | Literal["all"], "INT|all")
Pair = Annotated[tuple[int, int], tyro.conf.arg(metavar="HEIGHT WIDTH")]


class Options(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Options of a command."""


class Demo(Options):
    """The main job on embedded data: train sources, rank them, prove it.

    Attributes:
        out: folder for everything the demo makes; a second run reads it back.
            runs/demo by default, or runs/demo-quick.
        quick: three small sources, a few steps: whether all of it works, in a minute.
        seed: of every random choice.
        repeats: measurements of every fine-tuning, with different shots.
    """

    out: Folder = None
    quick: bool = False
    seed: int = 0
    repeats: int = 2


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

    data: str = "synthetic:arden"
    root: Folder = None
    labels: Text = None
    split: Text = None
    count: Number = None
    size: Pair = (96, 192)
    test: Text = None
    model: str = "unet"
    width: Number = 8
    steps: int = 250
    batch_size: int = 8
    learning_rate: Real = None
    seed: int = 0
    out: str = "runs/train"
    name: Text = None
    resume: bool = False
    overwrite: bool = False
    checkpoint_every: int = 100


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

    model: str
    data: str = "synthetic:arden"
    root: Folder = None
    labels: Text = None
    split: Text = None
    shots: Number = None
    spaces: tuple[Space, ...] = ("probs", "penultimate")
    pixels: int | Literal["all"] = 100_000
    atoms: int = 512
    strategy: Strategy = "uniform"
    batch_size: int = 8
    seed: int = 0
    out: str = "features.safetensors"


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
        batch_size: images per call of a network.
        seed: of every random choice.
        out: folder for cells, tables, plot and report.
        format: how the result is printed.
    """

    sources: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN ...")] = ()
    target: str = "synthetic:kestry"
    root: Folder = None
    labels: Text = None
    split: Text = None
    shots: Number = None
    published: Folder = None
    city: Text = None
    code: File = None
    metrics: tuple[str, ...] = DEFAULT
    pixels: Pixels = None
    atoms: int = 512
    repeats: int = 10
    epsilon: float = 0.1
    relative_epsilon: bool = False
    features: Layer = None
    solver: Literal["fast", "ott", "exact"] = "fast"
    strategy: Strategy = "uniform"
    combine: Combination = None
    bootstrap: int = 200
    batch_size: int = 8
    seed: int = 0
    out: str = "runs/rank"
    format: Literal["table", "csv", "json"] = "table"


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

    sources: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN ...")] = ()
    target: str = "synthetic:kestry"
    root: Folder = None
    labels: Text = None
    split: Text = None
    size: Size = None
    shots: Number = None
    published: Folder = None
    city: Text = None
    code: File = None
    metric: str = "leep"
    stride: int = 8
    min_pixels: int = 16
    epsilon: float = 0.1
    images: int = 6
    opacity: float = 0.6
    limits: Ends = None
    batch_size: int = 8
    seed: int = 0
    out: str = "runs/map"


class Finetune(Options):
    """Fine-tune a source network to a few labelled target images, and test it.

    Attributes:
        source: run folder of trfjax train, or a checkpoint.
        target: data set of the target, such as "camvid:0001TP".
        root: folder of the target data set; synthetic ones need none.
        labels: label map of the target, such as trainids, native or common6.
        split: split of the target data set, such as train; every image by default.
        count: use this many images of it, spread evenly over the set.
        test: data set to test on, of the same root; by default half of the target's
            images, of other scenes, is held back.
        size: height and width of the images; those the source was trained at by
            default.
        shots: labelled target images to learn from, drawn by the seed.
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
        seeds: one run each, with its own shots, batches and augmentation.
        out: folder for networks, tables and curves; finished seeds are read back.
        overwrite: replace networks of other options in that folder; they are lost.
        format: how the result is printed.
    """

    source: str
    target: str = "synthetic:kestry"
    root: Folder = None
    labels: Text = None
    split: Text = None
    count: Number = None
    test: Text = None
    size: Size = None
    shots: int = 20
    method: str = "full"
    source_data: Text = None
    source_root: Folder = None
    alignment_steps: Number = None
    steps: Number = None
    batch_size: Number = None
    learning_rate: Real = None
    held_out: float = 0.0
    seeds: tuple[int, ...] = (0,)
    out: str = "runs/finetune"
    overwrite: bool = False
    format: Literal["table", "csv", "json"] = "table"


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

    source: str
    target: str = "synthetic:kestry"
    methods: tuple[str, ...] = ("source_only", "cbst")
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
    aux_weight: Real = None
    validator: Literal["last", "information"] = "last"
    seeds: tuple[int, ...] = (0,)
    out: str = "runs/adapt"
    resume: bool = False
    overwrite: bool = False
    format: Literal["table", "csv", "json"] = "table"


class Report(Options):
    """Write the HTML report of a finished ranking again.

    Attributes:
        folder: folder of trfjax rank or trfjax demo.
        out: the file to write; report.html in that folder by default.
    """

    folder: str = "runs/rank"
    out: File = None


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
        format: how the result is printed.
    """

    data: str = "synthetic:arden"
    root: Folder = None
    labels: Text = None
    split: Text = None
    size: Size = None
    count: Number = None
    sheet: str = "contact-sheet.png"
    images: int = 12
    format: Literal["table", "json"] = "table"


class Info(Options):
    """List the networks and what they cost: parameters, multiply-adds, taps.

    Attributes:
        model: an architecture or a checkpoint; all architectures by default.
        size: height and width of the input.
        classes: number of classes.
        width: base width; the published one by default.
        format: how the result is printed.
    """

    model: Text = None
    size: Pair = (512, 1024)
    classes: int = 19
    width: Number = None
    format: Literal["table", "json"] = "table"


COMMANDS: dict[str, type[Any]] = {
    "demo": Demo,
    "data": Data,
    "train": Train,
    "extract": Extract,
    "rank": Rank,
    "map": Map,
    "finetune": Finetune,
    "adapt": Adapt,
    "report": Report,
    "info": Info,
}

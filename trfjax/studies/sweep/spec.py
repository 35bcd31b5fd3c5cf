"""What a sweep is asked for: sources, targets, scores, transfer methods, seeds."""

from __future__ import annotations

from typing import Literal

import msgspec

from trfjax.ranking.panel import How, Panel
from trfjax.scores import DEFAULT
from trfjax.studies.finetuning import recipe_of
from trfjax.studies.specs import DataSpec
from trfjax.training.recipe import Recipe


class Options(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A part of a sweep, as it is written in YAML."""


class Train(Options):
    """How a source is trained; what is left out is that of the sweep.

    Attributes:
        model: architecture.
        width: base width; 0 for the published one.
        steps: optimiser steps.
        batch_size: images per step.
        learning_rate: at its peak.
        seed: of weights, batches and augmentation; that of the sweep by default.
    """

    model: str | None = None
    width: int | None = None
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int | None = None

    def filled(self, other: Train) -> Train:
        """Return the same with what is left out as in another."""
        given = msgspec.structs.asdict(self)
        known = msgspec.structs.asdict(other)
        return Train(**{k: known[k] if v is None else v for k, v in given.items()})

    @property
    def recipe(self) -> Recipe:
        """How the network is trained."""
        names = ("steps", "batch_size", "learning_rate", "seed")
        given = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
        return Recipe(**given)


class SourceEntry(Options):
    """A source: images to train a network on, or a network that is trained.

    Attributes:
        name: what it is called; its pair with a target of that name is left out.
        data: its labelled images.
        train: how its network is trained.
        network: a run folder of trfjax train, or a checkpoint, instead.
    """

    name: str
    data: DataSpec | None = None
    train: Train | None = None
    network: str | None = None


class TargetEntry(Options):
    """A target.

    Attributes:
        name: what it is called.
        data: labelled images that the shots are drawn from.
        test: images of other scenes that transfer is measured on; half of `data` by
            default.
        shots: labelled images per draw; those of the sweep by default.
    """

    name: str
    data: DataSpec
    test: DataSpec | None = None
    shots: int | None = None


class Method(Options):
    """A way to transfer a source to the shots.

    Attributes:
        mode: full, head, last-<k>, norm, scratch (fresh weights), unchanged, otce or
            weighted; see `trfjax finetune`.
        name: of its rows; the mode by default.
        steps: optimiser steps.
        batch_size: images per step.
        learning_rate: at its peak; for scratch by default that of training.
        held_out: share of the shots that chooses the best step.
    """

    mode: str = "full"
    name: str | None = None
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    held_out: float = 0.0

    @property
    def title(self) -> str:
        """What its rows are called."""
        return self.name or self.mode

    @property
    def recipe(self) -> Recipe:
        """How the shots are learned."""
        known = msgspec.structs.asdict(self)
        names = ("steps", "batch_size", "learning_rate")
        given = {n: known[n] for n in names if known[n] is not None}
        return recipe_of(self.mode, **given)


class PanelEntry(Options):
    """A column made of several scores; see `Panel`."""

    name: str = "panel"
    scores: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    how: How = "ranks"

    @property
    def panel(self) -> Panel:
        """The panel, before its scores are held against those of the sweep."""
        return Panel(
            metrics=self.scores,
            weights=self.weights,
            how=self.how,
            name=self.name,
        )


class Sweep(Options):
    """Every source scored for and transferred to every target, with every seed.

    Attributes:
        sources: at least two.
        targets: at least one.
        scores: by name, `name@space` in another feature space.
        methods: ways to transfer, by mode or in full.
        seeds: of the draws of shots, the batches and the augmentation.
        shots: labelled images per draw.
        size: height and width of all images that say nothing else.
        train: how sources are trained.
        panels: columns made of several scores.
        pixels: as in `rank`, as are the next four.
        atoms: points that all pixels of a side are compressed into at most.
        repeats: draws of pixels.
        epsilon: of OTCE.
        bootstrap: resamples of the shots, for intervals of the scores; 0 for none.
        seed: of every other random choice.
    """

    sources: tuple[SourceEntry, ...]
    targets: tuple[TargetEntry, ...]
    scores: tuple[str, ...] = DEFAULT
    methods: tuple[str | Method, ...] = ("full",)
    seeds: tuple[int, ...] = (0, 1)
    shots: int = 20
    size: tuple[int, int] | None = None
    train: Train = msgspec.field(default_factory=Train)
    panels: tuple[PanelEntry, ...] = ()
    pixels: int | Literal["all"] | None = None
    atoms: int = 512
    repeats: int = 10
    epsilon: float = 0.1
    bootstrap: int = 0
    seed: int = 0

    @property
    def ways(self) -> tuple[Method, ...]:
        """The methods in full."""
        return tuple(Method(mode=m) if isinstance(m, str) else m for m in self.methods)

    def training(self, source: SourceEntry) -> Train:
        """Return how a source is trained, with nothing left out but the rates."""
        usual = Train(model="unet", width=8, seed=self.seed)
        return (source.train or Train()).filled(self.train).filled(usual)

    def sized(self, data: DataSpec) -> DataSpec:
        """Return a data set with the size of the sweep where it has none."""
        if data.size is not None or self.size is None:
            return data
        return msgspec.structs.replace(data, size=self.size)

    def pairs(self) -> list[tuple[str, str]]:
        """Return sources and targets by name, those of one name left out."""
        return [
            (source.name, target.name)
            for source in self.sources
            for target in self.targets
            if source.name != target.name
        ]

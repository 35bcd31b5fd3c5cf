"""Sources and targets of a sweep with their data, before anything is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from trfjax.data.dataset import Dataset
from trfjax.files import digest
from trfjax.state import ModelCard
from trfjax.store import file_name
from trfjax.studies.runs import MODEL, open_model, training_data
from trfjax.studies.sources import Training
from trfjax.studies.specs import DataSpec
from trfjax.studies.sweep.spec import SourceEntry, Sweep, TargetEntry
from trfjax.studies.sweep.written import SpecError, Where

T = TypeVar("T")

TRAINED_ON = 0.9  # share of a source's scenes; the others tell how well it learnt
POOL = 0.5  # share of a target that shots are drawn from, where no test set is named


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OpenSource:
    """A source with its data: to be trained, or trained already."""

    name: str
    data: Dataset | None  # its labelled images
    spec: DataSpec | None  # what they are from
    training: Training | None  # None: it is trained
    network: Path | None
    identity: str  # a digest of all that its network depends on
    card: ModelCard

    @property
    def folder(self) -> str:
        """Where its network is trained, within the folder of the sweep."""
        return f"sources/{file_name(self.name)}-{self.identity[:8]}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OpenTarget:
    """A target with its data."""

    name: str
    pool: Dataset  # images that the shots are drawn from
    test: Dataset
    specs: tuple[DataSpec, ...]
    shots: int

    def drawn(self, seed: int) -> Dataset:
        """Return the shots of a seed."""
        return self.pool.shots(self.shots, seed=seed)


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
    """A sweep with its data, by name."""

    sweep: Sweep
    sources: dict[str, OpenSource]
    targets: dict[str, OpenTarget]


def open_sweep(sweep: Sweep) -> Opened:
    """Open all data of a sweep, and look at every network that is trained.

    Raises:
        SpecError: data that are missing or do not fit, and the remedy.
    """
    sources = {
        entry.name: _source(("sources", i), entry, sweep)
        for i, entry in enumerate(sweep.sources)
    }
    targets = {
        entry.name: _target(("targets", i), entry, sweep)
        for i, entry in enumerate(sweep.targets)
    }
    names = [target.name for target in sweep.targets]
    for source, target in sweep.pairs():
        where: Where = ("targets", names.index(target))
        _check_apart(where, sources[source], targets[target])
    return Opened(sweep, sources, targets)


def _source(where: Where, entry: SourceEntry, sweep: Sweep) -> OpenSource:
    spec = None if entry.data is None else sweep.sized(entry.data)
    if entry.network is None:
        assert spec is not None  # see `check`
        data = _tried((*where, "data"), spec.load)
        training = _tried((*where, "train"), lambda: _training(entry, data, sweep))
        return OpenSource(
            name=entry.name,
            data=data,
            spec=spec,
            training=training,
            network=None,
            identity=digest(training.key),
            card=training.card,
        )
    path = Path(entry.network)
    trained = _tried((*where, "network"), lambda: open_model(path))
    if spec is None:
        spec = _tried((*where, "network"), lambda: training_data(path))
    file = path / MODEL if path.is_dir() else path
    found = None if spec is None else sweep.sized(spec)
    return OpenSource(
        name=entry.name,
        data=None if found is None else _tried((*where, "data"), found.load),
        spec=found,
        training=None,
        network=path,
        identity=digest(file.read_bytes()),
        card=trained.card,
    )


def _training(entry: SourceEntry, data: Dataset, sweep: Sweep) -> Training:
    how = sweep.training(entry)
    part, held_out = data.split(TRAINED_ON, seed=sweep.seed)
    height, width = data[0]["image"].shape[:2]
    config: dict[str, Any] = {"num_classes": data.num_classes}
    if how.width:
        config["width"] = how.width
    card = ModelCard(
        name=entry.name,
        architecture=str(how.model),
        config=config,
        class_names=data.class_names,
        input_size=(height, width),
        ignore=data.ignore,
        trained_on=data.name,
    )
    return Training(
        card=card, data=part, test=held_out, recipe=how.recipe, spec=entry.data
    )


def _target(where: Where, entry: TargetEntry, sweep: Sweep) -> OpenTarget:
    spec = sweep.sized(entry.data)
    pool = _tried((*where, "data"), spec.load)
    specs = (spec,)
    if entry.test is None:
        pool, test = _tried((*where, "data"), lambda: pool.split(POOL))
    else:
        specs = (spec, sweep.sized(entry.test))
        test = _tried((*where, "test"), specs[1].load)
        if shared := _shared(specs[0], pool, specs[1], test):
            raise SpecError(
                (*where, "test"),
                f"{shared} of its images are among those the shots are drawn from; "
                "name other ones",
            )
    shots = entry.shots or sweep.shots
    if not 1 <= shots <= len(pool):
        raise SpecError(
            (*where, "shots") if entry.shots else ("shots",),
            f"{shots} asked of {entry.name}, which has {len(pool)} images to draw from",
        )
    return OpenTarget(name=entry.name, pool=pool, test=test, specs=specs, shots=shots)


def _check_apart(where: Where, source: OpenSource, target: OpenTarget) -> None:
    """Refuse a source that has seen images of a target of another name."""
    if source.spec is None or source.data is None:
        return
    for spec, data in zip(
        (target.specs[0], target.specs[-1]), (target.pool, target.test), strict=True
    ):
        if shared := _shared(source.spec, source.data, spec, data):
            raise SpecError(
                where,
                f"{shared} images of {target.name!r} belong to the source "
                f"{source.name!r}, so that its transfer would be too good. Give both "
                "one name, which leaves the pair out, or choose other images",
            )


def _shared(one: DataSpec, data: Dataset, two: DataSpec, other: Dataset) -> int:
    """Count the images that two data sets share."""
    if one.name.split(":")[0] != two.name.split(":")[0]:
        return 0
    if one.root is None or two.root is None:
        # Invented images have no folder; their seed tells them apart.
        if one.root != two.root or one.seed != two.seed:
            return 0
    elif Path(one.root).resolve() != Path(two.root).resolve():
        return 0
    return len(set(data.image_ids) & set(other.image_ids))


def _tried(where: Where, work: Callable[[], T]) -> T:
    """Say which part of the sweep an error comes from."""
    try:
        return work()
    except (ValueError, TypeError, OSError, msgspec.ValidationError) as error:
        raise SpecError(where, f"{error}") from error

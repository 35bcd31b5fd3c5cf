"""`trfjax rank`."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from trfjax.cli import FAILED_CELLS
from trfjax.data.dataset import Dataset
from trfjax.errors import DataError
from trfjax.features.featureset import FeatureSet
from trfjax.features.predictor import Preprocessing
from trfjax.features.published import read_published
from trfjax.files import strict
from trfjax.ranking.plan import check_metrics, pixels_of
from trfjax.ranking.rank import Ranking, SavedSource, Source, rank
from trfjax.reporting.report import write_results
from trfjax.scores import SCORES
from trfjax.studies.runs import (
    CONFIG,
    DataSpec,
    check_folder,
    open_model,
    spec_of,
    training_data,
    write_config,
)

PUBLISHED = 200_000  # pixels read of each side of published features


class SourceSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One entry of a YAML list of sources.

    Attributes:
        name: what the source is called; required in a file.
        model: a checkpoint or run folder of ours, which may know its own data.
        function: a function of the file given with --code, called without arguments;
            it returns a model: any callable, nnx module or torch module.
        layer: of a torch module, the layer of penultimate features.
        input_size: height and width a function's model takes.
        data: its labelled images, for OTCE.
        source_features: saved features of its own images, instead of a model.
        target_features: saved features of the target images, instead of a model.
    """

    name: str | None = None
    model: str | None = None
    function: str | None = None
    layer: str | None = None
    input_size: tuple[int, int] | None = None
    data: DataSpec | None = None
    source_features: str | None = None
    target_features: str | None = None


def run(config: Any) -> int:
    """Rank sources and write tables, plot and report."""
    sources, target = _inputs(config)
    folder = check_folder(config.out, "--out")
    write_config(folder, config)
    ranking = rank(
        sources, target,
        metrics=config.metrics, pixels=config.pixels, atoms=config.atoms,
        repeats=config.repeats,
        epsilon=config.epsilon, relative_epsilon=config.relative_epsilon,
        features=config.features, solver=config.solver, strategy=config.strategy,
        bootstrap=config.bootstrap, batch_size=config.batch_size, seed=config.seed,
        out=folder,
    )  # fmt: skip
    report = write_results(ranking, folder)
    show(ranking, config.format)
    print(f"report: {report}", file=sys.stderr)
    failed = any(cell.status == "failed" for cell in ranking.cells)
    return FAILED_CELLS if failed else 0


def show(ranking: Ranking, form: str) -> None:
    """Print a ranking."""
    if form == "csv":
        print(ranking.to_csv(), end="")
    elif form == "json":
        print(json.dumps(strict(ranking.records())))
    else:
        print(ranking)


def _inputs(config: Any) -> tuple[list[Source | SavedSource], Dataset | None]:
    """Return the sources and the target that were asked for."""
    if config.published is not None:
        if config.sources:
            raise ValueError(
                "--published: ranks the features in that folder; leave --sources out"
            )
        return _published(config), None
    if not config.sources:
        raise ValueError(
            "--sources: none given; name run folders of trfjax train, or a YAML list. "
            "To make one: trfjax train --data synthetic:arden --out runs/arden"
        )
    paths = [Path(source) for source in config.sources]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(
                f"--sources: {path}: no such file or folder; name run folders of "
                "trfjax train, or a YAML list"
            )
    specs: list[SourceSpec] = []
    for path in paths:
        listed = path.suffix in (".yaml", ".yml")
        specs += read_sources(path) if listed else [SourceSpec(model=str(path))]
    if all(spec.target_features is not None for spec in specs):
        return [_from_spec(spec, config, None) for spec in specs], None
    target = spec_of(config, config.target, seed=config.seed).load()
    return [_from_spec(spec, config, target) for spec in specs], target


def _own_data(path: Path, config: Any) -> Dataset | None:
    """Return what a network of ours was trained on; None where nothing needs it."""
    folder = path if path.is_dir() else path.parent
    if not any(name in SCORES and SCORES[name].two_sided for name in config.metrics):
        return None
    if not (folder / CONFIG).is_file():
        raise DataError(
            path,
            f"lies beside no {CONFIG}, so the data for OTCE is not known. Name it in "
            "a YAML list (model and data), or leave otce out of --metrics.",
        )
    return training_data(folder).load()


def _tell_overlap(path: Path, target: Dataset | None, config: Any) -> None:
    """Warn when target images are among those the network was made with."""
    folder = path if path.is_dir() else path.parent
    if target is None or not (folder / CONFIG).is_file():
        return
    spec, wanted = training_data(folder), spec_of(config, config.target)
    same = spec.name.split(":")[0] == wanted.name.split(":")[0]
    # Invented streets have no folder; their seed, 0 in training, tells them apart.
    if wanted.root is None or spec.root is None:
        same &= wanted.root == spec.root and config.seed == spec.seed
    else:
        same &= Path(wanted.root).resolve() == Path(spec.root).resolve()
    if not same:
        return
    shared = set(spec.load().image_ids) & set(target.image_ids)
    if shared:
        print(
            f"warning: {len(shared)} of {len(target)} target images belong to the data "
            f"that {folder} was trained on; its scores are too good",
            file=sys.stderr,
        )


def _published(config: Any) -> list[Source | SavedSource]:
    chosen = pixels_of(
        check_metrics(config.metrics),
        config.pixels,
        solver=config.solver,
        strategy=config.strategy,
    )
    # All pixels of a folder of maps would have to be in memory together.
    count = max(
        PUBLISHED if pixels == "all" else pixels * config.repeats
        for pixels in chosen.values()
    )
    found = read_published(
        config.published, config.city, pixels=count, seed=config.seed,
        strategy=config.strategy,
    )  # fmt: skip
    return [SavedSource(name, target, source) for name, source, target in found]


def read_sources(path: Path) -> list[SourceSpec]:
    """Read a YAML list of sources."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        specs = msgspec.convert(
            yaml.safe_load(path.read_text(encoding="utf-8")), list[SourceSpec]
        )
    except (msgspec.ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(
            path, f"not a list of sources: {error}; see docs/ranking.md"
        ) from error
    for i, spec in enumerate(specs, start=1):
        kinds = [spec.model, spec.function, spec.target_features]
        if spec.name is None:
            raise DataError(path, f"source {i} has no name")
        if sum(kind is not None for kind in kinds) != 1:
            raise DataError(
                path,
                f"source {spec.name!r}: give exactly one of model, function and "
                "target_features",
            )
    return specs


def _from_spec(
    spec: SourceSpec, config: Any, target: Dataset | None
) -> Source | SavedSource:
    """Return what a source is; one that cannot be opened is listed as failed."""
    if spec.target_features is not None:
        own = spec.source_features and FeatureSet.load(spec.source_features)
        return SavedSource(
            str(spec.name), FeatureSet.load(spec.target_features), own or None
        )
    data = spec.data.load() if spec.data else None
    if spec.model is not None:
        return _from_checkpoint(spec, data, config, target)
    options: dict[str, Any] = {
        "name": spec.name, "preprocessing": Preprocessing(spec.input_size),
    }  # fmt: skip
    if spec.layer is not None:
        options["layer"] = spec.layer
    function = load_function(config.code, str(spec.function))
    try:
        model = function()
    except Exception as error:  # a user's code may raise anything at all
        return _broken(str(spec.name), error)
    return Source(str(spec.name), model, data, options)


def _from_checkpoint(
    spec: SourceSpec, data: Dataset | None, config: Any, target: Dataset | None
) -> Source:
    path = Path(str(spec.model))
    if not path.exists():
        raise FileNotFoundError(f"source {spec.name!r}: {path}: no such file or folder")
    try:
        trained = open_model(path)
    except DataError as error:
        return _broken(spec.name or path.name, error)
    if data is None:
        data = _own_data(path, config)
    _tell_overlap(path, target, config)
    return Source(spec.name or trained.card.name, trained, data)


def _broken(name: str, error: Exception) -> Source:
    """Return a source that fails with this error when its turn comes."""

    def raise_it(images: Any) -> Any:
        raise error

    return Source(name, raise_it, options={"name": name})


def load_function(code: str | None, name: str) -> Callable[[], Any]:
    """Return a function of the Python file the user named on the command line.

    Only that file is run: the YAML list can name its functions but no code.
    """
    if code is None:
        raise ValueError(f"function {name!r}: name the Python file with --code")
    path = Path(code)
    if not path.is_file():
        raise FileNotFoundError(f"--code: {path}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # a .py file has both
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(
            f"--code: {path} does not run: {type(error).__name__}: {error}"
        ) from error
    functions = [n for n, v in vars(module).items() if callable(v) and n[0] != "_"]
    if name not in functions:
        raise ValueError(
            f"{path}: no function {name!r}; there are {', '.join(functions)}"
        )
    return getattr(module, name)


__all__ = ["SourceSpec", "read_sources", "run", "show"]

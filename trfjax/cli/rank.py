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
from trfjax.cli.runs import DataSpec, open_model, spec_of, training_data, write_config
from trfjax.data.dataset import Dataset
from trfjax.errors import DataError
from trfjax.features.featureset import FeatureSet
from trfjax.features.published import read_published
from trfjax.files import atomic_path
from trfjax.ranking.rank import Ranking, SavedSource, Source, rank


class SourceSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One entry of a YAML list of sources.

    Attributes:
        name: what the source is called.
        model: a checkpoint or run folder of ours.
        function: a function of the file given with --code, called without arguments;
            it returns a model: any callable, nnx module or torch module.
        layer: of a torch module, the layer of penultimate features.
        input_size: height and width a function's model takes.
        data: its labelled images, for OTCE.
        source_features: saved features of its own images, instead of a model.
        target_features: saved features of the target images, instead of a model.
    """

    name: str
    model: str | None = None
    function: str | None = None
    layer: str | None = None
    input_size: tuple[int, int] | None = None
    data: DataSpec | None = None
    source_features: str | None = None
    target_features: str | None = None


def run(config: Any) -> int:
    """Rank sources and write tables, plot and report."""
    folder = Path(config.out)
    sources, target = _inputs(config)
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, config)
    ranking = rank(
        sources, target,
        metrics=config.metrics, pixels=config.pixels, repeats=config.repeats,
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


def write_results(ranking: Ranking, folder: Path, **parts: Any) -> Path:
    """Write plot and report beside the tables; return the path of the report."""
    figure, _ = ranking.plot()
    with atomic_path(folder / "ranking.png") as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return ranking.report(folder / "report.html", **parts)


def show(ranking: Ranking, form: str) -> None:
    """Print a ranking."""
    if form == "csv":
        print(ranking.to_csv(), end="")
    elif form == "json":
        print(json.dumps(ranking.records()))
    else:
        print(ranking)


def _inputs(config: Any) -> tuple[list[Source | SavedSource], Dataset | None]:
    """Return the sources and the target that were asked for."""
    if config.published is not None:
        return _published(config), None
    if not config.sources:
        raise ValueError(
            "--sources: none given; name run folders of trfjax train, or a YAML list"
        )
    target = spec_of(config, config.target, seed=config.seed).load()
    sources: list[Source | SavedSource] = []
    for path in map(Path, config.sources):
        if path.suffix in (".yaml", ".yml"):
            sources += [_from_spec(spec, config) for spec in read_sources(path)]
        else:
            trained = open_model(path)
            sources.append(Source(trained.card.name, trained, _own_data(path, target)))
    return sources, target


def _own_data(path: Path, target: Dataset) -> Dataset:
    folder = path if path.is_dir() else path.parent
    data = training_data(folder).load()
    shared = set(data.image_ids) & set(target.image_ids)
    if shared and data.fingerprint.split("|")[0] == target.fingerprint.split("|")[0]:
        print(
            f"warning: {len(shared)} target images were among the training images of "
            f"{folder}; its scores are too good",
            file=sys.stderr,
        )
    return data


def _published(config: Any) -> list[Source | SavedSource]:
    if config.city is None:
        raise ValueError("--city: name the target within the folder of features")
    count = config.pixels * config.repeats
    found = read_published(
        config.published, config.city, pixels=count, seed=config.seed
    )
    return [SavedSource(name, target, source) for name, source, target in found]


def read_sources(path: Path) -> list[SourceSpec]:
    """Read a YAML list of sources."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return msgspec.convert(yaml.safe_load(path.read_text()), list[SourceSpec])
    except (msgspec.ValidationError, yaml.YAMLError) as error:
        raise DataError(path, f"not a list of sources: {error}") from error


def _from_spec(spec: SourceSpec, config: Any) -> Source | SavedSource:
    kinds = [spec.model, spec.function, spec.target_features]
    if sum(kind is not None for kind in kinds) != 1:
        raise ValueError(
            f"source {spec.name!r}: give exactly one of model, function and "
            "target_features"
        )
    if spec.target_features is not None:
        own = spec.source_features and FeatureSet.load(spec.source_features)
        return SavedSource(
            spec.name, FeatureSet.load(spec.target_features), own or None
        )
    data = spec.data.load() if spec.data else None
    if spec.model is not None:
        if data is None and Path(spec.model).is_dir():
            data = training_data(Path(spec.model)).load()
        return Source(spec.name, open_model(spec.model), data)
    model = load_function(config.code, str(spec.function))()
    from trfjax.features.predictor import Preprocessing

    options: dict[str, Any] = {
        "name": spec.name, "preprocessing": Preprocessing(spec.input_size),
    }  # fmt: skip
    if spec.layer is not None:
        options["layer"] = spec.layer
    return Source(spec.name, model, data, options)


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
    spec.loader.exec_module(module)
    functions = [n for n, v in vars(module).items() if callable(v) and n[0] != "_"]
    if name not in functions:
        raise ValueError(
            f"{path}: no function {name!r}; there are {', '.join(functions)}"
        )
    return getattr(module, name)


__all__ = ["SourceSpec", "read_sources", "run", "show", "write_results"]

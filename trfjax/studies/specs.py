"""What is asked for by name: data sets, and lists of sources in YAML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import fields

from trfjax.data import load_dataset
from trfjax.data.dataset import Dataset
from trfjax.errors import DataError, perhaps
from trfjax.reading import read_lines, read_yaml
from trfjax.studies.outputs import kind_of, run_folders


class DataSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The arguments of `load_dataset`, and the number of images drawn."""

    name: str
    root: str | None = None
    labels: str | None = None
    split: str | None = None
    size: tuple[int, int] | None = None
    count: int | None = None
    shots: int | None = None
    seed: int = 0

    def load(self) -> Dataset:
        """Open the data set; the seed draws synthetic images and the shots."""
        fields = msgspec.structs.asdict(self)
        shots, seed = fields.pop("shots"), fields["seed"]
        data = load_dataset(fields.pop("name"), fields.pop("root"), **fields)
        return data if shots is None else data.shots(shots, seed=seed)

    def absolute(self) -> DataSpec:
        """Return the same with a root that does not depend on where one stands."""
        if self.root is None:
            return self
        return msgspec.structs.replace(self, root=str(Path(self.root).resolve()))


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


def spec_of(config: Any, name: str, **changes: Any) -> DataSpec:
    """Return the data set that the options of a command describe.

    Args:
        config: the options; `root`, `labels`, `split`, `size`, `count` and `shots` are
            taken where it has them.
        name: of the data set.
        **changes: fields that are not as the options say.
    """
    known = {
        field: getattr(config, field)
        for field in ("root", "labels", "split", "size", "count", "shots")
        if hasattr(config, field)
    }
    return DataSpec(name=name, **(known | changes))


def source_specs(paths: Sequence[str | Path]) -> list[SourceSpec]:
    """Return what run folders, checkpoints and YAML lists name.

    A folder of several networks, as finetune and adapt write it, names all of them. A
    folder of other results is no source, as `runs/*` may hold some.

    Raises:
        FileNotFoundError: a path that is not there.
        DataError: a list that cannot be used, or results of other commands alone.
    """
    specs: list[SourceSpec] = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(
                f"--sources: {path}: no such file or folder; name run folders of "
                "trfjax train, or a YAML list"
            )
    results = other_results(paths)
    if results and len(results) == len(paths):
        raise DataError(
            results[0],
            f"holds what trfjax {kind_of(results[0])} wrote, and no network; name run "
            "folders of trfjax train or finetune with --sources",
        )
    for path in map(Path, paths):
        if path in results:
            continue
        if path.suffix in (".yaml", ".yml"):
            specs += read_sources(path)
        elif kind_of(path) in ("finetune", "adapt"):
            specs += [SourceSpec(model=str(folder)) for folder in run_folders(path)]
        else:
            specs.append(SourceSpec(model=str(path)))
    return specs


def other_results(paths: Sequence[str | Path]) -> list[Path]:
    """Return the folders that hold results of ours, and no network to rank."""
    networks = (None, "train", "finetune", "adapt")
    return [path for path in map(Path, paths) if kind_of(path) not in networks]


def read_sources(path: Path) -> list[SourceSpec]:
    """Read a YAML list of sources.

    Raises:
        FileNotFoundError: no such file.
        DataError: a list that cannot be used, and why.
    """
    try:
        specs: list[SourceSpec] = read_yaml(path, list[SourceSpec])
    except DataError as error:
        raise DataError(
            path,
            f"not a list of sources: {error.problem}{_typo(path, error.problem)} See "
            "docs/ranking.md.",
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


def _typo(path: Path, problem: str) -> str:
    """Say on which line an unknown key stands, and what was perhaps meant."""
    found = re.search(r"unknown field `([^`]+)`", problem)
    if found is None:
        return ""
    key, line = found[1], re.compile(rf"[\s\-{{,]*{re.escape(found[1])}\s*:")
    lines = (i for i, text in enumerate(read_lines(path), start=1) if line.match(text))
    known = [f.name for kind in (SourceSpec, DataSpec) for f in fields(kind)]
    hint = perhaps(key, known) or f"; known: {', '.join(known)}."
    return f" Line {next(lines, '?')}: {key!r}{hint}"

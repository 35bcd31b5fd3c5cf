"""Sources and target of a ranking, opened from what a user named."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trfjax.data.dataset import Dataset
from trfjax.errors import DataError
from trfjax.features.featureset import FeatureSet
from trfjax.features.preprocessing import Preprocessing
from trfjax.ranking.rank import SavedSource, Source
from trfjax.studies.runs import open_model, training_data
from trfjax.studies.specs import DataSpec, SourceSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opened:
    """Sources and target, ready for `rank`."""

    sources: list[Source | SavedSource]
    target: Dataset | None  # None when all sources are saved features
    notes: tuple[str, ...]  # what a user should know before trusting the scores
    networks: dict[str, str] = dataclasses.field(default_factory=dict)  # their files

    def on_images(self, otherwise: str) -> tuple[list[Source], Dataset]:
        """Return networks and target, where nothing is saved features.

        Raises:
            ValueError: with the message `otherwise`, where something is.
        """
        found = [one for one in self.sources if not isinstance(one, SavedSource)]
        if self.target is None or len(found) < len(self.sources):
            raise ValueError(otherwise)
        return found, self.target


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opening:
    """The target and the settings that sources are opened for."""

    target: DataSpec
    source_data: bool  # whether a score needs labelled images of the source
    code: str | None = None  # the Python file whose functions a list may name


def open_sources(specs: Sequence[SourceSpec], opening: Opening) -> Opened:
    """Open everything that a ranking reads; a network that is damaged fails later.

    Args:
        specs: the sources.
        opening: the target, and what the scores need.

    Raises:
        DataError, FileNotFoundError, ValueError: what cannot be opened, and the remedy.
    """
    target = None
    if any(spec.target_features is None for spec in specs):
        target = opening.target.load()
    sources = _told_apart([_source(spec, opening) for spec in specs], specs)
    models = [Path(spec.model) for spec in specs if spec.model is not None]
    found = [overlap(path, target, opening.target) for path in models]
    notes = tuple(note for note in found if note is not None)
    networks = {
        source.name: spec.model
        for source, spec in zip(sources, specs, strict=True)
        if spec.model is not None
    }
    return Opened(sources=sources, target=target, notes=notes, networks=networks)


def _told_apart(
    sources: list[Source | SavedSource], specs: Sequence[SourceSpec]
) -> list[Source | SavedSource]:
    """Call networks of one name by their folders, where no list has named them."""
    names = Counter(source.name for source in sources)
    return [
        dataclasses.replace(source, name=str(spec.model))
        if names[source.name] > 1 and spec.name is None
        else source
        for source, spec in zip(sources, specs, strict=True)
    ]


def _source(spec: SourceSpec, opening: Opening) -> Source | SavedSource:
    """Return what a source is; one that cannot be opened is listed as failed."""
    if spec.target_features is not None:
        source = spec.source_features and FeatureSet.load(spec.source_features)
        target = FeatureSet.load(spec.target_features)
        return SavedSource(str(spec.name), target, source or None)
    data = spec.data.load() if spec.data else None
    if spec.model is not None:
        return _from_checkpoint(spec, data, opening)
    options: dict[str, Any] = {
        "name": spec.name,
        "preprocessing": Preprocessing(spec.input_size),
    }
    if spec.layer is not None:
        options["layer"] = spec.layer
    function = load_function(opening.code, str(spec.function))
    try:
        model = function()
    except Exception as error:  # a user's code may raise anything at all
        return _broken(str(spec.name), error)
    return Source(str(spec.name), model, data, options)


def _from_checkpoint(
    spec: SourceSpec, data: Dataset | None, opening: Opening
) -> Source:
    path = Path(str(spec.model))
    if not path.exists():
        raise FileNotFoundError(f"source {spec.name!r}: {path}: no such file or folder")
    try:
        trained = open_model(path)
    except DataError as error:
        return _broken(spec.name or path.name, error)
    if data is None and opening.source_data:
        known = training_data(path)
        if known is None:
            raise DataError(
                path,
                "does not say what it was trained on, and OTCE needs that. Name the "
                "data in a YAML list (model and data), or leave otce out of --metrics.",
            )
        data = known.load()
    return Source(spec.name or trained.card.name, trained, data)


def overlap(path: Path, target: Dataset | None, wanted: DataSpec) -> str | None:
    """Say how many target images are among those a network was made with.

    Args:
        path: of the network.
        target: the opened target.
        wanted: what the target was opened from.

    Returns:
        None where there are none, or nothing is known.
    """
    try:
        spec = training_data(path)
    except DataError:  # the source is listed as failed
        return None
    if target is None or spec is None:
        return None
    same = spec.name.split(":")[0] == wanted.name.split(":")[0]
    # Invented streets have no folder; their seed tells them apart.
    if wanted.root is None or spec.root is None:
        same &= wanted.root == spec.root and wanted.seed == spec.seed
    else:
        same &= Path(wanted.root).resolve() == Path(spec.root).resolve()
    if not same:
        return None
    shared = set(spec.load().image_ids) & set(target.image_ids)
    if not shared:
        return None
    return (
        f"{len(shared)} of {len(target)} target images belong to the data that {path} "
        "was trained on; its scores are too good"
    )


def _broken(name: str, error: Exception) -> Source:
    """Return a source that fails with this error when its turn comes."""

    def raise_it(images: Any) -> Any:
        raise error

    return Source(name, raise_it, options={"name": name})


def load_function(code: str | None, name: str) -> Callable[[], Any]:
    """Return a function of the Python file the user named on the command line.

    Only that file is run: the YAML list can name its functions but no code.

    Raises:
        FileNotFoundError, ValueError: no file, one that does not run, or another name.
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

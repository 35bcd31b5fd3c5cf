"""Run folders: a finished network beside the settings it was made with.

`run.json` is the record of the run: its key says what was asked for, its value how the
network does and which data it knows, and it holds the digests of the network and of
`config.yaml`. Whoever reads a run folder compares them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml

from trfjax.errors import DataError
from trfjax.files import strict, write_text
from trfjax.models.checkpoint import load_model
from trfjax.state import TrainedModel
from trfjax.store import Record, read_record
from trfjax.studies.outputs import RUN as RUN
from trfjax.studies.outputs import run_folders
from trfjax.studies.specs import DataSpec
from trfjax.trees import arrays_digest, flatten

MODEL, STATE, CONFIG = "model.safetensors", "state.safetensors", "config.yaml"


def read_run(folder: str | Path) -> Record:
    """Read the record of a run folder; the files it names are as they were written.

    Raises:
        DataError: a run that is not finished, or files that do not belong together.
    """
    folder = Path(folder)
    path = folder / f"{RUN}.json"
    if path.is_file():
        return read_record(path)
    if (folder / STATE).is_file():
        problem = "training is not finished; run trfjax train with --resume"
    elif (folder / MODEL).is_file():
        problem = (
            f"holds a network but no {path.name}, which says what it was made with. "
            f"Name the file {MODEL} itself, or train again."
        )
    else:
        problem = f"holds no {MODEL}; give a folder written by trfjax train"
    raise DataError(folder, problem)


def open_model(path: str | Path) -> TrainedModel:
    """Open a checkpoint, or the network of a run folder.

    Raises:
        DataError: a file or folder that cannot be used, and why.
    """
    path = Path(path)
    if path.is_dir():
        path = _run_folder(path)
        read_run(path)
        path = path / MODEL
    return load_model(path)


def _run_folder(folder: Path) -> Path:
    """Return the one run folder that a folder is, or holds.

    Raises:
        DataError: it holds several.
    """
    held = [] if (folder / f"{RUN}.json").is_file() else run_folders(folder)
    if len(held) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in held[:8])
        raise DataError(folder, f"holds {len(held)} networks; name one of {names}")
    return held[0] if held else folder


def training_data(path: str | Path) -> DataSpec | None:
    """Return the data set a network was trained on, at its own image size.

    Args:
        path: a run folder, or a checkpoint in one.

    Returns:
        None where no run says so, or it used images that have no name.

    Raises:
        DataError: a run whose files do not belong together.
    """
    path = Path(path)
    folder = _run_folder(path) if path.is_dir() else path.parent
    if not (folder / f"{RUN}.json").is_file():
        return None
    record = read_run(folder)
    if not path.is_dir() and path.name not in record.files:
        return None
    found = (record.value or {}).get("data")
    if found is None:
        return None
    try:
        return msgspec.structs.replace(msgspec.convert(found, DataSpec), size=None)
    except msgspec.ValidationError as error:
        raise DataError(folder, f"its data is not known ({error})") from error


def write_config(folder: Path, config: Any) -> None:
    """Keep the resolved options, with absolute folders, beside the results.

    Args:
        folder: of the results.
        config: the options of a command, a struct.
    """
    fields = msgspec.to_builtins(config)
    if fields.get("root"):
        fields["root"] = str(Path(fields["root"]).resolve())
    write_text(folder / CONFIG, yaml.safe_dump(fields, sort_keys=False))


def differences(saved: Any, now: Any, name: str = "") -> Iterator[str]:
    """Yield in words where two keys of records differ."""
    saved, now = strict(saved), strict(now)
    if isinstance(saved, Mapping) and isinstance(now, Mapping):
        for key in sorted({*saved, *now}):
            part = f"{name}.{key}" if name else key
            yield from differences(saved.get(key), now.get(key), part)
    elif saved != now:
        yield f"{name} was {saved!r} and is now {now!r}"


def network_key(source: TrainedModel) -> dict[str, Any]:
    """Return what tells a network from others: its weights, and its card."""
    weights = {k: np.asarray(v) for k, v in flatten(source.model).items()}
    card = dataclasses.asdict(source.card)
    return {"source": arrays_digest(weights), "card": card}


def clear_or_refuse(
    path: Path,
    key: Callable[[dict[str, Any]], Any],
    *,
    folder: Path,
    held: str,
    overwrite: bool,
) -> None:
    """See to it that the network of a finished run is not mixed up with another.

    A record that is damaged is left: it is made again.

    Args:
        path: of the record of the run.
        key: returns what is asked for now, given what the record was asked for.
        folder: of all runs, that the message names.
        held: what a record of something else is, such as "another fine-tuning".
        overwrite: what is in the way may go; it does so at once.

    Raises:
        DataError: the folder holds a run that was asked for something else.
    """
    try:
        saved = read_record(path).key
    except DataError:
        return
    changes = list(differences(saved, key(saved)))
    if changes and overwrite:
        path.unlink()
        (path.parent / MODEL).unlink(missing_ok=True)
    elif changes:
        raise DataError(
            folder,
            f"holds {held}: {'; '.join(changes[:3])}. Choose another --out, or start "
            "over with --overwrite.",
        )

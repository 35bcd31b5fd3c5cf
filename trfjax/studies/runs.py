"""Run folders: a finished network beside the data it was trained on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import yaml

from trfjax.data import load_dataset
from trfjax.data.dataset import Dataset
from trfjax.errors import DataError
from trfjax.files import write_text
from trfjax.models.checkpoint import load_model
from trfjax.state import TrainedModel

MODEL, STATE, CONFIG = "model.safetensors", "state.safetensors", "config.yaml"


class DataSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What `load_dataset` is asked for, and how many images are drawn."""

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


def spec_of(config: Any, name: str, **changes: Any) -> DataSpec:
    """Return the data set that the options of a command describe."""
    known = {
        field: getattr(config, field)
        for field in ("root", "labels", "split", "size", "count", "shots")
        if hasattr(config, field)
    }
    return DataSpec(name=name, **(known | changes))


def check_folder(folder: str | Path, option: str) -> Path:
    """Make a folder that results go to; a bad one is told before any work is done.

    Raises:
        DataError: nothing can be written there.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(
            folder, f"cannot be written to ({error.strerror}); choose another {option}"
        ) from error
    return folder


def check_file(path: str | Path, option: str, *suffixes: str) -> Path:
    """Check the name of a file that is to be written, and the folder it goes to.

    Raises:
        DataError: nothing can be written there, or another suffix.
    """
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise DataError(path, f"{option} must end in {' or '.join(suffixes)}")
    if path.is_dir():
        raise DataError(path, f"is a folder; {option} names a file")
    check_folder(path.parent, option)
    return path


def write_config(folder: Path, config: Any) -> None:
    """Keep the resolved options, with absolute folders, beside the results."""
    fields = msgspec.to_builtins(config)
    if fields.get("root"):
        fields["root"] = str(Path(fields["root"]).resolve())
    write_text(folder / CONFIG, yaml.safe_dump(fields, sort_keys=False))


def open_model(path: str | Path) -> TrainedModel:
    """Open a checkpoint, or the network of a run folder."""
    path = Path(path)
    if path.is_dir():
        if not (path / MODEL).is_file():
            state = (path / STATE).is_file()
            raise DataError(
                path,
                "training is not finished; run trfjax train with --resume"
                if state
                else f"holds no {MODEL}; give a folder written by trfjax train",
            )
        path = path / MODEL
    return load_model(path)


def training_data(folder: Path) -> DataSpec:
    """Return the data set a run folder was trained on."""
    path = folder / CONFIG
    if not path.is_file():
        raise DataError(folder, f"holds no {CONFIG}, so its data is not known")
    fields = yaml.safe_load(path.read_text())
    names = ("root", "labels", "split", "count")
    try:
        return DataSpec(name=fields["data"], **{name: fields[name] for name in names})
    except (KeyError, TypeError) as error:
        raise DataError(path, f"not the options of a training run ({error})") from error

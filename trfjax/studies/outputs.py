"""Where results go: a place that can be written to, and is nobody else's."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from trfjax.errors import DataError
from trfjax.lock import locked

RUN = "run"  # the name of the record in a run folder

# What a folder holds, by the first of these that is there.
MARKS: dict[str, tuple[str, ...]] = {
    "sweep": ("sweep.yaml",),
    "select": ("selection.json", "race"),
    "train": ("run.json", "model.safetensors", "state.safetensors"),
    "finetune": ("seed-*/run.json", "seed-*/model.safetensors"),
    "adapt": ("*/seed-*/run.json", "*/seed-*/state.safetensors"),
    "predict": ("records/*.json", "predictions.csv"),
    "demo": ("outcome.json", "sources/*/run.json"),
    "rank": ("cells", "results.json"),
    "map": ("*-to-*.npy",),
}


def kind_of(folder: str | Path) -> str | None:
    """Return the command whose results a folder holds; None for nothing of ours."""
    folder = Path(folder)
    if not folder.is_dir():
        return None
    for kind, marks in MARKS.items():
        if any(next(folder.glob(mark), None) is not None for mark in marks):
            return kind
    return None


def run_folders(folder: str | Path) -> list[Path]:
    """Return the run folders in what finetune and adapt write, by seed and method."""
    found = (Path(folder).glob(f"{depth}seed-*/{RUN}.json") for depth in ("", "*/"))
    return sorted(path.parent for paths in found for path in paths)


@contextlib.contextmanager
def claimed(
    folder: str | Path, kind: str, *, inputs: Iterable[str | Path] = ()
) -> Iterator[Path]:
    """Hold the folder a command writes to, `--out`; made where there is none.

    Args:
        folder: the folder.
        kind: the command.
        inputs: folders that the command reads from.

    Raises:
        DataError: it holds results of another command, it is an input, nothing can be
            written there, or another run is writing.
    """
    _refuse_other(Path(folder), kind, inputs)  # before anything is written there
    folder = check_folder(folder, "--out")
    with locked(folder, "--out"):
        _refuse_other(folder, kind, inputs)  # somebody may have come first
        yield folder


def _refuse_other(folder: Path, kind: str, inputs: Iterable[str | Path]) -> None:
    for path in map(Path, inputs):
        if path.is_dir() and path.resolve() == folder.resolve():
            raise DataError(
                folder, "is read from by this very command; choose another --out"
            )
    found = kind_of(folder)
    if found not in (None, kind):
        raise DataError(
            folder, f"holds what trfjax {found} wrote; choose another --out"
        )


def unused(folder: Path) -> Path:
    """Return a folder that nothing has been written to, numbered where it has."""
    names = (f"{folder.name}-{i}" for i in itertools.count(2))
    paths = itertools.chain([folder], map(folder.with_name, names))
    return next(path for path in paths if not path.exists())


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

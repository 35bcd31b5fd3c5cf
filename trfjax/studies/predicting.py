"""A folder of photographs, predicted batch by batch and kept as it goes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from trfjax.data.batches import prefetch
from trfjax.data.photographs import Photograph
from trfjax.errors import DataError
from trfjax.features.predict import Prediction, channels_of, predict
from trfjax.features.predictor import Predictor
from trfjax.store import Made, Store
from trfjax.studies.runs import differences

Write = Callable[[Prediction, np.ndarray, Path], tuple[str, ...]]
RECORDS = "records"  # the folder of them within the results


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predicting:
    """The settings that all photographs of a run share."""

    predictor: Predictor
    written: dict[str, Any]  # what is written of each, for the key
    batch_size: int = 8

    def key(self, digest: str) -> dict[str, Any]:
        """Return everything that the result of a photograph depends on."""
        return {
            "command": "predict",
            "network": self.predictor.digest,
            "classes": self.predictor.class_names,
            "preprocessing": dataclasses.asdict(self.predictor.preprocessing),
            "written": self.written,
            "photograph": digest,
        }


@dataclasses.dataclass(frozen=True)
class _Read:
    """A photograph in memory, or why it is not."""

    photograph: Photograph
    image: np.ndarray | None
    key: dict[str, Any]
    error: str = ""


def predict_photographs(
    work: Predicting,
    photographs: Sequence[Photograph],
    folder: Path,
    write: Write,
    *,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Predict photographs, and read back what was finished with these settings.

    Args:
        work: the network, and what is written.
        photographs: what it looks at.
        folder: where the files and the records go.
        write: writes the files of one photograph and returns their paths.
        progress: show a bar on standard error.

    Returns:
        One record a photograph, in their order: `file`, and `error`, or `class`,
        `confidence`, `shares` and `files`. One that cannot be read does not stop the
        others.
    """
    store = Store(folder / RECORDS, files=folder)
    found: dict[str, dict[str, Any]] = {}
    bar = tqdm(
        total=len(photographs),
        desc="predict",
        unit="photograph",
        disable=None if progress else True,
    )
    with bar:
        pending = []
        for one in photographs:
            record = _kept(work, one, store)
            if record is None:
                pending.append(one)
            else:
                found[one.name] = record
                bar.update()
        for chunk in prefetch(_chunks(work, pending), depth=1):
            for record in _predicted(work, chunk, folder, store, write):
                found[record.pop("name")] = record
                bar.update()
    return [found[one.name] for one in photographs]


def make_room(work: Predicting, folder: Path, *, overwrite: bool = False) -> None:
    """See to it that no masks of another network or other options are mixed in.

    Args:
        work: the network, and what is written.
        folder: of the results.
        overwrite: what is in the way may go; it does so at once.

    Raises:
        DataError: the folder holds what was predicted otherwise.
    """
    now = work.key("")
    for record in Store(folder / RECORDS, files=folder).records():
        changes = list(differences({**record.key, "photograph": ""}, now))
        if changes and not overwrite:
            raise DataError(
                folder,
                f"holds other predictions: {'; '.join(changes[:2])}. Choose another "
                "--out, or replace them with --overwrite.",
            )
        if changes:
            (folder / RECORDS / f"{record.name}.json").unlink()
            for file in record.files:
                (folder / file).unlink(missing_ok=True)


def _kept(work: Predicting, one: Photograph, store: Store) -> dict[str, Any] | None:
    """Return the record of a photograph that is finished."""
    if not store.path({}, one.name).is_file():
        return None  # so that its file need not be read
    try:
        record = store.get(work.key(one.digest()), name=one.name)
    except (DataError, OSError):  # told when its turn comes
        return None
    return None if record is None else _told(one, record.value, record.files)


def _chunks(work: Predicting, pending: Sequence[Photograph]) -> Iterator[list[_Read]]:
    """Read some photographs at a time."""
    for start in range(0, len(pending), work.batch_size):
        yield [_read(work, one) for one in pending[start : start + work.batch_size]]


def _read(work: Predicting, one: Photograph) -> _Read:
    try:
        image, digest = one.read(channels_of(work.predictor))
    except (DataError, OSError) as error:
        return _Read(one, None, {}, str(error))
    return _Read(one, image, work.key(digest))


def _predicted(
    work: Predicting, chunk: list[_Read], folder: Path, store: Store, write: Write
) -> Iterator[dict[str, Any]]:
    """Predict what could be read, write it and keep the records."""
    started = time.perf_counter()
    good = [one for one in chunk if one.image is not None]
    images = [one.image for one in good if one.image is not None]
    if images:  # filled up, so that the program for this shape is used again
        images += images[-1:] * (work.batch_size - len(images))
        predictions = predict(
            work.predictor, images, batch_size=work.batch_size, progress=False
        )
        for one, image, prediction in zip(good, images, predictions, strict=False):
            prediction = dataclasses.replace(prediction, image_id=one.photograph.name)
            value = _value(prediction)
            files = write(prediction, image, folder)
            seconds = (time.perf_counter() - started) / len(images)
            name = one.photograph.name
            store.put(
                one.key, Made(value=value, files=files), name=name, seconds=seconds
            )
            yield {"name": name, **_told(one.photograph, value, files)}
    for one in chunk:
        if one.image is None:
            name, file = one.photograph.name, str(one.photograph.path)
            yield {"name": name, "file": file, "error": one.error}


def _value(prediction: Prediction) -> dict[str, Any]:
    shares = prediction.shares
    return {
        "class": max(shares, key=lambda name: shares[name]),
        "confidence": float(prediction.confidence.mean()),
        "shares": shares,
        "size": list(prediction.mask.shape),
    }


def _told(one: Photograph, value: dict[str, Any], files: Sequence[str]) -> Any:
    return {"file": str(one.path), **value, "files": list(files)}

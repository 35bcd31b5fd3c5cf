"""Read the published feature folders: final-layer maps and labels, file by file.

    source_feature/<model>/{final,label}/*.npy
    target_feature/<model>/<city>/{final,label}/*.npy

`final` holds logits `(C, H, W)`, `label` class indices `(H, W)`; pairs share a name.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from trfjax.data.labels import looks_void
from trfjax.data.paths import (
    check_inside,
    existing_folder,
    natural,
    visible,
    visible_files,
)
from trfjax.errors import DataError
from trfjax.features.featureset import SCHEMA, FeatureSet
from trfjax.features.head import head_predictions
from trfjax.features.pixels import RADIUS, Pixels, check_drawing, draw_pixels
from trfjax.files import digest
from trfjax.npy import map_npy

log = logging.getLogger("trfjax")

LAYOUT = "no folder with source_feature/MODEL/ and target_feature/MODEL/CITY/"
MAX_BYTES = 4 << 30  # of one array
VOID = (250, 255, -1)  # labels of pixels that count for nothing
Pair = tuple[Path, Path]  # files of the features and of the labels


def read_published(
    root: str | Path,
    city: str | None = None,
    *,
    models: Sequence[str] | None = None,
    pixels: int = 100_000,
    seed: int = 0,
    ignore: int | Collection[int] = VOID,
    strategy: str = "uniform",
) -> list[tuple[str, FeatureSet, FeatureSet]]:
    """Draw pixels from published features; no network is needed.

    The pixels drawn from a city are the same for every model. Features are logits.
    Files are mapped, not read whole; nothing in them is run.

    Args:
        root: the folder of `source_feature` and `target_feature`.
        city: the target; may be left out where there is only one.
        models: which to read; all by default.
        pixels: how many to draw from each side.
        seed: another seed draws other pixels.
        ignore: the label, or labels, that count for nothing: 250 as published, and
            255 and -1 as others mark them.
        strategy: how pixels are drawn; see `draw_pixels`.

    Returns:
        Name, source features and target features of every model, by name.

    Raises:
        FileNotFoundError: a folder that does not exist.
        ValueError: an unknown model or city; the message lists those there are.
        DataError: files that are damaged or do not belong together.
    """
    check_drawing(pixels, strategy, RADIUS, seed)
    found, city = published_folders(root, city, models)
    void = tuple(ignore) if isinstance(ignore, Collection) else (ignore,)
    settings = {"pixels": pixels, "seed": seed, "void": void, "strategy": strategy}
    return [
        (
            name,
            _read(source, name, f"source {name}", **settings),
            _read(target, name, city, **settings),
        )
        for name, source, target in found
    ]


def published_folders(
    root: str | Path, city: str | None, models: Sequence[str] | None
) -> tuple[list[tuple[str, Path, Path]], str]:
    """Return name, source and target folder of every model, and the city."""
    sources, targets = (Path(root) / f"{side}_feature" for side in ("source", "target"))
    if not (sources.is_dir() and targets.is_dir()):
        raise FileNotFoundError(f"{root}: {LAYOUT}")
    common = [name for name in _folders(sources) if (targets / name).is_dir()]
    chosen = common if models is None else list(models)
    for name in chosen:
        _check_known("model", name, common)
    if not chosen:
        raise DataError(root, "no model is in both source_feature and target_feature")
    cities = {name: _folders(targets / name) for name in chosen}
    found = sorted({c for names in cities.values() for c in names}, key=natural)
    if city is None:
        if len(found) != 1:
            raise ValueError(f"city: choose one of {', '.join(found) or 'none at all'}")
        city = found[0]
    for name in chosen:
        _check_known(f"city for model {name}", city, cities[name])
    pairs = [(name, sources / name, targets / name / city) for name in chosen]
    return pairs, city


def _folders(root: Path) -> list[str]:
    return sorted((path.name for path in visible(root) if path.is_dir()), key=natural)


def _check_known(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ValueError(
            f"{what}: no {name!r}; available: {', '.join(known) or 'none'}"
        )


def _read(
    folder: Path,
    model: str,
    data: str,
    *,
    pixels: int,
    seed: int,
    void: tuple[int, ...],
    strategy: str,
) -> FeatureSet:
    """Draw pixels from one pair of `final` and `label` folders."""
    pairs = pairs_of(folder)
    names = tuple(final.stem for final, _ in pairs)
    channels = {open_pair(pair)[0].shape[0] for pair in pairs}
    if len(channels) != 1:
        raise DataError(folder, f"the number of channels differs: {sorted(channels)}")
    try:
        drawn = draw_pixels(
            (labels_of(pair, void) for pair in pairs),
            image_ids=names,
            identity=data,
            pixels=pixels,
            ignore=void[0],
            strategy=strategy,
            seed=seed,
        )
    except DataError:
        raise
    except ValueError as error:
        raise DataError(folder, str(error)) from error
    if len(drawn) < pixels:
        log.warning("%s: %d pixels asked for, %d there", folder, pixels, len(drawn))
    logits = _gather(pairs, drawn, channels.pop())
    facts = {
        "schema": SCHEMA,
        "model": model,
        "data": data,
        "fingerprint": digest(names, logits, drawn.labels),
        "pixels": pixels,
        "kept": len(drawn),
        "total_valid": drawn.total_valid,
        "strategy": strategy,
        "seed": seed,
    }
    return FeatureSet(
        features={"logits": logits},
        labels=drawn.labels,
        predictions=head_predictions({"logits": logits}, len(drawn)),
        image=drawn.image,
        image_ids=names,
        class_names=(),
        source_class_names=tuple(map(str, range(logits.shape[1]))),
        ignore=void[0],
        facts=facts,
    )


def pairs_of(folder: Path) -> list[Pair]:
    """List the files of features and of labels, which have the same names."""
    sides = []
    for side in ("final", "label"):
        found = visible_files(existing_folder(folder / side), "*.npy")
        check_inside(folder, found)
        sides.append({path.name for path in found})
    lone = sorted(sides[0] ^ sides[1], key=natural)
    if lone:
        side, lacking = (
            ("final", "label") if lone[0] in sides[0] else ("label", "final")
        )
        raise DataError(
            folder / side / lone[0], f"has no partner in {lacking}/; pairs share a name"
        )
    if not sides[0]:
        raise DataError(folder, "no .npy files in final/ and label/")
    names = sorted(sides[0], key=natural)
    return [(folder / "final" / name, folder / "label" / name) for name in names]


def open_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Map a pair of files, after a look at their headers."""
    final, label = (map_npy(path, limit=MAX_BYTES) for path in pair)
    if final.ndim != 3 or final.dtype.kind != "f":
        raise DataError(
            pair[0], f"{final.dtype} of shape {final.shape}, expected (C, H, W) floats"
        )
    if label.shape != final.shape[1:]:
        raise DataError(
            pair[1], f"shape {label.shape} differs from its features {final.shape[1:]}"
        )
    return final, label


def labels_of(pair: Pair, void: tuple[int, ...]) -> np.ndarray:
    """Read labels; all that count for nothing become the first of `void`."""
    labels = np.asarray(open_pair(pair)[1])
    whole = labels.dtype.kind in "iu"
    if labels.dtype.kind == "f":
        whole = bool(np.isfinite(labels).all() and (labels == np.rint(labels)).all())
    if not whole or labels.min() < -(2**31) or labels.max() >= 2**31:
        raise DataError(pair[1], f"{labels.dtype} labels that are no 32-bit integers")
    left_out = np.isin(labels, void)
    found = looks_void(np.unique(labels[~left_out]).tolist())
    if found is not None:
        raise DataError(
            pair[1],
            f"holds the label {found}, which looks like pixels to ignore, beside "
            f"ignore={void}. Pass ignore= with all values that mark such pixels.",
        )
    return np.where(left_out, void[0], labels).astype(np.int32)


def _gather(pairs: Sequence[Pair], drawn: Pixels, channels: int) -> np.ndarray:
    """Read the drawn pixels, `(n, channels)` float32."""
    logits = np.empty((len(drawn), channels), np.float32)
    for index in np.unique(drawn.image).tolist():
        low, high = np.searchsorted(drawn.image, [index, index + 1])
        final, _ = open_pair(pairs[index])
        with np.errstate(over="ignore"):
            values = final[:, drawn.row[low:high], drawn.column[low:high]].T
            logits[low:high] = values
        bad = ~np.isfinite(logits[low:high]).all(axis=1)
        if bad.any():
            at = low + int(bad.argmax())
            raise DataError(
                pairs[index][0],
                f"NaN or infinite at row {drawn.row[at]}, column {drawn.column[at]}. "
                f"Write it again, or label the pixel with the ignore value.",
            )
    return logits

"""TFDS data sets that were prepared before: read in place, never downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.data.labels import LabelMap
from trfjax.data.paths import check_inside, existing_folder, visible
from trfjax.errors import DataError
from trfjax.files import digest
from trfjax.reading import parse_json, read_bytes


def load(
    root: str | Path,
    split: str | None,
    classes: Sequence[str | int] | None = None,
) -> Dataset:
    """Open the folder of a prepared TFDS builder, without TensorFlow.

    Args:
        root: the folder that holds `dataset_info.json` and `features.json`.
        split: the split; None takes the only one, or `train`.
        classes: class names of label masks; class labels carry their own.

    Raises:
        DataError: not such a folder, a file format that needs TensorFlow, or features
            other than `image` with `label` (or `segmentation_mask`).
        ValueError: an unknown split, or masks without `classes`.
    """
    folder = existing_folder(Path(root))
    features = folder / "features.json"
    if not features.is_file():
        raise DataError(
            folder, "no features.json. Point to <data_dir>/<name>/<version>."
        )
    check_inside(folder, visible(folder))
    _check_features(
        features, parse_json(features, read_bytes(features), dict[str, Any])
    )
    import tensorflow_datasets as tfds

    open_folder: Any = tfds.builder_from_directory
    try:
        builder = open_folder(folder)
    except Exception as error:  # TFDS and protobuf raise many kinds
        raise DataError(
            folder, f"damaged or no prepared TFDS folder ({error}). Prepare it again."
        ) from error
    split = _split(builder, split)
    name = f"tfds:{builder.info.full_name}/{split}"
    try:
        source: Any = builder.as_data_source(split)
    except (NotImplementedError, ImportError, ValueError) as error:
        raise DataError(
            folder,
            f"cannot be read without TensorFlow ({error}). Prepare it again with "
            'file_format="array_record".',
        ) from error
    known: Any = builder.info.features
    key = next((k for k in ("label", "segmentation_mask") if k in known), None)
    if "image" not in known or key is None:
        raise DataError(features, "needs 'image' and 'label' or 'segmentation_mask'.")
    scalar = known[key].shape == ()

    def read(position: int) -> tuple[np.ndarray, np.ndarray]:
        example = source[position]
        label = np.asarray(example[key])
        stored = label if scalar else label[..., 0]
        return np.asarray(example["image"]), labels(stored, where=f"{name} {position}")

    labels = _label_map(known[key], classes, scalar)
    ids = tuple(f"{split}/{i:06d}" for i in range(len(source)))
    stamp = sorted(
        [path.name, path.stat().st_size, path.stat().st_mtime_ns]
        for path in visible(folder)
    )
    return Dataset(
        name=name,
        labels=labels,
        image_ids=ids,
        read=read,
        groups=ids,
        fingerprint=digest("tfds", stamp, split),
    )


def _check_features(path: Path, features: Any) -> None:
    """Refuse feature classes from elsewhere: TFDS would import the module named."""
    open_ = [features]
    while open_:
        value = open_.pop()
        if isinstance(value, dict):
            named = value.get("pythonClassName", "tensorflow_datasets.")
            if not str(named).startswith("tensorflow_datasets."):
                raise DataError(
                    path, f"names the class {named!r}, which is not TFDS's own."
                )
            open_ += value.values()
        elif isinstance(value, list):
            open_ += value


def _split(builder: Any, split: str | None) -> str:
    known = list(builder.info.splits)
    if split is None and len(known) == 1:
        return known[0]
    split = split or "train"
    if split not in known:
        raise ValueError(f"split: no {split!r}; available: {', '.join(known)}")
    return split


def _label_map(
    feature: Any, classes: Sequence[str | int] | None, scalar: bool
) -> LabelMap:
    if classes is not None:
        return LabelMap(tuple(str(item) for item in classes))
    if scalar and getattr(feature, "num_classes", None):
        return LabelMap(tuple(feature.names))
    raise ValueError(
        "classes: the class names are not stored; pass classes=[...] in id order"
    )

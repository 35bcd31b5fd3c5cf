"""What the scores read of a data set of which every pixel counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.atoms.atoms import Atoms, packed, unpacked
from trfjax.atoms.compress import Compressor
from trfjax.atoms.moments import Moments, joined, moments_of
from trfjax.errors import DataError
from trfjax.files import read_arrays, write_arrays
from trfjax.typing import IGNORE, FeatureSpace

SCHEMA = 1  # of the files
MOMENTS = ("counts", "sums", "products")


@dataclasses.dataclass(frozen=True, eq=False)
class CompressedSet:
    """All pixels of a data set as one network sees them, compressed by image.

    Raises:
        ValueError: parts that do not belong together.
    """

    atoms: dict[str, Atoms]  # by feature space
    moments: dict[str, Moments]  # by feature space
    predictions: np.ndarray  # (i, z, c) pixels by image, predicted and given label
    image_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    source_class_names: tuple[str, ...]
    ignore: int = IGNORE
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)  # JSON, provenance

    def __post_init__(self) -> None:
        parts = {f"atoms of {k}": a.counts for k, a in self.atoms.items()}
        parts |= {f"moments of {k}": m.counts for k, m in self.moments.items()}
        for name, array in {**parts, "predictions": self.predictions}.items():
            if len(array) != len(self.image_ids):
                raise ValueError(
                    f"{name}: of {len(array)} images, there are {len(self.image_ids)}"
                )

    @property
    def label_counts(self) -> np.ndarray:
        """Pixels by image and label, `(i, c)`."""
        return self.predictions.sum(axis=1)

    @property
    def pixels(self) -> int:
        """Number of pixels all together."""
        return round(float(self.predictions.sum(dtype=np.float64)))

    @property
    def parts(self) -> list[Any]:
        """Everything that is in it, for a hash of the content."""
        found = [self.facts, self.image_ids, self.class_names, self.ignore]
        found.append(self.predictions)
        for name, atoms in sorted(self.atoms.items()):
            found += [name, *packed(atoms)[0].values()]
        for name, moments in sorted(self.moments.items()):
            found += [name, *(getattr(moments, field) for field in MOMENTS)]
        return found

    def space(self, name: str, kind: str = "atoms") -> Any:
        """Return the atoms or the moments of a feature space.

        Raises:
            ValueError: a space that is not there.
        """
        held: dict[str, Any] = getattr(self, kind)
        if name not in held:
            raise ValueError(
                f"space: no {kind} of {name!r} in this set, which holds "
                f"{', '.join(held) or 'none'}; extract with spaces=({name!r},)"
            )
        return held[name]

    def save(self, path: str | Path) -> None:
        """Write one `.safetensors` file, atomically.

        Raises:
            ValueError: another suffix.
        """
        if Path(path).suffix != ".safetensors":
            raise ValueError(f"path: {path} must end in .safetensors")
        arrays, known = {"predictions": self.predictions}, {}
        for space, atoms in self.atoms.items():
            parts, known[space] = packed(atoms)
            arrays |= {f"atoms/{space}/{name}": array for name, array in parts.items()}
        for space, moments in self.moments.items():
            for name in MOMENTS:
                arrays[f"moments/{space}/{name}"] = getattr(moments, name)
        metadata = {
            "schema": SCHEMA,
            "atoms": known,
            "moments": list(self.moments),
            "image_ids": self.image_ids,
            "class_names": self.class_names,
            "source_class_names": self.source_class_names,
            "ignore": self.ignore,
            "facts": self.facts,
        }
        write_arrays(path, arrays, {"compressed": metadata})

    @classmethod
    def load(cls, path: str | Path) -> CompressedSet:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            DataError: a file that is damaged or holds something else.
        """
        arrays, metadata = read_arrays(path)
        try:
            known = metadata["compressed"]
            if known["schema"] != SCHEMA:
                raise ValueError(f"format {known['schema']}, this is format {SCHEMA}")
            return cls(
                atoms={
                    space: unpacked(_under(arrays, f"atoms/{space}/"), metadata)
                    for space, metadata in known["atoms"].items()
                },
                moments={
                    space: Moments(**_under(arrays, f"moments/{space}/"))
                    for space in known["moments"]
                },
                predictions=arrays["predictions"],
                image_ids=tuple(known["image_ids"]),
                class_names=tuple(known["class_names"]),
                source_class_names=tuple(known["source_class_names"]),
                ignore=known["ignore"],
                facts=dict(known["facts"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                path, f"holds no compressed set ({error}); extract it again"
            ) from error

    def __repr__(self) -> str:
        held = ", ".join(f"{k}: {len(a)} atoms" for k, a in self.atoms.items())
        return (
            f"{self.facts.get('model', 'a model')} on {self.facts.get('data', 'data')}:"
            f" all {self.pixels:,} pixels of {len(self.image_ids)} images ({held})"
        )


def _under(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compression:
    """The settings of a compression: what all pixels are compressed into."""

    atoms: Mapping[FeatureSpace, int]  # at most how many, by feature space
    moments: tuple[FeatureSpace, ...] = ()  # the spaces whose moments are kept
    seed: int = 0  # of the search for atoms

    @property
    def spaces(self) -> tuple[FeatureSpace, ...]:
        """The feature spaces it reads."""
        return tuple(dict.fromkeys((*self.atoms, *self.moments)))


def compress_images(
    images: Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]],
    image_ids: tuple[str, ...],
    *,
    class_names: tuple[str, ...],
    source_class_names: tuple[str, ...],
    ignore: int,
    into: Compression,
    facts: dict[str, Any],
) -> CompressedSet:
    """Compress the pixels of one image after the other.

    Args:
        images: features by space, labels and predictions of every image.
        image_ids: their names.
        class_names: of the labels.
        source_class_names: of the predictions.
        ignore: the label that counts for nothing; recorded, it is not in `images`.
        into: what to make of them.
        facts: where the pixels are from.
    """
    classes, heads = len(class_names), max(len(source_class_names), 1)
    open_ = {
        space: Compressor(len(image_ids), classes, atoms=count, seed=into.seed)
        for space, count in into.atoms.items()
    }
    sums: dict[str, list[Moments]] = {space: [] for space in into.moments}
    tables = []
    for name, (features, labels, predictions) in zip(image_ids, images, strict=True):
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"labels: {name} has values from {labels.min()} to {labels.max()}, "
                f"expected 0..{classes - 1}"
            )
        for space, compressor in open_.items():
            compressor.add(features[space], labels, name)
        for space in into.moments:
            sums[space].append(moments_of(features[space], labels, classes))
        heads = max(heads, int(predictions.max(initial=0)) + 1)
        cells = np.maximum(predictions, 0) * classes + labels
        tables.append(np.bincount(cells, minlength=heads * classes))
    return CompressedSet(
        atoms={space: found.finish(facts=facts) for space, found in open_.items()},
        moments={space: joined(parts) for space, parts in sums.items()},
        predictions=_stacked(tables, heads, classes),
        image_ids=image_ids,
        class_names=class_names,
        source_class_names=source_class_names or tuple(map(str, range(heads))),
        ignore=ignore,
        facts=facts,
    )


def _stacked(tables: list[np.ndarray], heads: int, classes: int) -> np.ndarray:
    room = [np.pad(table, (0, heads * classes - len(table))) for table in tables]
    return np.stack(room).reshape(-1, heads, classes).astype(np.float32)

"""Read the volumes of patients, check that they lie on one another, remember some."""

from __future__ import annotations

import functools

import numpy as np

from trfjax.data.labels import LabelMap
from trfjax.data.medical.intensity import to_grey
from trfjax.data.medical.patients import PICTURES, Files, Patient
from trfjax.data.medical.slicing import Slicing
from trfjax.data.medical.views import View
from trfjax.data.medical.volume import Volume, opened, read_slices, read_volume
from trfjax.errors import DataError

_REMEMBERED = 16  # volumes kept in memory
_NEAR = 0.05  # mm by which the corners of two volumes of a patient may differ


class Reader:
    """The volumes of some patients as slices; the last few are remembered.

    `image(patient, modality)` and `label(patient)` are `(slices, h, w)`, `levels`
    the slices that are kept.
    """

    def __init__(
        self, patients: list[Patient], labels: LabelMap, slicing: Slicing
    ) -> None:
        self.patients, self.labels, self.slicing = patients, labels, slicing
        self.image = functools.lru_cache(_REMEMBERED)(self._image)
        self.label = functools.lru_cache(_REMEMBERED)(self._label)
        self.levels = functools.lru_cache(None)(self._levels)

    def check(self, view: View) -> None:
        """Refuse a patient without a modality, or whose volumes lie apart."""
        patient = self.patients[view.patient]
        for modality in view.modalities:
            if modality not in patient.images:
                raise DataError(
                    patient.mask[0],
                    f"patient {patient.name!r} has no {modality}; there is "
                    f"{', '.join(sorted(patient.images))}. Add the file, or choose "
                    "another modality or institution.",
                )
            _check_pair(patient.images[modality], patient.mask)

    def _levels(self, position: int) -> np.ndarray:
        """Return the slices of a patient that are kept."""
        patient, keep = self.patients[position], self.slicing.keep
        label = self.label(position)
        if keep == "all":
            return np.arange(len(label))[:: self.slicing.every]
        stored = label if keep == "task" else self._stored(position)
        shown = (stored > 0) & (stored != self.labels.ignore)
        levels = np.flatnonzero(shown.any(axis=(1, 2)))[:: self.slicing.every]
        if not len(levels) and self.slicing.without == "refuse":
            what = ", ".join(self.labels.names[1:]) if keep == "task" else "any label"
            raise DataError(
                patient.mask[0],
                f"the mask of patient {patient.name!r} shows no {what}; it holds the "
                f"ids {np.unique(self._stored(position))[:12].tolist()}. Choose other "
                "labels, or pass slicing=Slicing(without='leave out').",
            )
        return levels

    def _image(self, position: int, modality: str) -> np.ndarray:
        files = self.patients[position].images[modality]
        volume = self._spaced(_read(files), labels=False)
        try:
            grey = to_grey(volume.voxels, self.slicing.normalisation)
        except ValueError as error:
            raise DataError(files[0], str(error)) from error
        return Volume(grey, volume.affine).slices(self.slicing.axis)

    def _stored(self, position: int) -> np.ndarray:
        volume = _read(self.patients[position].mask, labels=True)
        return self._spaced(volume, labels=True).slices(self.slicing.axis)

    def _label(self, position: int) -> np.ndarray:
        stored = self._stored(position)
        try:
            return self.labels(stored)
        except ValueError as error:
            problem = str(error).removeprefix("label: ")
            raise DataError(self.patients[position].mask[0], problem) from error

    def _spaced(self, volume: Volume, *, labels: bool) -> Volume:
        voxel = self.slicing.voxel
        return volume if voxel is None else volume.resampled(voxel, labels=labels)


def _is_picture(files: Files) -> bool:
    return files[0].suffix.lower() in PICTURES


def _read(files: Files, *, labels: bool = False) -> Volume:
    if _is_picture(files):
        return read_slices(files, labels=labels)
    return read_volume(files[0], labels=labels)


def _check_pair(image: Files, mask: Files) -> None:
    """Refuse a volume that does not lie on its mask."""
    if _is_picture(image):
        names = [[path.name.split(".")[0] for path in files] for files in (image, mask)]
        if names[0] != names[1]:
            apart = sorted(set(names[0]) ^ set(names[1])) or names[0]
            raise DataError(
                image[0].parent,
                f"{len(image)} slices for a mask of {len(mask)}; {apart[0]!r} is only "
                "in one of them. Every slice needs its mask.",
            )
        return
    first, second = opened(image[0]), opened(mask[0])
    if first.shape != second.shape:
        raise DataError(
            image[0],
            f"shape {first.shape} differs from its mask {mask[0].name}, "
            f"{second.shape}. Resample the volumes of a patient to one grid.",
        )
    ends = np.array([(0, 0, 0, 1), (*first.shape, 1)], float)
    corners = [ends @ np.asarray(v.affine, float).T for v in (first, second)]
    apart = np.abs(corners[0] - corners[1]).max()
    if not apart <= _NEAR:
        raise DataError(
            image[0],
            f"lies {apart:.3g} mm from its mask {mask[0].name}, as their headers say. "
            "Resample the volumes of a patient to one grid.",
        )

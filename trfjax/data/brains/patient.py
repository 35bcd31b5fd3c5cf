"""One invented patient: anatomy first, then every modality from the same anatomy."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np

from trfjax.data.brains.anatomy import FIELD_OF_VIEW, Head, grid, tissues
from trfjax.data.brains.contrast import acquire, average
from trfjax.data.brains.hospitals import Hospital
from trfjax.data.brains.tissue import AROUND, Tissue
from trfjax.data.brains.tumour import Tumour, grow, pushed

GAP = 6.0  # mm between two slices
_FINE = 2  # voxels of the fine map along a side of one of the image


@dataclasses.dataclass(frozen=True, eq=False)
class Patient:
    """The fine tissue map of one patient."""

    hospital: Hospital
    tissue: np.ndarray  # (slices, 2h, 2w) uint8 tissue ids
    key: tuple[int, ...]  # what every drawing of this patient starts from

    @property
    def label(self) -> np.ndarray:
        """Tissue ids at the resolution of the images, `(slices, h, w)` int32."""
        inside = np.where(np.isin(self.tissue, AROUND), Tissue.AIR, self.tissue)
        kinds = np.unique(inside)
        shares = np.stack(
            [average((inside == kind).astype(np.float32), _FINE) for kind in kinds]
        )
        return kinds[shares.argmax(axis=0)].astype(np.int32)

    def image(self, modality: str) -> np.ndarray:
        """Return one modality, `(slices, h, w)` uint8."""
        rng = np.random.default_rng([*self.key, zlib.crc32(modality.encode())])
        step = FIELD_OF_VIEW / self.tissue.shape[-1]
        return acquire(
            self.tissue, modality, self.hospital, step=step, factor=_FINE, rng=rng
        )


def draw_patient(
    hospital: Hospital, index: int, *, slices: int, side: int, seed: int
) -> Patient:
    """Draw one patient; the same arguments give the same bytes.

    Args:
        hospital: whose patient it is.
        index: which one.
        slices: axial slices, `GAP` mm apart; about the tumour in adults, about the
            ventricles in infants.
        side: pixels along a side of the square images.
        seed: another seed is another set of patients.
    """
    key = (seed, zlib.crc32(hospital.name.encode()), index)
    rng = np.random.default_rng(key)
    head = Head.draw(hospital.infants, rng)
    tumour = None if hospital.infants else Tumour.draw(head, hospital.tumour, rng)
    middle = rng.uniform(4, 18) if tumour is None else tumour.centre[2]
    levels = middle + GAP * (np.arange(slices) - (slices - 1) / 2)
    where = grid(levels, _FINE * side)
    step = FIELD_OF_VIEW / (_FINE * side)
    turned = _turned(where, rng)
    if tumour is None:
        return Patient(hospital, tissues(head, turned, step, rng), key)
    before = tissues(head, pushed(head, tumour, turned), step, rng)
    return Patient(hospital, grow(tumour, before, turned, rng), key)


def _turned(
    where: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return coordinates in a head that lies a little askew in the scanner."""
    x, y, z = where
    turn, tilt = rng.normal(0, 0.05, 2)
    dx, dy = rng.normal(0, 3, 2)
    x, y = x - dx, y - dy
    x, y = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
    return (
        x.astype(np.float32),
        y.astype(np.float32),
        (z + tilt * x).astype(np.float32),
    )

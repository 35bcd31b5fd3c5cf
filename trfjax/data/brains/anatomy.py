"""Tissue maps of one invented head: folded cortex, ventricles, deep nuclei, skull."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from scipy import ndimage

from trfjax.data.brains.fields import Coordinates, Field
from trfjax.data.brains.tissue import Tissue

FIELD_OF_VIEW = 208.0  # mm, of both sides of a slice

# Left lateral ventricle from the frontal horn to the atrium: x, y, radius in mm.
_HORN = np.array(
    [(15, 33, 3.2), (8, 22, 5.2), (6, 6, 4.0), (10, -14, 4.6), (22, -34, 5.6)]
)
# Deep grey matter of one side: x, y, z and the three radii in mm.
_NUCLEI = np.array([
    (14, 18, 8, 5, 12, 12),  # caudate
    (10, -6, 4, 8, 13, 11),  # thalamus
    (26, 4, 2, 6, 16, 11),  # putamen
])  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Head:
    """The sizes of one head, in mm."""

    width: float  # half width of the brain
    length: float  # half length
    height: float  # from the level of the thalamus to the top
    ventricles: float  # factor on their radii
    cortex: float  # thickness of the grey ribbon, as slices cut it
    fold: float  # distance between two hills of the folds
    sulcus: float  # half width of a sulcus at the surface
    skull: float  # thickness

    @classmethod
    def draw(cls, infant: bool, rng: np.random.Generator) -> Head:
        """Draw an adult or an infant of six months."""
        size = rng.normal(0.80 if infant else 1.0, 0.03)
        old = rng.uniform(0.0, 0.35) if infant else rng.uniform(0.25, 1.0)
        return cls(
            width=66 * size * rng.normal(1, 0.025),
            length=84 * size * rng.normal(1, 0.025),
            height=66 * size,
            ventricles=size * (0.65 + 0.6 * old),
            cortex=rng.uniform(3.0, 3.5),
            fold=rng.uniform(21, 24) * size**0.5,
            sulcus=0.65 + 0.55 * old,
            skull=rng.uniform(2.0, 3.0) if infant else rng.uniform(5.0, 7.5),
        )


def grid(levels: np.ndarray, side: int) -> Coordinates:
    """Return mm of every voxel of axial slices: nose up, the right side at the left.

    Args:
        levels: height of every slice in mm.
        side: voxels along a side of the square slices.
    """
    step = FIELD_OF_VIEW / side
    line = ((np.arange(side) + 0.5) * step - FIELD_OF_VIEW / 2).astype(np.float32)
    z, y, x = np.meshgrid(levels.astype(np.float32), -line, -line, indexing="ij")
    return x, y, z


def radius(head: Head, where: Coordinates) -> np.ndarray:
    """Return 0 in the middle of the brain and 1 at its surface."""
    x, y, z = where
    narrow = head.width * (1 - 0.11 * y / head.length)  # the forehead is narrower
    flat = (np.abs(x) / narrow) ** 2.3 + (np.abs(y) / head.length) ** 2.3
    return (flat + (np.abs(z) / head.height) ** 2.3) ** (1 / 2.3)


def tissues(
    head: Head, where: Coordinates, step: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the tissue of every voxel.

    Args:
        head: its sizes.
        where: mm of every voxel, `(slices, h, w)`; displaced where a tumour pushes.
        step: mm between two voxels of a slice.
        rng: where the folds are drawn.
    """
    warp = [Field.draw(90.0, rng)(where) for _ in range(2)]
    x, y, z = where
    bent = (x + 1.8 * warp[0], y + 1.8 * warp[1], z)
    r = radius(head, bent)
    depth = (1 - r) * head.width
    inside = depth > 0
    outer = ~inside | _sulci(head, bent, r, depth, rng) | _fissures(head, bent)
    apart = step * np.stack([_distance(plane) for plane in outer])
    tissue = np.where(apart < head.cortex, Tissue.GM, Tissue.WM).astype(np.uint8)
    tissue[_nuclei(head, bent) & (apart > 2)] = Tissue.GM
    tissue[_ventricles(head, bent) & (apart > 2)] = Tissue.CSF
    tissue[outer & inside] = Tissue.CSF
    return _around(head, tissue, where, depth, step)


def _distance(plane: np.ndarray) -> np.ndarray:
    """Return how far every pixel is from those that are true, in pixels."""
    return np.asarray(ndimage.distance_transform_edt(~plane))


def _sulci(
    head: Head,
    where: Coordinates,
    r: np.ndarray,
    depth: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return where folds reach in from the surface.

    A fold is where a random field changes sign. The field lives on the surface and
    hardly changes inwards, so folds run straight in.
    """
    # At the surface nothing moves; half way in, a point is looked up at 0.78.
    shrink = 0.45 + 0.55 / np.maximum(r, 0.05)
    x, y, z = where
    lifted = (x * shrink, y * shrink, z * shrink)
    fold = Field.draw(head.fold, rng)(lifted)
    reach = 21 + 7 * Field.draw(80.0, rng)(where)
    narrowing = np.clip(1 - depth / np.clip(reach, 8, 34), 0, 1) ** 0.6
    # |field| / |gradient| is the distance to the fold; the gradient is 2 pi / wave.
    return np.abs(fold) < head.sulcus * narrowing * 2 * np.pi / head.fold


def _fissures(head: Head, where: Coordinates) -> np.ndarray:
    """Return the fissure between the hemispheres and the two beside the temples."""
    x, y, z = where
    scale = head.width / 66
    callosum = (np.abs(y + 3) / (40 * scale)) ** 2 + ((z - 6) / (21 * scale)) ** 2 < 1
    middle = (np.abs(x) < 0.9 + 0.5 * head.sulcus) & ~callosum
    start, end = np.array([68.0, 10.0]) * scale, np.array([37.0, 2.0]) * scale
    beside = _to_segment(np.abs(x), y, start, end)[0] < 0.8 + 0.9 * head.sulcus
    return middle | (beside & (np.abs(z) < 15 * scale))


def _to_segment(
    x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance to a segment and the position along it, 0 to 1."""
    along = end - start
    t = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along)
    t = np.clip(t, 0, 1)
    return np.hypot(x - start[0] - t * along[0], y - start[1] - t * along[1]), t


def _ventricles(head: Head, where: Coordinates) -> np.ndarray:
    x, y, z = where
    scale = head.width / 66
    high = np.clip((z / scale - 8) / 20, 0, 1)  # above, only the body is left
    # The body bends towards the middle and back as it rises.
    side = np.abs(x) / scale + 3.0 * high
    full = np.clip(1 - ((z / scale - 7) / 21) ** 2, 0, 1) ** 0.5
    found = np.zeros(x.shape, bool)
    for start, end in itertools.pairwise(_HORN):
        gap, t = _to_segment(side, y / scale, start[:2], end[:2])
        wide = start[2] + t * (end[2] - start[2])
        ends = np.clip(1 - 1.4 * high * (np.abs(y / scale) > 20), 0, 1)
        found |= gap < wide * head.ventricles / scale * full * ends
    third = (np.abs(x) < 1.2 + 1.2 * head.ventricles) & (np.abs(y + 4) < 12 * scale)
    septum = np.abs(x) > 0.8
    return (found & septum) | (third & (np.abs(z + 3) < 9))


def _nuclei(head: Head, where: Coordinates) -> np.ndarray:
    x, y, z = (axis * 66 / head.width for axis in where)
    found = np.zeros(x.shape, bool)
    for cx, cy, cz, rx, ry, rz in _NUCLEI:
        turned = np.abs(x) - cx + 0.25 * (y - cy) * (cx > 20)
        found |= (turned / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2 < 1
    return found


def _around(
    head: Head, tissue: np.ndarray, where: Coordinates, depth: np.ndarray, step: float
) -> np.ndarray:
    """Add what lies around the brain: fluid, skull with marrow, scalp, a sinus."""
    x, y, _ = where
    out = -depth
    inner, bone = 2.2, 2.2 + head.skull
    thick = bone + 5.0
    bands = [
        (0.0, inner, Tissue.CSF),
        (inner, bone, Tissue.SKULL),
        (bone, thick, Tissue.SCALP),
    ]
    if head.skull > 4:
        low, high = inner + 0.3 * head.skull, inner + 0.72 * head.skull
        bands.append((low, high, Tissue.MARROW))
    for low, high, kind in bands:
        tissue[(out >= low) & (out < high)] = kind
    tissue[out >= thick] = Tissue.AIR
    back = np.abs(x) + 0.6 * np.abs(y + head.length - 1) < 4.5
    tissue[back & (out > -3) & (out < inner + 1)] = Tissue.VEIN
    return tissue

"""One volume: voxels in patient directions, read from NIfTI, Analyze or slices."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import ndimage

from trfjax.data.images import read_image, read_label
from trfjax.errors import DataError, missing_extra
from trfjax.npy import may_unpack_to
from trfjax.reading import regular_size

Axis = Literal["axial", "coronal", "sagittal"]
# Axes of the slices, rows and columns in a volume: as they are hung in a hospital,
# the head up or the nose up, the patient's right at the left; in profile, nose left.
_HUNG: dict[str, tuple[int, int, int]] = {
    "axial": (2, 1, 0),
    "coronal": (1, 2, 0),
    "sagittal": (0, 2, 1),
}
_LIMIT = 2**30  # voxels


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
    """Voxels with x to the patient's right, y to the front and z up (RAS+)."""

    voxels: np.ndarray  # (x, y, z)
    affine: np.ndarray  # (4, 4), from voxel positions to mm

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between two voxels along x, y and z, mm."""
        sizes = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(sizes[0]), float(sizes[1]), float(sizes[2]))

    def slices(self, axis: Axis = "axial") -> np.ndarray:
        """Return the slices across an axis, `(n, h, w)`, as they are hung."""
        return self.voxels.transpose(_HUNG[axis])[:, ::-1, ::-1]

    def resampled(
        self, spacing: tuple[float, float, float], *, labels: bool = False
    ) -> Volume:
        """Return the volume at other distances between voxels, mm.

        Images are interpolated linearly, after a blur where they shrink; label ids
        take the nearest voxel.
        """
        factor = np.array(self.spacing) / np.array(spacing)
        size = np.maximum(np.round(np.array(self.voxels.shape) * factor), 1).astype(int)
        voxels = self.voxels
        if not labels:
            voxels = voxels.astype(np.float32)
            blur = 0.5 * np.sqrt(np.maximum(1 / factor**2 - 1, 0))
            voxels = ndimage.gaussian_filter(voxels, blur, mode="nearest")
        # The middle of the new voxels, in positions of the old ones.
        steps = np.array(self.voxels.shape) / size
        middle: Any = steps / 2 - 0.5  # the stub knows a single number only
        moved = ndimage.affine_transform(
            voxels,
            steps,
            middle,
            tuple(size),
            order=0 if labels else 1,
            mode="nearest",
        )
        affine = self.affine.copy()
        affine[:3, :3] *= steps
        affine[:3, 3] = self.affine[:3, :3] @ middle + self.affine[:3, 3]
        return Volume(moved, affine)


def read_volume(path: str | Path, *, labels: bool = False) -> Volume:
    """Read one NIfTI (`.nii`, `.nii.gz`) or Analyze (`.hdr`, `.img`) file.

    The axes are turned and mirrored until they run to the right, to the front and up,
    as the header says they lie.

    Args:
        path: the file.
        labels: the voxels are ids; they must be whole numbers and become int32.

    Raises:
        ImportError: without the `medical` extra.
        DataError: not such a file, not three dimensions, or voxels that are no number.
    """
    image = opened(path)
    try:
        voxels = np.asarray(image.dataobj)
    except Exception as error:  # a damaged file may raise anything at all
        raise DataError(
            path, f"damaged or cut off ({error}). Copy it again."
        ) from error
    volume = Volume(voxels, np.asarray(image.affine, float))
    if voxels.dtype.kind not in "iufb" or not np.isfinite(voxels).all():
        raise DataError(
            path, "has voxels that are no finite number. Export it again without them."
        )
    return Volume(_whole(path, voxels), volume.affine) if labels else volume


def opened(path: str | Path) -> Any:
    """Open a volume in patient directions; its voxels are not read yet."""
    try:
        import nibabel
    except ImportError as error:
        raise missing_extra("reading volumes", "medical") from error
    size = regular_size(path)
    try:
        image: Any = nibabel.load(path)  # pyright: ignore[reportPrivateImportUsage]
        shape = image.shape
        width = image.get_data_dtype().itemsize
    except FileNotFoundError:
        raise
    except Exception as error:
        raise DataError(path, f"not a NIfTI or Analyze file ({error}).") from error
    if len(shape) != 3:
        raise DataError(
            path,
            f"has {len(shape)} dimensions {shape}; a volume has 3. Save every time "
            "point or channel as a file of its own.",
        )
    if min(shape) < 1 or np.prod(shape, dtype=float) > _LIMIT:
        raise DataError(path, f"shape {shape} is not between 1 and {_LIMIT} voxels.")
    most = may_unpack_to(size)
    if Path(path).suffix == ".gz" and np.prod(shape, dtype=float) * width > most:
        raise DataError(
            path,
            f"{size} bytes that unpack to shape {shape}; the limit is {most} bytes. "
            "Copy it again, or unpack it first.",
        )
    try:
        return nibabel.as_closest_canonical(image)  # pyright: ignore[reportPrivateImportUsage]
    except Exception as error:
        raise DataError(path, f"its header tells no directions ({error}).") from error


def read_slices(paths: Sequence[Path], *, labels: bool = False) -> Volume:
    """Stack PNG or JPEG files into a volume whose axial slices they are, in order.

    Raises:
        DataError: a file that cannot be read, or another size than the first.
    """
    read = read_label if labels else _grey
    planes = [read(path) for path in paths]
    for path, plane in zip(paths, planes, strict=True):
        if plane.shape != planes[0].shape:
            raise DataError(
                path,
                f"size {plane.shape[1]}x{plane.shape[0]} differs from {paths[0].name}, "
                f"{planes[0].shape[1]}x{planes[0].shape[0]}. All slices of a patient "
                "have one size.",
            )
    voxels = np.stack(planes)[:, ::-1, ::-1].transpose(2, 1, 0)
    return Volume(voxels, np.eye(4))


def _grey(path: Path) -> np.ndarray:
    """Read a grey slice; colours are accepted where they are grey all the same."""
    pixels = read_image(path)
    if (pixels != pixels[..., :1]).any():
        raise DataError(path, "a colour image; a slice of a volume is grey.")
    return pixels[..., 0]


def _whole(path: str | Path, voxels: np.ndarray) -> np.ndarray:
    """Return ids as int32."""
    whole = np.round(voxels)
    if (np.abs(voxels - whole) > 1e-3).any() or np.abs(whole).max() > 2**31 - 1:
        raise DataError(
            path,
            "a mask whose voxels are not whole numbers: it was interpolated. Resample "
            "masks with the nearest voxel.",
        )
    return whole.astype(np.int32)

"""Small volumes written by nibabel, in any orientation."""

import numpy as np
import pytest


def ras(shape, spacing=(1.0, 1.0, 1.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-10.0, -20.0, 5.0)
    return np.arange(np.prod(shape)).reshape(shape), affine


def write(path, voxels, affine, codes="RAS"):
    """Write voxels given in patient directions so that they are stored as `codes`."""
    nib = pytest.importorskip("nibabel")
    from nibabel import orientations as turn

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.asarray(voxels, np.float32), affine)
    stored = turn.axcodes2ornt(tuple(codes))
    image.as_reoriented(
        turn.ornt_transform(turn.axcodes2ornt("RAS"), stored)
    ).to_filename(path)
    return path


def write_fets(
    root, name, mask, *, modalities=("t1", "t1ce", "t2", "flair"), **options
):
    """Write one patient as FeTS does; images show the mask and their own level."""
    _, affine = ras(mask.shape)
    for level, modality in enumerate(modalities, 1):
        path = root / name / f"{name}_{modality}.nii.gz"
        write(path, 100.0 * level + mask, affine, **options)
    write(root / name / f"{name}_seg.nii.gz", mask, affine)


def tumour_mask(shape=(8, 10, 6)):
    """Slices 2 to 4 show oedema, slice 3 necrosis and an enhancing voxel."""
    mask = np.zeros(shape, np.uint8)
    mask[2:6, 3:7, 2:5] = 2
    mask[3:5, 4:6, 3] = 1
    mask[3, 4, 3] = 4
    return mask

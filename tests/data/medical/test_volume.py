import gzip
import os

import numpy as np
import pytest
from PIL import Image

from tests.data.medical.files import ras, write
from trfjax.data.medical import Volume, read_volume
from trfjax.data.medical.volume import read_slices
from trfjax.errors import DataError


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL"])
def test_any_orientation_is_read_into_patient_directions(tmp_path, codes):
    voxels, affine = ras((4, 5, 3), (1.0, 1.5, 3.0))
    volume = read_volume(write(tmp_path / "a.nii.gz", voxels, affine, codes))
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_allclose(volume.affine, affine)
    np.testing.assert_allclose(volume.spacing, (1.0, 1.5, 3.0))


def test_slices_hang_as_in_a_hospital():
    voxels = np.zeros((3, 4, 5))
    voxels[2, 3, 4] = 1  # right, front, top
    volume = Volume(voxels, np.eye(4))
    axial, coronal, sagittal = (
        volume.slices(a) for a in ("axial", "coronal", "sagittal")
    )
    assert axial.shape == (5, 4, 3) and axial[4, 0, 0] == 1  # front up, right at left
    assert coronal.shape == (4, 5, 3) and coronal[3, 0, 0] == 1  # top up
    assert sagittal.shape == (3, 5, 4) and sagittal[2, 0, 0] == 1  # nose at the left


def test_resampling_keeps_places_and_ids():
    x = np.arange(8.0)
    voxels = np.broadcast_to(x[:, None, None], (8, 4, 4)).copy()
    volume = Volume(voxels, np.diag([1.0, 1.0, 2.0, 1.0]))
    wide = volume.resampled((2.0, 1.0, 1.0))
    assert wide.voxels.shape == (4, 4, 8)
    np.testing.assert_allclose(wide.spacing, (2.0, 1.0, 1.0))
    # The middle of the first new voxel lies between the first two old ones; the blur
    # against aliasing moves the two ends, 0.17, and nothing else.
    np.testing.assert_allclose(wide.affine[0, 3], 0.5)
    np.testing.assert_allclose(wide.voxels[:, 2, 3], [0.5, 2.5, 4.5, 6.5], atol=0.2)
    ids = Volume(np.where(voxels > 3, 4, 0), volume.affine)
    assert set(np.unique(ids.resampled((1.7, 0.6, 0.9), labels=True).voxels)) == {0, 4}


def test_what_is_no_volume_is_told(tmp_path):
    nib = pytest.importorskip("nibabel")
    nib.Nifti1Image(np.zeros((3, 3, 3, 2), np.float32), np.eye(4)).to_filename(
        tmp_path / "four.nii"
    )
    with pytest.raises(DataError, match=r"4 dimensions .* a volume has 3"):
        read_volume(tmp_path / "four.nii")
    (tmp_path / "text.nii").write_text("no volume")
    with pytest.raises(DataError, match="not a NIfTI"):
        read_volume(tmp_path / "text.nii")
    voxels, affine = ras((20, 20, 20))
    whole = write(tmp_path / "whole.nii.gz", voxels, affine).read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged or cut off"):
        read_volume(tmp_path / "cut.nii.gz")
    holes = np.full((3, 3, 3), np.nan)
    with pytest.raises(DataError, match="no finite number"):
        read_volume(write(tmp_path / "nan.nii", holes, np.eye(4)))
    with pytest.raises(DataError, match="not whole numbers"):
        read_volume(write(tmp_path / "half.nii", 0.5 + 0 * voxels, affine), labels=True)


def test_slices_of_a_folder_are_the_axial_slices(tmp_path):
    planes = np.random.default_rng(0).integers(0, 255, (3, 4, 5), np.uint8)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, plane in zip(paths, planes, strict=True):
        Image.fromarray(plane).save(path)
    np.testing.assert_array_equal(read_slices(paths).slices("axial"), planes)
    Image.fromarray(planes[0, :2]).save(paths[1])
    with pytest.raises(DataError, match="one size"):
        read_slices(paths)


def test_a_coloured_slice_is_refused(tmp_path):
    Image.fromarray(np.eye(3, dtype=np.uint8)[None] * 255).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="a slice of a volume is grey"):
        read_slices([tmp_path / "a.png"])


def test_a_packed_bomb_is_refused_from_its_header(tmp_path):
    whole = write(tmp_path / "a.nii", *ras((3, 4, 5)))
    header = bytearray(whole.read_bytes()[:352])
    header[42:48] = np.array([1000, 1000, 1000], "<i2").tobytes()  # dim[1..3]
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(bytes(header) + bytes(1000)))
    with pytest.raises(DataError, match=r"unpack to shape \(1000, 1000, 1000\)"):
        read_volume(path)


def test_a_pipe_is_no_volume(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    with pytest.raises(DataError, match="a pipe or a device"):
        read_volume(tmp_path / "a.nii")

import dataclasses

import numpy as np
import pytest
from PIL import Image

import trfjax
from tests.data.medical.files import ras, tumour_mask, write, write_fets
from trfjax.data import resize
from trfjax.data.medical import Slicing
from trfjax.errors import DataError


@pytest.fixture
def fets(tmp_path):
    """Three patients of two institutions, the third stored in another orientation."""
    mask = tumour_mask()
    for i, codes in enumerate(("RAS", "RAS", "PSL")):
        write_fets(tmp_path, f"FeTS2022_0000{i}", mask, codes=codes)
    rows = ["Partition_ID,Subject_ID", "18,FeTS2022_00000", "20,FeTS2022_00001"]
    rows.append("20,FeTS2022_00002")
    (tmp_path / "partitioning_1.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    return tmp_path


def test_fets_is_read_by_its_published_names(fets):
    data = trfjax.load_dataset("fets:20/T2", fets, labels="WT")
    assert data.class_names == ("background", "WT") and data.unit == "patient"
    assert data.groups == ("20/FeTS2022_00001",) * 3 + ("20/FeTS2022_00002",) * 3
    assert data.image_ids[0] == "20/FeTS2022_00001/T2/axial0002"
    assert data[0]["image"].shape == (10, 8, 3)
    expected = (tumour_mask()[::-1, ::-1, 2].T > 0).astype(np.int32)
    for i in (0, 3):  # the orientation of the file makes no difference
        np.testing.assert_array_equal(data[i]["label"], expected)
        np.testing.assert_array_equal(data[i]["image"], data[0]["image"])


def test_every_task_keeps_the_slices_that_show_it(fets):
    sizes = {"native": 3, "WT": 3, "ED": 3, "TC": 1, "ET": 1, "NCR": 1}
    for task, slices in sizes.items():
        data = trfjax.load_dataset("fets:18/T1", fets, labels=task)
        assert len(data) == slices
    whole = Slicing(keep="all")
    assert len(trfjax.load_dataset("fets:18/T1", fets, labels="ET", slicing=whole)) == 6
    thin = Slicing(keep="mask", every=2)
    assert len(trfjax.load_dataset("fets:18/T1", fets, labels="ET", slicing=thin)) == 2


def test_modalities_are_channels_or_images_of_their_own(fets):
    both = trfjax.load_dataset("fets:18/T1+FLAIR", fets, labels="WT", size=(5, 4))
    assert both[0]["image"].shape == (5, 4, 2)
    apart = trfjax.load_dataset("fets:18", fets, labels="WT", channels=1)
    assert len(apart) == 12 and apart[0]["image"].shape == (10, 8, 1)
    assert set(apart.groups) == {"18/FeTS2022_00000"}


def test_shots_and_splits_take_whole_patients(fets):
    data = trfjax.load_dataset("fets", fets, labels="WT")
    shots = data.shots(2, seed=0)
    assert len(set(shots.groups)) == 2 and len(shots) == 2 * 3 * 4
    train, test = data.split(0.5)
    assert not set(train.groups) & set(test.groups)
    with pytest.raises(ValueError, match=r"shots: 4 asked .* has 3 patients"):
        data.shots(4, seed=0)
    with pytest.raises(ValueError, match="at least 2 patients"):
        data.shots(1, seed=0).split(0.5)
    assert len(set(trfjax.load_dataset("fets", fets, labels="WT", count=2).groups)) == 2


def test_spacing_and_axis_are_options(fets):
    half = Slicing(axis="sagittal", spacing=(1.0, 2.0, 1.0))
    data = trfjax.load_dataset("fets:18/T1", fets, labels="WT", slicing=half)
    assert data[0]["image"].shape == (6, 5, 3) and len(data) == 4
    other = trfjax.load_dataset("fets:18/T1", fets, labels="WT")
    assert other.fingerprint != data.fingerprint


def test_one_modality_is_missing(fets):
    (fets / "FeTS2022_00001/FeTS2022_00001_t2.nii.gz").unlink()
    with pytest.raises(DataError, match="has no T2; there is FLAIR, T1, T1CE"):
        trfjax.load_dataset("fets:/T2", fets, labels="WT")


def test_a_mask_without_the_tissue(fets):
    mask = np.where(tumour_mask() == 4, 1, tumour_mask())
    write_fets(fets, "FeTS2022_00001", mask)
    with pytest.raises(DataError, match=r"shows no ET; it holds the ids \[0, 1, 2\]"):
        trfjax.load_dataset("fets:/T1", fets, labels="ET")
    rest = trfjax.load_dataset(
        "fets:/T1", fets, labels="ET", slicing=Slicing(without="leave out")
    )
    assert len(rest) == 2


def test_a_patient_without_a_labelled_slice(fets):
    write_fets(fets, "FeTS2022_00001", 0 * tumour_mask())
    with pytest.raises(DataError, match=r"shows no any label|ids \[0\]"):
        trfjax.load_dataset("fets:/T1", fets, slicing=Slicing(keep="mask"))
    with pytest.raises(DataError, match="no patient has a slice with ET"):
        trfjax.load_dataset(
            "fets:20[:0.5]/T1", fets, labels="ET", slicing=Slicing(without="leave out")
        )


def test_volumes_of_a_patient_must_lie_on_one_another(fets):
    name = "FeTS2022_00001"
    voxels, affine = ras((8, 10, 7))
    write(fets / name / f"{name}_t1.nii.gz", voxels, affine)
    with pytest.raises(DataError, match=r"shape \(8, 10, 7\) differs from its mask"):
        trfjax.load_dataset("fets:/T1", fets, labels="WT")
    voxels, affine = ras((8, 10, 6), (1.0, 1.0, 2.0))
    write(fets / name / f"{name}_t1.nii.gz", voxels, affine)
    with pytest.raises(DataError, match="lies 6 mm from its mask"):
        trfjax.load_dataset("fets:/T1", fets, labels="WT")


def test_patients_of_different_shapes_need_a_size(fets):
    write_fets(fets, "FeTS2022_00001", tumour_mask((12, 10, 6)))
    data = trfjax.load_dataset("fets:/T1", fets, labels="WT")
    with pytest.raises(ValueError, match=r"size=\(height, width\)"):
        trfjax.data.stack(data)
    assert trfjax.data.stack(
        trfjax.load_dataset("fets:/T1", fets, labels="WT", size=(8, 8))
    )[0].shape == (9, 8, 8, 3)  # fmt: skip


def test_iseg_is_read_by_its_published_names(tmp_path):
    nib = pytest.importorskip("nibabel")
    mask = np.zeros((6, 6, 4), np.int16)
    mask[1:5, 1:5, 1:3] = 3
    mask[1:3, 1:3, 1] = 1
    for name, voxels in (("T1", mask * 10 + 5), ("T2", mask + 1), ("label", mask)):
        image = nib.Spm99AnalyzeImage(voxels.astype(np.int16), np.eye(4))
        image.to_filename(tmp_path / f"subject-1-{name}.hdr")
    data = trfjax.load_dataset("iseg:/T1+T2", tmp_path)
    assert data.class_names == ("background", "CSF", "GM", "WM")
    assert len(data) == 2 and data.groups == ("subject-1",) * 2
    assert sorted(np.unique(data[0]["label"])) == [0, 1, 3]
    white = trfjax.load_dataset("iseg:/T1", tmp_path, labels="WM")
    assert white[0]["label"].sum() == 12


def test_brats_2023_calls_the_rim_3(tmp_path):
    mask = tumour_mask()
    mask[mask == 4] = 3
    name = "BraTS-GLI-00000-000"
    for ending in ("t1n", "t1c", "t2w", "t2f", "seg"):
        write(tmp_path / name / f"{name}-{ending}.nii.gz", mask, ras(mask.shape)[1])
    data = trfjax.load_dataset("brats2023:/T1CE", tmp_path, labels="ET")
    assert len(data) == 1 and data[0]["label"].sum() == 1


def test_folders_of_slices_are_patients(tmp_path):
    for patient in ("anna", "ben"):
        for part in ("ct", "label"):
            folder = tmp_path / "north" / patient / part
            folder.mkdir(parents=True)
            for i in range(3):
                plane = np.full((4, 5), 40 * i if part == "ct" else i % 2, np.uint8)
                Image.fromarray(plane).save(folder / f"{i:03d}.png")
    data = trfjax.load_dataset(
        "patients:north/ct", tmp_path, classes=["rest", "liver"],
        slicing=Slicing(normalisation="stored", keep="all"),
    )  # fmt: skip
    assert len(data) == 6 and set(data.groups) == {"north/anna", "north/ben"}
    assert data[2]["image"].max() == 80 and data[1]["label"].min() == 1
    (tmp_path / "north/ben/label/001.png").unlink()
    with pytest.raises(DataError, match="'001' is only in one of them"):
        trfjax.load_dataset("patients", tmp_path, classes=["rest", "liver"])


def test_channels_that_are_no_colours_are_resized_one_by_one():
    """Pillow takes a fourth channel for transparency and would darken the others."""
    image = np.zeros((4, 4, 4), np.uint8)
    image[..., 0] = 200
    small, _ = resize(image, np.zeros((4, 4), np.int32), (2, 2))
    np.testing.assert_array_equal(small[0, 0], [200, 0, 0, 0])


def test_options_that_cannot_be_are_told(fets):
    with pytest.raises((ValueError, TypeError), match="axis"):
        Slicing(axis="oblique")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="every: 0"):
        Slicing(every=0)
    with pytest.raises(ValueError, match="spacing: -1"):
        dataclasses.replace(Slicing(), spacing=-1.0)
    with pytest.raises(ValueError, match="slicing: has no meaning for 'camvid'"):
        trfjax.load_dataset("camvid", fets, slicing=Slicing())
    with pytest.raises(ValueError, match="no 'road' for 'fets'; available: native, WT"):
        trfjax.load_dataset("fets", fets, labels="road")

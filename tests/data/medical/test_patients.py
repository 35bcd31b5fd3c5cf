import pytest

from tests.data.medical.files import tumour_mask, write_fets
from trfjax.data.medical import VOLUME_LAYOUTS, find_patients
from trfjax.errors import DataError


def test_brats_folders_are_institutions_where_there_are_any(tmp_path):
    write_fets(tmp_path / "HGG", "Brats18_A_1", tumour_mask())
    write_fets(tmp_path / "LGG", "Brats18_B_1", tumour_mask())
    found = find_patients(tmp_path, VOLUME_LAYOUTS["brats"])
    assert [(p.institution, p.name) for p in found] == [
        ("HGG", "Brats18_A_1"), ("LGG", "Brats18_B_1"),
    ]  # fmt: skip
    assert sorted(found[0].images) == ["FLAIR", "T1", "T1CE", "T2"]
    assert len(found[0].files) == 5


def test_hidden_files_are_no_volumes(tmp_path):
    write_fets(tmp_path, "FeTS2022_00000", tumour_mask())
    folder = tmp_path / "FeTS2022_00000"
    (folder / "._FeTS2022_00000_t1.nii.gz").write_bytes(b"\0\5\x16\7")
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash/.trash_t1.nii.gz").write_bytes(b"")
    assert len(find_patients(tmp_path, VOLUME_LAYOUTS["fets"])) == 1


def test_a_patient_without_a_mask_and_one_stored_twice(tmp_path):
    write_fets(tmp_path, "FeTS2022_00000", tumour_mask())
    folder = tmp_path / "FeTS2022_00000"
    (folder / "FeTS2022_00000_t1.nii").write_bytes(b"")
    with pytest.raises(DataError, match="is the same volume as"):
        find_patients(tmp_path, VOLUME_LAYOUTS["fets"])
    (folder / "FeTS2022_00000_t1.nii").unlink()
    (folder / "FeTS2022_00000_seg.nii.gz").unlink()
    with pytest.raises(DataError, match="images but no mask"):
        find_patients(tmp_path, VOLUME_LAYOUTS["fets"])


def test_a_folder_without_volumes_and_a_list_of_another_kind(tmp_path):
    with pytest.raises(DataError, match="no volume matches"):
        find_patients(tmp_path, VOLUME_LAYOUTS["iseg"])
    write_fets(tmp_path, "FeTS2022_00000", tumour_mask())
    (tmp_path / "partitioning_1.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="must name 'Partition_ID'"):
        find_patients(tmp_path, VOLUME_LAYOUTS["fets"])

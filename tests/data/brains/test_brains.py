import numpy as np
import pytest

import trfjax
from trfjax.data.brains import HOSPITALS, TASKS, invented_brains
from trfjax.data.brains.anatomy import FIELD_OF_VIEW, grid
from trfjax.data.brains.patient import draw_patient
from trfjax.data.brains.tissue import AROUND, Tissue

ALDER, WILLOW = HOSPITALS[0], HOSPITALS[-1]


@pytest.fixture(scope="module")
def adults():
    return [draw_patient(ALDER, i, slices=3, side=64, seed=0) for i in range(3)]


@pytest.fixture(scope="module")
def infant():
    return draw_patient(WILLOW, 0, slices=3, side=64, seed=0)


def level(image, label, kind):
    return image[label == kind].mean()


def test_the_same_arguments_give_the_same_bytes(adults):
    again = draw_patient(ALDER, 0, slices=3, side=64, seed=0)
    np.testing.assert_array_equal(again.tissue, adults[0].tissue)
    np.testing.assert_array_equal(again.image("T2"), adults[0].image("T2"))
    other = draw_patient(ALDER, 0, slices=3, side=64, seed=1)
    assert (other.tissue != again.tissue).any()


def test_tumours_obey_anatomy(adults):
    for patient in adults:
        fine = patient.tissue
        assert {Tissue.ED, Tissue.ET} <= set(np.unique(fine))
        x, _, _ = grid(np.zeros(3), fine.shape[-1])
        whole = np.isin(fine, (Tissue.NCR, Tissue.ED, Tissue.ET))
        # On one side of the falx, up to how askew the head lies (deviation 3 mm).
        side = np.sign(np.median(x[whole]))
        assert (side * x[whole] > -12).all()
        # Never in skull or scalp: whatever lies around the brain is as without it.
        edge = np.isin(fine, AROUND)
        assert edge.any() and not (edge & whole).any()
        # The rim lies about the necrosis: of its neighbours none is healthy.
        core = fine == Tissue.NCR
        for axis in (1, 2):
            for step in (-1, 1):
                beside = np.roll(fine, step, axis)[core]
                healthy = (
                    np.isin(beside, (Tissue.GM, Tissue.WM)).mean() if core.any() else 0
                )
                assert healthy < 0.02


def test_contrast_is_that_of_the_modality(adults):
    for patient in adults:
        label = patient.label
        t1, enhanced, t2, flair = (
            patient.image(m).astype(float) for m in ALDER.modalities
        )
        csf, gm, wm, ed, et = Tissue.CSF, Tissue.GM, Tissue.WM, Tissue.ED, Tissue.ET
        assert level(t1, label, csf) < level(t1, label, gm) < level(t1, label, wm)
        assert level(t2, label, wm) < level(t2, label, gm) < level(t2, label, csf)
        assert (
            level(flair, label, csf) < level(flair, label, wm) < level(flair, label, ed)
        )
        # The agent makes the rim bright, relative to white matter.
        ratio = level(enhanced, label, et) / level(enhanced, label, wm)
        assert ratio > 1.1 * level(t1, label, et) / level(t1, label, wm)


def test_grey_and_white_are_alike_in_infants(infant, adults):
    def contrast(patient, modality):
        image, label = patient.image(modality).astype(float), patient.label
        grey, white = level(image, label, Tissue.GM), level(image, label, Tissue.WM)
        return (white - grey) / (white + grey)

    assert contrast(infant, "T2") > 0 > contrast(adults[0], "T2")
    assert abs(contrast(infant, "T1")) < 0.5 * contrast(adults[0], "T1")
    assert not np.isin(infant.label, (Tissue.NCR, Tissue.ED, Tissue.ET)).any()


def test_a_brain_has_the_size_of_a_brain(adults):
    voxel = (FIELD_OF_VIEW / 128) ** 2  # mm2
    for patient in adults:
        inside = np.isin(
            patient.tissue, (*range(1, 5), Tissue.CSF, Tissue.GM, Tissue.WM)
        )
        area = inside.sum(axis=(1, 2)) * voxel / 100  # cm2
        assert (area > 60).all() and (area < 240).all()
        grey = (patient.tissue == Tissue.GM).sum() / (patient.tissue == Tissue.WM).sum()
        assert 0.25 < grey < 1.6


def test_hospitals_look_different():
    noise = {}
    for hospital in HOSPITALS[:2]:
        image = draw_patient(hospital, 0, slices=1, side=64, seed=0).image("T1")
        noise[hospital.name] = image[0, :6, :6].std()  # air
    assert noise["birch"] > 1.3 * noise["alder"]


def test_a_data_set_of_patients():
    data = trfjax.load_dataset(
        "brains:alder/T2,birch/T1", labels="ET", count=2, size=(64, 64)
    )
    assert len(data) == 16 and data.class_names == ("background", "ET")
    assert data.image_ids[0] == "alder/0000/T2/0"
    assert data.groups[0] == "alder/0000" and data.unit == "patient"
    assert len(set(data.shots(1, seed=0).groups)) == 1
    example = data[5]
    assert example["image"].shape == (64, 64, 3) and example["image"].dtype == np.uint8
    np.testing.assert_array_equal(example["image"], data[5]["image"])
    both = trfjax.load_dataset("brains:alder/T1+T2", count=1, size=(64, 64))
    assert both[0]["image"].shape == (64, 64, 2)
    assert both.class_names == ("background", "NCR", "ED", "ET")
    assert trfjax.load_dataset("brains", count=1).labels is TASKS["tissue"]


def test_the_mask_does_not_depend_on_modality_or_task():
    drawn = {
        task: invented_brains("cedar/T1", task, count=1, size=(32, 32))[1]["label"]
        for task in ("WT", "TC", "ED", "tumour")
    }
    np.testing.assert_array_equal(drawn["WT"], drawn["TC"] + drawn["ED"])
    np.testing.assert_array_equal(drawn["WT"], drawn["tumour"] > 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain": "alder/T2", "size": (64, 96)}, "size: .* same number"),
        ({"domain": "elm"}, "no 'elm' here; available: alder, birch"),
        ({"domain": "willow/FLAIR"}, "no modality 'FLAIR' here; available: T1, T2"),
        ({"domain": "willow/T1", "labels": "WT"}, "infants of willow have no tumour"),
        (
            {"domain": "alder/T1", "labels": "liver"},
            "no 'liver' here; available: tumour",
        ),
        ({"domain": "alder/T1", "count": 0}, "count: 0"),
    ],
)
def test_what_is_not_there_is_told(options, message):
    with pytest.raises(ValueError, match=message):
        invented_brains(**options)

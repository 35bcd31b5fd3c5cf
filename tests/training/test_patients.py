import jax
import numpy as np
import pytest

from trfjax.data import load_dataset
from trfjax.models import create_model
from trfjax.state import ModelCard
from trfjax.training.evaluate import evaluate
from trfjax.training.masks import dice, lesions, surfaces
from trfjax.training.patients import (
    PatientEvaluation,
    Series,
    evaluate_patients,
    over_patients,
)

NAMES = ("background", "ED", "ET")


def found(*pairs, ignore=255):
    series = tuple(Series(who, np.array(t), np.array(p)) for who, t, p in pairs)
    return PatientEvaluation(NAMES, series, ignore)


def test_every_patient_has_its_own_dice():
    result = found(
        ("anna", [[[0, 1, 1]]], [[[0, 1, 0]]]),
        ("ben", [[[0, 2, 255]]], [[[2, 2, 1]]]),
    )
    expected = [[2 / 3, 2 / 3, np.nan], [0, np.nan, 2 / 3]]
    np.testing.assert_allclose(result.dice(), expected)
    assert result.patients == ("anna", "ben")
    mean = result.mean_dice()
    assert mean.value == pytest.approx(2 / 3) and mean.count == 2


def test_volumes_of_one_patient_are_averaged_before_patients_are():
    result = found(
        ("anna", [[[1, 1]]], [[[1, 1]]]),
        ("anna", [[[1, 1]]], [[[0, 0]]]),
        ("ben", [[[1, 1]]], [[[1, 1]]]),
    )
    np.testing.assert_allclose(result.dice()[:, 1], [0.5, 1.0])
    assert result.mean_dice().value == pytest.approx(0.75)


def test_lesions_and_surfaces_are_those_of_the_masks(rng):
    truth, guess = rng.integers(0, 3, (2, 4, 6, 6))
    result = found(("anna", truth, guess))
    a, b = guess == 2, truth == 2
    spacing = (5.0, 1.0, 1.0)
    assert result.lesion_dice()[0, 2] == pytest.approx(lesions(a, b).dice)
    assert result.surface_distance(spacing)[0, 2] == pytest.approx(
        surfaces(a, b, spacing).mean
    )
    assert result.hd95(spacing)[0, 2] == pytest.approx(surfaces(a, b, spacing).hd95)
    assert result.dice()[0, 2] == pytest.approx(dice(a, b))


def test_a_network_is_run_over_patients():
    data = load_dataset("brains:alder/T1,alder/T2", count=3, size=(32, 32), labels="WT")
    config = {"num_classes": 2, "width": 2}
    model = create_model("unet", key=jax.random.key(0), **config)
    card = ModelCard("toy", "unet", config, data.class_names, (32, 32))
    result = evaluate_patients(model, card, data, batch_size=5)
    assert len(result.series) == 6 and result.patients == tuple(
        dict.fromkeys(data.groups)
    )
    assert result.series[0].truth.shape == (4, 32, 32)
    np.testing.assert_array_equal(result.series[1].truth[2], data[6]["label"])
    # All pixels together they are the confusion that `evaluate` counts.
    truth = np.concatenate([s.truth.ravel() for s in result.series])
    guess = np.concatenate([s.predicted.ravel() for s in result.series])
    counts = np.zeros((2, 2), np.int64)
    np.add.at(counts, (truth, guess), 1)
    whole = evaluate(model, card, data)
    np.testing.assert_array_equal(counts, whole.confusion)
    assert whole.class_dice[1] == pytest.approx(dice(guess == 1, truth == 1))


def test_no_patient_with_the_class_is_an_error():
    with pytest.raises(ValueError, match="the class is in none of them"):
        over_patients(np.array([np.nan, np.nan]))
    assert over_patients(np.array([np.nan, 0.5])).count == 1


def test_an_unknown_class_is_an_error():
    data = load_dataset("brains:alder/T1", count=1, size=(32, 32), labels="GM")
    config = {"num_classes": 3, "width": 2}
    model = create_model("unet", key=jax.random.key(0), **config)
    card = ModelCard("toy", "unet", config, NAMES, (32, 32))
    with pytest.raises(ValueError, match="class 'GM' is not one the network knows"):
        evaluate_patients(model, card, data)

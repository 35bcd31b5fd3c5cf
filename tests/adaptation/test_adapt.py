"""The verb: what comes back, what is kept, what is refused."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from tests.adaptation.cases import RECIPE, network, other_light, squares
from tests.training.cases import assert_same, changed
from trfjax.adaptation import METHODS, get_method
from trfjax.adaptation.adapt import adapt
from trfjax.data import LabelMap
from trfjax.errors import DataError
from trfjax.training.loop import DivergedError
from trfjax.training.train import train

QUIET = {"progress": False, "recipe": RECIPE}
SMALL = get_method("fcd_light", num_layers=2)


def start():
    return network(), squares(), other_light()


class Killed(Exception):
    pass


def test_source_only_is_training_bit_for_bit():
    source, data, target = start()
    recipe = changed(RECIPE, seed=3, dice_weight=0.5)
    options = {"recipe": recipe, "progress": False}
    result = adapt(source, data, target, method="source_only", seeds=(3,), **options)
    plain = train(source.model, data, card=source.card, **options)
    assert_same(result.trained.model, plain.trained.model)
    assert result.runs[0].curves["loss"] == plain.history["loss"]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_found_and_described(name):
    method = get_method(name)
    assert dataclasses.is_dataclass(method) and type(method).__doc__
    assert hash(method) == hash(get_method(name))  # equal ones compile once


def test_labels_of_the_target_never_enter():
    source, data, target = start()
    wrong = target.map(lambda image, label: (image, 0 * label + 2), tag="wrong")
    one, other = (
        adapt(source, data, t, method=SMALL, validator="information", **QUIET)
        for t in (target, wrong)
    )
    assert_same(one.trained.model, other.trained.model)


@pytest.mark.parametrize("validator", ["last", "information"])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, validator):
    source, data, target = start()
    options = {
        "method": SMALL,
        "validator": validator,
        "validate_every": 2,
        "checkpoint_every": 1,
        **QUIET,
    }
    whole = adapt(source, data, target, **options)
    for stop in (1, 3):
        path, kept = tmp_path / f"{stop}.safetensors", tmp_path / f"k{stop}.safetensors"

        def on_step(number, loss, stop=stop, path=path, kept=kept):
            if number == stop:  # what a kill leaves is the file as it is now
                shutil.copy(path, kept)
                raise Killed

        with pytest.raises(Killed):
            adapt(source, data, target, checkpoint=path, on_step=on_step, **options)
        again = adapt(source, data, target, checkpoint=kept, resume=True, **options)
        assert_same(again.trained.model, whole.trained.model)
        assert again.runs[0].curves == whole.runs[0].curves
        assert again.runs[0].chosen_step == whole.runs[0].chosen_step


def test_another_method_does_not_go_on(tmp_path):
    source, data, target = start()
    path = tmp_path / "run.safetensors"
    options = {"checkpoint": path, "seeds": (0,), **QUIET}
    adapt(source, data, target, method="source_only", **options)
    with pytest.raises(DataError, match="method was 'source_only' and is now 'dann'"):
        adapt(source, data, target, method="dann", resume=True, **options)


def test_results_over_seeds(tmp_path):
    source, data, target = start()
    result = adapt(
        source,
        data,
        target,
        method="source_only",
        seeds=(0, 1),
        test=target,
        checkpoint=tmp_path / "run.safetensors",
        **QUIET,
    )
    mious = [run.evaluation.miou for run in result.runs]
    np.testing.assert_allclose(result.miou.value, np.mean(mious))
    np.testing.assert_allclose(
        result.gain.value, np.mean(mious) - result.before.miou, atol=1e-12
    )
    # Two seeds: Student's t of one degree of freedom is 12.7062 at 97.5 %.
    reach = 12.7062 * np.std(mious, ddof=1) / np.sqrt(2)
    np.testing.assert_allclose(result.miou.high - result.miou.value, reach, rtol=1e-5)
    assert set(result.class_iou) == set(source.card.class_names)
    assert [run.seed for run in result.runs] == [0, 1]
    assert {p.name for p in tmp_path.glob("*.safetensors")} == {
        "run-seed0.safetensors",
        "run-seed1.safetensors",
    }
    assert result.to_dict()["runs"][1]["seed"] == 1


def test_a_loss_that_is_not_finite_keeps_the_last_good_network(tmp_path):
    source, data, target = start()
    path = tmp_path / "run.safetensors"
    broken = dataclasses.replace(SMALL, weights=(float("inf"),))
    with pytest.raises(DivergedError, match="not finite at step 1") as caught:
        adapt(source, data, target, method=broken, checkpoint=path, **QUIET)
    assert_same(caught.value.trained.model, source.model)


def test_classes_are_matched_by_name():
    source, data, target = start()
    names = ("top", "new", "left")  # indices 0, 1, 2 of the file
    renamed = dataclasses.replace(target, labels=LabelMap(names))
    result = adapt(source, data, target, method="source_only", test=renamed, **QUIET)
    assert result.left_out == ("new",)
    counted = result.before.confusion.sum(axis=1)
    labels = np.concatenate([renamed[i]["label"].ravel() for i in range(4)])
    expected = [
        (labels == names.index(n)).sum() if n in names else 0
        for n in source.card.class_names
    ]
    assert counted.tolist() == expected
    strange = dataclasses.replace(target, labels=LabelMap(("a", "b", "c")))
    with pytest.raises(ValueError, match=r"none of its classes \(a, b, c\)"):
        adapt(source, data, target, method="source_only", test=strange, **QUIET)
    with pytest.raises(ValueError, match="class 'a' is not one the network knows"):
        adapt(
            source,
            dataclasses.replace(data, labels=LabelMap(("a", "b"))),
            target,
            **QUIET,
        )


def test_images_of_two_sizes():
    source, data, target = network(), squares(), other_light(size=(32, 48))
    with pytest.raises(ValueError, match="batch_norm='sequential'"):
        adapt(source, data, target, method="dann", **QUIET)
    result = adapt(source, data, target, method=SMALL, **QUIET)
    assert np.isfinite(result.runs[0].curves["loss"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": ()}, "seeds: "),
        ({"seeds": (1, 1)}, "seeds: "),
        ({"resume": True}, "resume: needs checkpoint"),
        ({"validator": "oracle"}, "unknown validator 'oracle'; available: last"),
        ({"checkpoint_every": 0}, "checkpoint_every: 0"),
        ({"checkpoint": "run.npz"}, "must end in .safetensors"),
    ],
)
def test_settings_that_do_not_fit(options, message):
    source, data, target = start()
    with pytest.raises(ValueError, match=message):
        adapt(source, data, target, method="source_only", **QUIET, **options)


def test_an_empty_target_and_small_images():
    source, data, target = start()
    with pytest.raises(ValueError, match="has no images"):
        adapt(source, data, target.select([]), **QUIET)
    tiny = network(), squares(size=(16, 16)), other_light(size=(16, 16))
    with pytest.raises(ValueError, match=r"images: 16 x 16 is too small.*32 pixels"):
        adapt(*tiny, method="fcd", **QUIET)


def test_three_seeds_by_vmap_are_three_runs():
    from tests.adaptation.cases import composed
    from trfjax.training.step import step

    _, update, state, batch = composed("adaptsegnet", num_layers=2)
    keys = jax.random.split(jax.random.key(0), 3)
    many = jax.vmap(lambda key: step(state, batch, key, update=update)[0].params)(keys)
    for i, key in enumerate(keys):
        one = step(state, batch, key, update=update)[0].params
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, atol=1e-5), many, one
        )

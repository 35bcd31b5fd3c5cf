"""Trained networks on disk: exact, checked, and never half read."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.network_cases import CASES, CLASSES, build, images
from trfjax.errors import DataError
from trfjax.files import read_arrays, write_arrays
from trfjax.models.checkpoint import load_model, save_model
from trfjax.state import ModelCard, TrainedModel, apply
from trfjax.trees import flatten, unflatten

NAMES = ('say "road"', "Straße\n", "日本/道", "\ud800", "", "a,b;c")


def trained(case="conv4", **changes):
    name, config, size = CASES[case]
    config = {"num_classes": CLASSES, "input_size": (28, 28), **config}
    card = ModelCard("mine", name, config, NAMES[:CLASSES], size, trained_on="here")
    return TrainedModel(build(case), dataclasses.replace(card, **changes))


def test_a_network_comes_back_exactly(tmp_path):
    before, path = trained(class_names=NAMES), tmp_path / "a" / "m.safetensors"
    save_model(path, before)
    after = load_model(path)
    assert after.card == before.card
    assert after.model.graphdef == before.model.graphdef
    x = images("conv4")
    run = jax.jit(apply)
    expected, found = run(before.model, x).logits, run(after.model, x).logits
    np.testing.assert_array_equal(found, expected)
    names = set(read_arrays(path)[0])
    assert {"params/blocks/0/conv/kernel", "stats/blocks/0/norm/mean"} <= names


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, trained())
    whole = path.read_bytes()
    for cut in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="damaged"):
            load_model(path)
    flipped = bytearray(whole)
    flipped[-40] ^= 1
    path.write_bytes(bytes(flipped))
    with pytest.raises(
        DataError, match=r"damaged.*its digest is another. Copy it again"
    ):
        load_model(path)


def rewritten(path, **changes):
    save_model(path, trained())
    arrays, metadata = read_arrays(path)
    card = {**metadata["card"], **changes.pop("card", {})}
    write_arrays(path, arrays, {**metadata, "card": card, **changes})
    return path


def test_a_foreign_file_is_explained(tmp_path):
    path = tmp_path / "m.safetensors"
    write_arrays(path, {"a": np.zeros(3)})
    with pytest.raises(DataError, match=r"no model card.*trfjax.models.convert"):
        load_model(path)
    with pytest.raises(DataError, match=r"has format 99.*Upgrade"):
        load_model(rewritten(path, format=99))
    with pytest.raises(DataError, match="unknown model 'vgg'; available"):
        load_model(rewritten(path, card={"architecture": "vgg"}))
    with pytest.raises(DataError, match=r"does not fit 'lenet'.*arrays are missing"):
        config = {"num_classes": 5}
        load_model(rewritten(path, card={"architecture": "lenet", "config": config}))
    with pytest.raises(DataError, match=r"does not fit 'conv4'.*has shape"):
        config = {"num_classes": 6, "width": 8}
        load_model(rewritten(path, card={"config": config}))
    with pytest.raises(DataError, match="card is damaged"):
        load_model(rewritten(path, card={"colour": "red"}))
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_model(tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_size": (10**6, 10**6)},
        {"input_size": (0, 8)},
        {"input_size": (28,)},
        {"input_size": "28x28"},
        {"std": (0.0, 0.0, 0.0)},
        {"std": (1.0,)},
        {"mean": "grey"},
        {"class_names": "abc"},
        {"class_names": (1, 2)},
        {"config": {"num_classes": 10**12}},
        {"config": []},
        {"ignore": "none"},
    ],
    ids=str,
)
def test_a_card_of_no_network_is_refused_before_anything_is_built(tmp_path, wrong):
    path = rewritten(tmp_path / "m.safetensors", card=wrong)
    with pytest.raises(DataError, match=r"(card|hold|built)") as caught:
        load_model(path)
    assert caught.value.path == path


def test_a_card_that_describes_another_network_is_not_saved(tmp_path):
    path = tmp_path / "m.safetensors"
    wrong = trained(config={"num_classes": 7, "width": 8})
    with pytest.raises(ValueError, match="another network than this one"):
        save_model(path, wrong)
    assert not path.exists()
    with pytest.raises(ValueError, match=r"saved as \.safetensors, got 'm\.npz'"):
        save_model(tmp_path / "m.npz", trained())


def test_trees_by_path():
    tree = {"a": [jnp.arange(3), jnp.asarray(2.0)], "b": {"c": jnp.ones((2, 2))}}
    flat = flatten(tree)
    assert list(flat) == ["a/0", "a/1", "b/c"]
    # A file may give a scalar back as an array of one.
    stored = {name: np.atleast_1d(leaf) for name, leaf in flat.items()}
    again = unflatten(tree, stored)
    assert jax.tree.structure(again) == jax.tree.structure(tree)
    assert again["a"][1].shape == () and again["a"][0].dtype == tree["a"][0].dtype
    with pytest.raises(ValueError, match=r"1 arrays are missing \(first: \['b/c'\]\)"):
        unflatten(tree, {k: v for k, v in stored.items() if k != "b/c"})
    with pytest.raises(ValueError, match="'b/c' has shape"):
        unflatten(tree, {**stored, "b/c": np.ones(4)})

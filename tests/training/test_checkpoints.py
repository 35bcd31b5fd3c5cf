import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.cases import RECIPE, assert_same, changed, network, squares
from trfjax.errors import DataError
from trfjax.files import read_arrays, write_arrays
from trfjax.training.checkpoints import load_state, save_state
from trfjax.training.loop import start

LOSSES = [0.1 + 0.2, 1 / 3]


@pytest.fixture
def saved(tmp_path):
    """A state with other numbers in every leaf, and its file."""
    trained, path = network(), tmp_path / "run.safetensors"
    state = start(trained.model, RECIPE)
    state = jax.tree.map(lambda x: jnp.asarray(np.asarray(x) + 1, x.dtype), state)
    belongs = {"recipe": RECIPE, "card": trained.card, "dataset": squares()}
    save_state(path, state, **belongs, losses=LOSSES)
    return path, state, belongs


def template(seed=3, **options):
    return start(network(seed, **options).model, RECIPE)


def test_every_bit_comes_back(saved):
    path, state, belongs = saved
    restored, losses = load_state(path, template(), **belongs)
    assert_same(restored, state)
    assert losses == LOSSES
    assert jax.tree.structure(restored) == jax.tree.structure(state)


def test_leaves_are_named_by_their_place(saved):
    arrays, _ = read_arrays(saved[0])
    assert "params/head/kernel" in arrays and "step" in arrays
    assert any(name.endswith("mu/head/kernel") for name in arrays)


def test_another_run_is_refused_by_name(saved):
    path, _, belongs = saved
    card = dataclasses.replace(belongs["card"], architecture="segnet")
    cases = [
        ("recipe.learning_rate was 0.01", {"recipe": changed(learning_rate=0.5)}),
        ("recipe.seed", {"recipe": changed(seed=1)}),
        ("card.architecture was 'tiny' and is now 'segnet'", {"card": card}),
        ("data was", {"dataset": squares(seed=1)}),
    ]
    for message, change in cases:
        with pytest.raises(DataError, match=f"belongs to another run.*{message}"):
            load_state(path, template(), **{**belongs, **change})


def test_another_network_is_refused(saved):
    path, _, belongs = saved
    with pytest.raises(DataError, match=r"belongs to another network.*has shape"):
        load_state(path, template(width=4), **belongs)
    with pytest.raises(DataError, match="arrays are missing"):
        load_state(path, dataclasses.replace(template(), opt_state=()), **belongs)


def test_damage_is_noticed(saved, tmp_path):
    path, _, belongs = saved
    content = path.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    flipped = bytearray(content)
    flipped[-100] ^= 1
    (tmp_path / "bit.safetensors").write_bytes(bytes(flipped))
    write_arrays(tmp_path / "other.safetensors", {"a": np.zeros(3)})
    for name, message in (
        ("cut", "damaged"),
        ("bit", "damaged"),
        ("other", "no training checkpoint"),
    ):
        file = tmp_path / f"{name}.safetensors"
        with pytest.raises(DataError, match=message) as caught:
            load_state(file, template(), **belongs)
        assert caught.value.path == file
    with pytest.raises(FileNotFoundError):
        load_state(tmp_path / "none.safetensors", template(), **belongs)


def test_the_file_name_is_checked(saved, tmp_path):
    _, state, belongs = saved
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        save_state(tmp_path / "run.npz", state, **belongs, losses=[])

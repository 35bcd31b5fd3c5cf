"""Settings of the public functions: refused before any work, with name and value."""

import math

import jax
import numpy as np
import pytest

import trfjax
from trfjax.data import load_dataset
from trfjax.features.extract import extract
from trfjax.numbers import as_key, as_real, as_seed
from trfjax.training.recipe import Recipe
from trfjax.transfer.guide import Guide
from trfjax.transfer.start import Finetuning

REAL = [0.0, -1.0, math.inf, math.nan, "0.1", True]
COUNT = [0, -1, 1.5, "3", True]
SEED = [-1, 2**32, 0.5, "0"]


def city():
    return load_dataset("synthetic:arden", count=2, size=(32, 32))


def ranked(**settings):
    return trfjax.rank({"a": None}, city(), **settings)


def mapped(**settings):
    probs = np.full((1, 8, 8, 2), 0.5)
    return trfjax.transfer_map(None, None, probs, np.zeros((1, 8, 8), int), **settings)


def by_pixel(**settings):
    probs = np.full((1, 8, 8, 2), 0.5)
    return trfjax.pixel_map(None, None, probs, np.zeros((1, 8, 8), int), **settings)


def drawn(**settings):
    return extract(lambda x: x, city(), progress=False, **settings)


def otce(**settings):
    labels = np.arange(8) % 2
    probs = np.eye(2)[labels] * 0.8 + 0.1
    return trfjax.otce(probs, labels, probs, labels, **{"key": 0, **settings})


def opened(**settings):
    return load_dataset("synthetic:arden", **settings)


def shots(**settings):
    return city().shots(**{"count": 1, "seed": 0, **settings})


CASES = [
    (ranked, {"epsilon": REAL, "repeats": COUNT, "atoms": COUNT, "batch_size": COUNT,
              "pixels": [0, -1, 1.5, True], "bootstrap": [-1, 0.5], "seed": SEED}),
    (mapped, {"epsilon": REAL, "stride": COUNT, "min_pixels": COUNT, "seed": SEED}),
    (by_pixel, {"epsilon": REAL, "num_samples": COUNT, "seed": SEED}),
    (drawn, {"pixels": COUNT, "batch_size": COUNT, "radius": COUNT, "seed": SEED}),
    (otce, {"epsilon": REAL, "num_samples": COUNT, "repeats": COUNT,
            "key": [2**32, -(2**31) - 1, 0.5, "0"]}),
    (opened, {"count": COUNT, "seed": SEED, "cache": [-1, 0.5],
              "size": [(0, 5), (5, -1), (10**6, 5), (1.5, 2), 5, (1, 2, 3)]}),
    (shots, {"count": [3, *COUNT], "seed": SEED}),
    (Recipe, {"steps": COUNT, "batch_size": COUNT, "learning_rate": REAL, "seed": SEED,
              "clip": REAL, "aux_weight": REAL[1:], "weight_decay": REAL[1:],
              "warmup": [1.1, *REAL[1:]], "final": [1.1, *REAL[1:]]}),
    (Guide, {"steps": COUNT, "source_batch": COUNT, "learning_rate": REAL,
             "epsilon": REAL, "weight": REAL[1:]}),
    (Finetuning, {"held_out": [0.6, *REAL[1:]], "evaluate_every": COUNT}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "name", "values"),
    [(f, name, values) for f, named in CASES for name, values in named.items()],
)
def test_a_setting_that_cannot_be(function, name, values):
    words = {"count": "count|shots", "key": "key"}.get(name, name)
    for value in values:
        with pytest.raises((TypeError, ValueError), match=words):
            function(**{name: value})


def test_numbers_of_any_kind_are_numbers():
    assert as_real("x", np.float16(0.5), above=0) == 0.5
    assert as_real("x", jax.numpy.float32(2), least=2, most=2) == 2
    assert as_seed("seed", np.uint32(2**32 - 1)) == 2**32 - 1


def test_seeds_that_jax_would_confuse_are_refused():
    assert (jax.random.key_data(jax.random.key(2**32)) == 0).all()  # that of 0
    with pytest.raises(ValueError, match="key: 4294967296 is more than 4294967295"):
        as_key(2**32)
    assert int(jax.random.key_data(as_key(-1))[1]) == 2**32 - 1

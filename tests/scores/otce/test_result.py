"""The result of OTCE: its means, its words, and its record."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.scores.otce.result import (
    EFFECT,
    OtceDraws,
    Quantisation,
    average,
    details_of,
    not_converged,
    too_coarse,
    unknown,
)

FACTS = {
    "num_samples": (1000, 900), "feature_space": "probs", "solver": "fast",
    "source_classes": (0, 1), "target_classes": (3, 7, 9),
}  # fmt: skip


def draws(k=3, seed=0, converged=None):
    rng = np.random.default_rng(seed)
    joint = rng.dirichlet(np.ones(6), k).reshape(k, 2, 3)
    parts = (
        rng.random(k), rng.random(k), joint, rng.random((k, 5, 2)),
        rng.integers(9, size=(k, 5)), rng.random(k) * 1e-4, rng.random(k) * 1e-5,
        rng.integers(100, size=k), np.ones(k, bool) if converged is None else converged,
    )  # fmt: skip
    return OtceDraws(*(jnp.asarray(part) for part in parts))


def result(k=3, **changes):
    return average(draws(k, **changes), jnp.asarray(0.1), **FACTS)


def atoms(effect):
    found = Quantisation(
        effect=effect, correction=np.zeros((2, 3)), atoms_task_difference=0.4,
        scatter=0.01, potentials=(), draws=16, atoms=(64, 32),
    )  # fmt: skip
    return dataclasses.replace(result(1), quantisation=found)


@pytest.mark.parametrize("k", [2, 5])
def test_means_over_draws(k):
    found, given = result(k), draws(k)
    task = np.asarray(given.task_difference, float)
    assert float(found.task_difference) == pytest.approx(task.mean(), rel=1e-6)
    assert float(found.score) == -float(found.task_difference)
    error = task.std(ddof=1) / np.sqrt(k)
    assert float(found.standard_error) == pytest.approx(error, rel=1e-5)
    np.testing.assert_allclose(found.label_joint, given.label_joint.mean(axis=0))
    assert float(np.sum(found.label_joint)) == pytest.approx(1, rel=1e-6)
    assert found.marginal_error == given.marginal_error.max()
    assert found.repeats == k and bool(found.converged)


def test_one_draw_has_no_error_and_equal_draws_have_none():
    assert np.isnan(result(1).standard_error)
    given = draws(3)
    same = dataclasses.replace(given, task_difference=jnp.full(3, 0.7))
    found = average(same, jnp.asarray(0.1), **FACTS)
    assert float(found.standard_error) == 0
    slope = jax.grad(
        lambda t: (
            average(
                dataclasses.replace(given, task_difference=t), jnp.asarray(0.1), **FACTS
            ).standard_error
        )
    )
    assert np.isfinite(slope(jnp.full(3, 0.7))).all()


def test_a_draw_that_failed_makes_the_result_one_that_failed():
    found = result(3, converged=np.array([True, False, False]))
    assert not found.converged and "NOT converged" in str(found)
    message = not_converged(found)
    assert message.startswith("otce: 2 of 3 draws did not converge (marginal error ")
    assert "Raise epsilon" in message and "relative_epsilon=True" in message
    assert f"after {int(found.draws.iterations.max())} iterations" in message


def test_a_nan_that_is_meant_is_no_alarm():
    with jax.debug_nans(True):
        assert np.isnan(unknown(np.dtype(np.float32)))
        assert np.isnan(result(1).standard_error)


@pytest.mark.parametrize(
    ("effect", "told"), [(0.0, False), (EFFECT, False), (0.021, True), (np.inf, True)]
)
def test_atoms_that_are_too_coarse_are_told(effect, told):
    message = too_coarse(atoms(effect))
    assert bool(message) is told
    if told:
        assert message.startswith("otce: 64 x 32 atoms are too few for these features")
        assert "Draw pixels instead, or take a larger epsilon" in message
    assert too_coarse(result()) == ""  # of draws


def test_what_is_printed():
    text = str(result(3))
    assert "3 draws of 1000 x 900, probs, epsilon 0.1, fast" in text
    assert f"W_T {float(result(3).task_difference):.4f}" in text
    assert "converged" in text and "NOT" not in text
    assert "all 1,000 x 900 pixels as 64 x 32 atoms" in str(atoms(0.0))
    printed = []
    jax.jit(lambda d: printed.append(str(average(d, jnp.ones(()), **FACTS))))(draws())
    assert printed == ["OtceResult(traced)"]


def test_a_record_is_plain_and_complete():
    for found in (result(3), atoms(0.01)):
        record = details_of(found)
        assert json.loads(json.dumps(record)) == record
        assert record["task_difference"] == -float(found.score)
        assert record["num_samples"] == [1000, 900] and record["converged"] is True
        assert len(record["per_draw"]) == record["repeats"] == found.repeats
        np.testing.assert_allclose(record["label_joint"], found.label_joint)
        assert record["iterations"] == int(found.draws.iterations.max())
    assert record["atoms"] == [64, 32] and record["quantisation_effect"] == 0.01
    assert "atoms" not in details_of(result(3))


def test_a_result_is_a_tree():
    """It goes through jit and vmap; what is static stays."""
    found = jax.jit(lambda r: r)(result(3))
    assert found.num_samples == (1000, 900) and found.target_classes == (3, 7, 9)
    stacked = jax.vmap(lambda k: jax.tree.map(lambda a: a * k, result(3).score))(
        jnp.arange(2.0)
    )
    np.testing.assert_allclose(stacked, [0, float(result(3).score)])

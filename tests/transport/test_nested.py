"""Corrections on a sample, forced on problems small enough for a reference."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport.reference import entropic_plan, label_joint, labelled_clouds
from trfjax.transport import nested
from trfjax.transport.problem import Problem, Settings, centre
from trfjax.transport.sinkhorn import solve

EPSILON = jnp.float32(0.1)


@pytest.fixture
def nested_always(monkeypatch):
    """600 x 500 points count as large; the sample has every 4th."""
    monkeypatch.setattr(nested, "NESTED_ABOVE", 100_000)
    monkeypatch.setattr(nested, "SAMPLE", 100)


def problem_of(x, ys, y, yt, a=None, b=None):
    a = np.full(len(x), 1 / len(x)) if a is None else a
    b = np.full(len(y), 1 / len(y)) if b is None else b
    a, b = (jnp.asarray(w, jnp.float32) for w in (a, b))
    x, y = centre(jnp.asarray(x), a), centre(jnp.asarray(y), b)
    labels = jnp.eye(4, dtype=jnp.float32)[ys], jnp.eye(3, dtype=jnp.float32)[yt]
    return Problem(x, y, a, b, *labels)


def solved(problem):
    # A new function each time, so that nothing compiled is used again.
    return jax.jit(lambda p: solve(p, EPSILON, Settings()))(problem)


def plain(monkeypatch, problem):
    monkeypatch.setattr(nested, "NESTED_ABOVE", 10**9)
    return solved(problem)


def test_corrections_reach_the_plan_of_the_reference(nested_always, monkeypatch):
    x, ys, y, yt = labelled_clouds(3, 600, 500, probs=True)
    problem = problem_of(x, ys, y, yt)
    found = solved(problem)
    plan, _ = entropic_plan(
        x, y, np.full(600, 1 / 600), np.full(500, 1 / 500), 0.1, tolerance=1e-9
    )
    # The stopping rule allows the joint an error of 1e-4.
    np.testing.assert_allclose(found.joint, label_joint(plan, ys, yt, 4, 3), atol=1e-4)
    assert found.converged
    # Rounds only: the iteration on the whole problem had nothing left to do.
    assert found.iterations < 10
    assert found.iterations < plain(monkeypatch, problem).iterations / 2


def test_where_a_sample_knows_little_the_stages_take_over(nested_always, monkeypatch):
    x, ys, y, yt = labelled_clouds(5, 600, 500, d=12, spread=3.0)
    problem = problem_of(x, ys, y, yt)
    found = solved(problem)
    assert found.iterations > 30  # the rounds alone would be one
    want = plain(monkeypatch, problem)
    assert found.converged
    # Both stop within a marginal error of 1e-3 of the solution.
    np.testing.assert_allclose(found.joint, want.joint, atol=2e-3)


def test_padding_and_unequal_weights(nested_always):
    x, ys, y, yt = labelled_clouds(6, 600, 500, probs=True)
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet(np.full(600, 2.0)), rng.dirichlet(np.full(500, 2.0))
    problem = problem_of(x, ys, y, yt, a, b)

    def padded(name):
        part, count = getattr(problem, name), 40 if "source" in name else 60
        return jnp.pad(part, [(0, count)] + [(0, 0)] * (part.ndim - 1))

    sides = {field.name: padded(field.name) for field in dataclasses.fields(problem)}
    found = solved(Problem(**sides))
    plan, _ = entropic_plan(x, y, a, b, 0.1, tolerance=1e-9)
    assert found.converged
    np.testing.assert_allclose(found.joint, label_joint(plan, ys, yt, 4, 3), atol=1e-4)
    assert np.abs(found.shares[:500].sum(axis=1) - b).sum() <= 1e-3  # the tolerance
    assert not found.shares[500:].any()

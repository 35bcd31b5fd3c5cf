import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport import reference
from tests.transport.test_joint import problem_of
from trfjax.transport.conditional import entropy_given_rows
from trfjax.transport.joint import couple
from trfjax.transport.problem import Settings

TIGHT = Settings(tolerance=1e-13, joint_tolerance=1e-13, block_rows=16)
FIELDS = (
    "source", "target", "source_weights", "target_weights",
    "source_labels", "target_labels",
)  # fmt: skip


def loss(problem, epsilon, settings):
    total = dataclasses.replace(
        problem,
        source_weights=problem.source_weights / problem.source_weights.sum(),
        target_weights=problem.target_weights / problem.target_weights.sum(),
        source_labels=problem.source_labels / problem.source_labels.sum(1)[:, None],
        target_labels=problem.target_labels / problem.target_labels.sum(1)[:, None],
    )
    found = couple(total, epsilon=epsilon, settings=settings)
    return entropy_given_rows(found.joint) + 0.3 * found.cost


@pytest.mark.parametrize("dense_limit", [250_000_000, 1])
@pytest.mark.parametrize("field", [*FIELDS, "epsilon"])
def test_every_derivative_equals_finite_differences(x64, rng, field, dense_limit):
    clouds = reference.labelled_clouds(0, 40, 30, spread=0.5)
    settings = dataclasses.replace(TIGHT, dense_limit=dense_limit)
    problem = problem_of(*clouds, a=rng.random(40) + 0.5, dtype=jnp.float64)
    # Labels as histograms, so that no cell is at the edge of the logarithm.
    problem = dataclasses.replace(
        problem,
        source_labels=0.8 * problem.source_labels + 0.05,
        target_labels=0.7 * problem.target_labels + 0.1,
    )

    def value(change):
        if field == "epsilon":
            return loss(problem, 0.2 + change, settings)
        moved = getattr(problem, field) + change
        return loss(dataclasses.replace(problem, **{field: moved}), 0.2, settings)

    shape = () if field == "epsilon" else getattr(problem, field).shape
    direction = jnp.asarray(rng.normal(size=shape))
    slope = jnp.sum(jax.grad(value)(jnp.zeros(shape)) * direction)
    step = 1e-5
    finite = (value(step * direction) - value(-step * direction)) / (2 * step)
    np.testing.assert_allclose(slope, finite, rtol=1e-5, atol=1e-8)


def test_empty_cells_and_padding_have_finite_gradients():
    x, ys, y, yt = reference.labelled_clouds(1, 50, 50, spread=4)
    a = np.r_[np.ones(40), np.zeros(10)]
    problem = problem_of(x, ys % 2, y, yt % 2, a=a)  # rows and columns stay empty
    gradient = jax.grad(lambda p: loss(p, 0.1, Settings(tolerance=1e-5)))(problem)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.abs(gradient.source[:40]).max() > 0
    np.testing.assert_array_equal(gradient.source[40:], 0)


def test_float32_is_close_to_float64():
    clouds = reference.labelled_clouds(2, 120, 100, probs=True, spread=2)

    def gradient(dtype, settings):
        problem = problem_of(*clouds, dtype=dtype)
        return jax.grad(
            lambda x: loss(dataclasses.replace(problem, source=x), 0.1, settings)
        )(problem.source)

    single = np.asarray(gradient(jnp.float32, Settings(tolerance=1e-4)))
    with jax.enable_x64(True):
        double = np.asarray(gradient(jnp.float64, TIGHT))
    assert np.linalg.norm(single - double) < 1e-2 * np.linalg.norm(double)


def test_vmap_of_grad_and_jit_compose():
    problems = [
        problem_of(*reference.labelled_clouds(s, 40, 40, probs=True)) for s in (0, 1)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *problems)
    settings = Settings(tolerance=1e-5, joint_tolerance=1e-5)
    slope = jax.grad(lambda p: loss(p, 0.1, settings))
    together = jax.jit(jax.vmap(slope))(stacked)
    alone = slope(problems[1])
    scale = np.abs(alone.source).max()
    np.testing.assert_allclose(together.source[1], alone.source, atol=2e-3 * scale)


def test_no_residual_is_as_large_as_the_plan():
    problem = problem_of(*reference.labelled_clouds(3, 300, 200))
    _, pull = jax.vjp(lambda p: loss(p, 0.5, Settings()), problem)
    largest = max(leaf.size for leaf in jax.tree.leaves(pull))
    assert largest <= 300 * 5

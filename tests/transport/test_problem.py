import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.transport.problem import BLOCK_ENTRIES, Problem, Settings, centre


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (256, 10, 256),
        (256, BLOCK_ENTRIES, 1),
        (256, 10 * BLOCK_ENTRIES, 1),  # a row is the least that can be formed
        (256, BLOCK_ENTRIES // 7, 7),
        (256, 0, 256),
        (1, 10, 1),
    ],
)
def test_rows_formed_at_a_time(rows, columns, expected):
    assert Settings(block_rows=rows).block(columns) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tolerance", 0.0),
        ("tolerance", -1e-3),
        ("tolerance", float("nan")),
        ("joint_tolerance", 0.0),
        ("joint_tolerance", float("nan")),
        ("max_iterations", 0),
        ("max_iterations", -5),
        ("block_rows", 0),
    ],
)
def test_numbers_that_stop_nothing_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name}: .* is not (positive|finite)"):
        Settings(**{name: value})
    with pytest.raises(ValueError, match=f"{name}: .* is not (positive|finite)"):
        dataclasses.replace(Settings(), **{name: value})


@pytest.mark.parametrize("solver", ["exact", "Fast", ""])
def test_an_unknown_solver_is_refused_with_those_there_are(solver):
    settings = Settings()
    object.__setattr__(settings, "solver", solver)  # as without type checks
    with pytest.raises(ValueError, match=f"solver: '{solver}' is neither 'fast' nor"):
        inspect.unwrap(Settings.__post_init__)(settings)


def test_settings_are_values():
    """They are static arguments of compiled functions: equal ones share a program."""
    assert Settings() == Settings() and hash(Settings()) == hash(Settings())
    assert Settings(tolerance=1e-4) != Settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Settings(), "tolerance", 1.0)  # noqa: B010


def test_a_problem_is_a_tree_of_its_six_arrays():
    parts = [np.full(k + 1, k) for k in range(6)]
    problem = Problem(*parts)
    doubled = jax.tree.map(lambda part: 2 * part, problem)
    for field, part in zip(dataclasses.fields(problem), parts, strict=True):
        np.testing.assert_array_equal(getattr(doubled, field.name), 2 * part)


def test_centring(x64, rng):
    points, weights = rng.normal(size=(20, 3)), rng.dirichlet(np.ones(20))
    found = np.asarray(centre(jnp.asarray(points), jnp.asarray(weights)))
    mean = sum(w * row for w, row in zip(weights, points, strict=True))
    np.testing.assert_allclose(found, points - mean, rtol=1e-12)
    np.testing.assert_allclose(weights @ found, 0, atol=1e-14)
    again = centre(jnp.asarray(found), jnp.asarray(weights))
    np.testing.assert_allclose(again, found, atol=1e-14)
    moved = centre(jnp.asarray(points + 1e6), jnp.asarray(weights))
    np.testing.assert_allclose(moved, found, atol=1e-8)  # sixteen digits of 1e6


def test_padding_has_no_part_in_the_mean():
    points = jnp.array([[1.0], [3.0], [1e6]])
    found = centre(points, jnp.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(found[:2, 0], [-1, 1])

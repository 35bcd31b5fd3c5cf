"""Conjugate gradients, against direct solutions in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.transport.conjugate import conjugate_gradients

SIZE = 8


def system(seed, size=SIZE):
    """A positive definite matrix of condition 100, and a right side."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(size, size)))[0]
    return turn * np.geomspace(1, 100, size) @ turn.T, rng.normal(size=size)


@functools.partial(jax.jit, static_argnames=("tolerance", "steps"))
def run(matrix, right, inverse, tolerance, steps, needed):
    return conjugate_gradients(
        lambda x: matrix @ x,
        right,
        lambda residual: inverse @ residual,
        tolerance=tolerance,
        steps=steps,
        needed=needed,
    )


def solved(matrix, right, inverse=None, *, tolerance=1e-24, steps=50, needed=True):
    inverse = np.eye(len(right)) if inverse is None else inverse
    found, count = run(matrix, right, inverse, tolerance, steps, needed)
    return np.asarray(found), int(count)


def test_as_many_steps_as_unknowns_solve_a_system(x64):
    matrix, right = system(0)
    found, count = solved(matrix, right)
    # One step more than in exact arithmetic, for the rounding of a condition of 100.
    assert count <= SIZE + 1
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-9)


def test_as_many_steps_as_different_eigenvalues(x64):
    _, right = system(1)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(SIZE, SIZE)))[0]
    matrix = turn * np.repeat([1.0, 7.0], SIZE // 2) @ turn.T
    found, count = solved(matrix, right, tolerance=1e-20)
    assert count == 2
    np.testing.assert_allclose(matrix @ found, right, atol=1e-9)


def test_the_inverse_as_preconditioner_needs_one_step(x64):
    matrix, right = system(2)
    found, count = solved(matrix, right, np.linalg.inv(matrix), tolerance=1e-16)
    assert count == 1
    np.testing.assert_allclose(matrix @ found, right, atol=1e-9)


def test_the_diagonal_as_preconditioner_helps_where_columns_differ_in_size(x64):
    matrix, right = system(3)
    sizes = np.geomspace(1, 1e4, SIZE)
    scaled = sizes[:, None] * matrix * sizes
    jacobi = np.diag(1 / np.diag(scaled))
    expected = np.linalg.solve(scaled, right)

    def error(inverse):
        found, _ = solved(scaled, right, inverse, steps=SIZE // 2)
        return (found - expected) @ scaled @ (found - expected)

    assert error(jacobi) < error(None) / 10


def test_steps_are_an_upper_bound_and_the_error_falls_with_each(x64):
    """Every step minimises the error in the norm of the matrix over a larger space."""
    matrix, right = system(4)
    expected = np.linalg.solve(matrix, right)
    errors = []
    for steps in range(SIZE + 1):
        found, count = solved(matrix, right, tolerance=1e-12, steps=steps)
        assert count <= steps
        errors.append((found - expected) @ matrix @ (found - expected))
    assert errors[0] == pytest.approx(expected @ matrix @ expected)
    assert (np.diff(errors) <= 1e-12).all() and errors[-1] < 1e-9 * errors[0]


@pytest.mark.parametrize("tolerance", [0.5, 1e-2, 1e-6])
def test_the_tolerance_is_of_the_squared_preconditioned_residual(tolerance, x64):
    matrix, right = system(5)
    inverse = np.diag(1 / np.diag(matrix))

    def size(x):
        residual = right - matrix @ x
        return residual @ inverse @ residual

    found, count = solved(matrix, right, inverse, tolerance=tolerance)
    before, fewer = solved(matrix, right, inverse, tolerance=0.0, steps=count - 1)
    assert fewer == count - 1
    assert size(found) <= tolerance * size(0 * right) < size(before)


def test_nothing_is_done_where_it_is_not_needed(x64):
    matrix, right = system(6)
    for given, needed in ((right, False), (0 * right, True)):
        found, count = solved(matrix, given, needed=needed)
        assert count == 0 and not found.any()
    assert solved(matrix, right)[1] > 0


def test_a_singular_operator_with_a_right_side_in_its_range(x64):
    """The Laplacian of a path, whose kernel are the constants."""
    path = np.diag(np.ones(SIZE - 1), 1)
    path = path + path.T
    matrix = np.diag(path.sum(axis=1)) - path
    right = system(7)[1]
    right = right - right.mean()
    found, count = solved(matrix, right)
    assert count <= SIZE
    wanted = np.linalg.pinv(matrix) @ right
    np.testing.assert_allclose(found - found.mean(), wanted, atol=1e-9)


def test_a_batch_stops_one_by_one(x64):
    easy = np.eye(SIZE), np.ones(SIZE)
    systems = [system(8), easy, system(9)]
    matrices, rights = (np.stack(part) for part in zip(*systems, strict=True))
    many = jax.vmap(lambda a, b: run(a, b, jnp.eye(SIZE), 1e-24, 50, True))
    found, counts = many(matrices, rights)
    for matrix, right, value, count in zip(
        matrices, rights, found, counts, strict=True
    ):
        alone, steps = solved(matrix, right)
        assert steps == count
        np.testing.assert_allclose(value, alone, rtol=1e-10)
    assert counts[1] == 1

"""The iteration on one level, against the semi-dual and the plan in NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from tests.transport import reference
from tests.transport.test_joint import problem_of
from trfjax.transport.cycle import column_scale, measure
from trfjax.transport.iteration import (
    STAGE_FACTOR,
    STAGE_START,
    first_stage,
    iterate,
    last_stage,
)
from trfjax.transport.kernel import kept_kernel, kept_reader
from trfjax.transport.problem import Settings, centre
from trfjax.transport.progress import Cycle, clouds_of, settled

EPSILON = 0.2
TIGHT = Settings(tolerance=1e-11, joint_tolerance=1e-11)


def problem(seed=0, n=40, m=30, *, a=None, b=None, spread=0.5):
    made = problem_of(
        *reference.labelled_clouds(seed, n, m, d=3, spread=spread),
        a=a,
        b=b,
        dtype=jnp.float64,
    )
    return dataclasses.replace(
        made,
        source=centre(made.source, made.source_weights),
        target=centre(made.target, made.target_weights),
    )


def semi_dual(problem, scale, offset):
    """F of the module's docstring, up to a constant."""
    logits = scale * np.asarray(problem.source) @ np.asarray(problem.target).T
    a, b, kept = (np.asarray(v) for v in (
        problem.source_weights, problem.target_weights, problem.target_weights > 0,
    ))  # fmt: skip
    rows = logsumexp(logits[:, kept] + offset[kept], axis=1)
    return b[kept] @ offset[kept] - a @ rows


run = jax.jit(iterate, static_argnames="settings")


def test_more_reads_never_lower_the_semi_dual(x64):
    given, scale = problem(), jnp.asarray(2 / EPSILON)
    first = first_stage(given, scale)
    first = last_stage(first, first.offset)
    values = [semi_dual(given, 2 / EPSILON, np.asarray(first.offset))]
    for reads in (1, 8, 20, 60, 200):
        few = dataclasses.replace(TIGHT, max_iterations=reads)
        end = run(given, scale, first, few)
        values.append(semi_dual(given, 2 / EPSILON, np.asarray(end.offset)))
    assert (np.diff(values) >= -1e-12).all() and values[-1] > values[0] + 1e-3
    best = reference.entropic_plan(
        given.source, given.target, given.source_weights, given.target_weights, EPSILON
    )[0]
    # At the maximum the columns are exact, so the plan is the solution.
    logits = 2 / EPSILON * np.asarray(given.source) @ np.asarray(given.target).T
    logits = logits + np.asarray(end.offset)
    plan = np.exp(logits - logsumexp(logits, axis=1, keepdims=True)) / 40
    np.testing.assert_allclose(plan, best, atol=1e-11)


@pytest.mark.parametrize(
    ("longest", "stages"),
    [(1e-3, 0), (50, 0), (51, 1), (199, 1), (201, 2), (3300, 4)],
)
def test_stages_before_the_last_one(longest, stages, x64):
    """As many as bring the largest exponent below `STAGE_START`."""
    made = problem(n=4, m=3)
    x, y = np.zeros((4, 3)), np.zeros((3, 3))
    x[1, 0], y[2, 1] = 2.0, 5.0
    made = dataclasses.replace(made, source=jnp.asarray(x), target=jnp.asarray(y))
    scale = longest / 10
    found = first_stage(made, jnp.asarray(scale))
    assert found.left == stages
    assert longest / STAGE_FACTOR**stages <= STAGE_START * (1 + 1e-12)
    # Its offset leaves the columns their weights where the source is one point at 0.
    square = np.sum(y**2, axis=1) * scale / STAGE_FACTOR**stages
    np.testing.assert_allclose(found.offset, np.log(1 / 3) - square / 2, rtol=1e-12)


def test_clouds_without_size_need_no_stage(x64):
    made = problem(n=4, m=3)
    flat = dataclasses.replace(
        made, source=jnp.zeros_like(made.source), target=jnp.zeros_like(made.target)
    )
    assert first_stage(flat, jnp.asarray(10.0)).left == 0


def test_the_last_stage_starts_where_it_is_told(x64):
    made, scale = problem(spread=8), jnp.asarray(2 / 0.05)
    first = first_stage(made, scale)
    assert first.left > 0
    offset = jnp.arange(30.0)
    last = last_stage(first, offset)
    assert last.left == 0
    np.testing.assert_array_equal(last.offset, offset)


@pytest.mark.parametrize("lost", [-800.0, 800.0])
def test_columns_that_had_underflowed_are_mended(lost, x64):
    """Offsets so far off that a column, or all others, are 0 in the kernel."""
    made, scale = problem(), jnp.asarray(2 / EPSILON)
    start = first_stage(made, scale)
    spoilt = last_stage(start, start.offset.at[4].add(lost))
    found, good = (run(made, scale, s, TIGHT) for s in (spoilt, start))
    assert found.error <= TIGHT.tolerance
    np.testing.assert_allclose(found.joint, good.joint, atol=1e-10)


@pytest.mark.parametrize(
    ("error", "change", "expected"),
    [(1e-4, 1e-5, True), (1e-3, 1e-4, True), (2e-3, 1e-5, False), (1e-4, 1e-3, False)],
)
def test_settled_is_both_the_marginals_and_the_joint(error, change, expected):
    nothing = jnp.zeros(())
    cycle = Cycle(nothing, nothing, jnp.float32(error), jnp.float32(change), nothing,
                  nothing, nothing)  # fmt: skip
    assert bool(settled(cycle, Settings())) is expected


def test_the_factor_of_columns():
    weights, sums = jnp.array([0.5, 0.25, 0.0, 0.25]), jnp.array([0.25, 0.5, 0.3, 0.0])
    found = np.asarray(column_scale(weights, sums))
    np.testing.assert_allclose(found[:3], [np.log(2), -np.log(2), 0], rtol=1e-6)
    assert np.isfinite(found[3]) and found[3] > 80  # an empty column rises at once


@pytest.mark.parametrize("limit", [1, 40 * 30 - 1, 40 * 30])
def test_the_kernel_is_kept_up_to_the_limit(limit, x64):
    clouds = clouds_of(problem(), jnp.ones(()), Settings(dense_limit=limit))
    assert clouds.kept is (limit >= 1200) and clouds.block == 256


def test_a_reading_says_what_the_plan_is(x64, rng):
    """Rows are exact, and everything else is read off that plan."""
    made, scale = problem(a=rng.random(40) + 0.1, b=rng.random(30)), 2 / EPSILON
    offset, move = rng.normal(size=30), 0.3 * rng.normal(size=30)
    kernel, _ = kept_kernel(
        made.source, made.source_weights, made.target, jnp.asarray(scale),
        jnp.asarray(offset), block=256,
    )  # fmt: skip
    before = rng.random((4, 3))
    found = measure(
        kept_reader(kernel, block=256), jnp.asarray(move), made, jnp.asarray(before)
    )
    x, y, a, b, ys, yt = map(np.asarray, (
        made.source, made.target, made.source_weights, made.target_weights,
        made.source_labels, made.target_labels,
    ))  # fmt: skip
    logits = scale * x @ y.T + offset + move
    plan = a[:, None] * np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    np.testing.assert_allclose(
        found.u[:, None] * np.asarray(kernel) * found.v, plan, rtol=1e-10
    )
    np.testing.assert_allclose(found.v, np.exp(move), rtol=1e-12)
    np.testing.assert_allclose(found.moved, plan @ yt, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(found.sums, plan.sum(axis=0), rtol=1e-10)
    joint = reference.label_joint(plan, ys.argmax(1), yt.argmax(1), 4, 3)
    np.testing.assert_allclose(found.joint, joint, atol=1e-12)
    np.testing.assert_allclose(found.error, np.abs(b - plan.sum(axis=0)).sum())
    np.testing.assert_allclose(found.change, np.abs(joint - before).sum())

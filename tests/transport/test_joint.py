import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport import reference
from trfjax.transport import joint
from trfjax.transport.gradient import solve_with_gradient
from trfjax.transport.joint import couple, couple_many
from trfjax.transport.problem import Problem, Settings

TIGHT = Settings(tolerance=1e-11, joint_tolerance=1e-11, block_rows=32)


def problem_of(x, ys, y, yt, *, a=None, b=None, classes=(4, 3), dtype=jnp.float32):
    def weights(w, n):
        w = np.ones(n) if w is None else np.asarray(w, float)
        return jnp.asarray(w / w.sum(), dtype)

    return Problem(
        jnp.asarray(x, dtype), jnp.asarray(y, dtype),
        weights(a, len(x)), weights(b, len(y)),
        jax.nn.one_hot(ys, classes[0], dtype=dtype),
        jax.nn.one_hot(yt, classes[1], dtype=dtype),
    )  # fmt: skip


def solved_by_hand(x, ys, y, yt, epsilon, a=None, b=None, classes=(4, 3)):
    a = np.ones(len(x)) if a is None else a
    b = np.ones(len(y)) if b is None else b
    plan, cost = reference.entropic_plan(x, y, a / a.sum(), b / b.sum(), epsilon)
    return reference.label_joint(plan, ys, yt, *classes), (plan * cost).sum()


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("settings", [TIGHT, dataclasses.replace(TIGHT, dense_limit=1)])
def test_joint_and_cost_equal_the_reference(x64, epsilon, settings):
    clouds = reference.labelled_clouds(0, 70, 50, spread=0.6)
    found = couple(
        problem_of(*clouds, dtype=jnp.float64), epsilon=epsilon, settings=settings
    )
    joint, cost = solved_by_hand(*clouds, epsilon)
    assert found.converged
    np.testing.assert_allclose(found.joint, joint, atol=1e-10)
    np.testing.assert_allclose(found.cost, cost, rtol=1e-9)


@pytest.mark.parametrize(
    "settings", [Settings(), Settings(dense_limit=1, block_rows=33)]
)
def test_float32_probabilities_agree_with_float64(settings):
    clouds = reference.labelled_clouds(1, 400, 300, spread=2, probs=True)
    settings = dataclasses.replace(settings, tolerance=1e-5, joint_tolerance=1e-6)
    found = couple(problem_of(*clouds), epsilon=0.1, settings=settings)
    joint, cost = solved_by_hand(*clouds, 0.1)
    assert found.converged
    # The tolerance on the marginals bounds the joint, cell by cell.
    np.testing.assert_allclose(found.joint, joint, atol=1e-5)
    np.testing.assert_allclose(found.cost, cost, rtol=1e-4)


def test_a_cost_of_thousands_of_epsilon_is_solved_in_float32():
    x, ys, y, yt = reference.labelled_clouds(2, 120, 120, d=3, spread=6)
    found = couple(problem_of(x, ys, y, yt), epsilon=0.1)
    assert ((x[:, None] - y[None]) ** 2).sum(-1).max() / 0.1 > 1e4
    assert found.converged
    with jax.enable_x64(True):
        tight = Settings(tolerance=1e-7, joint_tolerance=1e-7, max_iterations=20_000)
        double = problem_of(x, ys, y, yt, dtype=jnp.float64)
        best = solve_with_gradient(double, jnp.asarray(0.1), tight)
        scale, offset = np.asarray(best.log_scale), np.asarray(best.log_offset)
    # A plan of this form with the right marginals is the solution: there is only one.
    plan = np.exp(20 * x.astype(float) @ y.astype(float).T + scale[:, None] + offset)
    assert (
        np.abs(plan.sum(0) - 1 / 120).sum() + np.abs(plan.sum(1) - 1 / 120).sum() < 1e-6
    )
    joint = reference.label_joint(plan, ys, yt, 4, 3)
    wanted = reference.conditional_entropy(joint)
    got = reference.conditional_entropy(np.asarray(found.joint, np.float64))
    assert abs(got - wanted) < 1e-3


def test_two_by_two_has_a_closed_form(x64):
    x, y = np.array([[0.0], [1.0]]), np.array([[0.3], [1.4]])
    cost = (x - y.T) ** 2
    q = np.exp((cost[0, 1] + cost[1, 0] - cost[0, 0] - cost[1, 1]) / (2 * 0.2))
    labels = np.array([0, 1])
    problem = problem_of(x, labels, y, labels, classes=(2, 2), dtype=jnp.float64)
    found = couple(problem, epsilon=0.2, settings=TIGHT)
    np.testing.assert_allclose(found.joint[0, 0], q / (2 * (1 + q)), rtol=1e-10)


def test_infinite_epsilon_makes_the_labels_independent():
    x, ys, y, yt = reference.labelled_clouds(4, 60, 40)
    found = couple(problem_of(x, ys, y, yt), epsilon=1e8)
    p, q = np.bincount(ys, minlength=4) / 60, np.bincount(yt, minlength=3) / 40
    np.testing.assert_allclose(found.joint, np.outer(p, q), atol=1e-6)
    mean = ((x[:, None] - y[None]) ** 2).sum(-1).mean()
    np.testing.assert_allclose(found.cost, mean, rtol=1e-5)


def test_each_cloud_may_move_and_both_may_be_scaled():
    x, ys, y, yt = reference.labelled_clouds(5, 80, 80)
    still = couple(problem_of(x, ys, y, yt), epsilon=0.5)
    moved = couple(problem_of(x + 3, ys, y - 2, yt), epsilon=0.5)
    np.testing.assert_allclose(moved.joint, still.joint, atol=1e-5)
    scaled = couple(problem_of(2 * x, ys, 2 * y, yt), epsilon=2.0)
    np.testing.assert_allclose(scaled.joint, still.joint, atol=1e-5)
    np.testing.assert_allclose(scaled.cost, 4 * still.cost, rtol=1e-5)


def test_weights_and_padding(x64):
    rng = np.random.default_rng(6)
    x, ys, y, yt = reference.labelled_clouds(6, 40, 30)
    a, b = rng.random(40) + 0.1, rng.random(30) + 0.1
    joint, cost = solved_by_hand(x, ys, y, yt, 0.7, a, b)
    pad = lambda v, k: np.concatenate([v, np.zeros((k, *v.shape[1:]), v.dtype)])  # noqa: E731
    padded = problem_of(
        pad(x, 9), pad(ys, 9), pad(y, 5), pad(yt, 5), a=pad(a, 9), b=pad(b, 5),
        dtype=jnp.float64,
    )  # fmt: skip
    for settings in (TIGHT, dataclasses.replace(TIGHT, dense_limit=1)):
        found = couple(padded, epsilon=0.7, settings=settings)
        np.testing.assert_allclose(found.joint, joint, atol=1e-10)
        np.testing.assert_allclose(found.cost, cost, rtol=1e-9)


def test_merged_points_with_label_histograms_give_the_same_joint(x64):
    x, ys, y, yt = reference.labelled_clouds(7, 30, 30)
    twice = np.concatenate([x, x]), np.concatenate([ys, (ys + 1) % 4])
    plain = couple(
        problem_of(*twice, y, yt, dtype=jnp.float64), epsilon=0.5, settings=TIGHT
    )
    merged = problem_of(x, ys, y, yt, dtype=jnp.float64)
    histogram = (merged.source_labels + jnp.roll(merged.source_labels, 1, 1)) / 2
    merged = dataclasses.replace(merged, source_labels=histogram)
    found = couple(merged, epsilon=0.5, settings=TIGHT)
    np.testing.assert_allclose(found.joint, plain.joint, atol=1e-10)


def test_a_batch_equals_its_problems_one_by_one():
    problems = [
        problem_of(*reference.labelled_clouds(seed, 64, 64)) for seed in range(5)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *problems)
    together = jax.jit(lambda p: couple_many(p, epsilon=0.3))(stacked)
    for i, problem in enumerate(problems):
        alone = couple(problem, epsilon=0.3)
        # Both meet the tolerance of 1e-4 on the joint; they need not stop together.
        np.testing.assert_allclose(together.joint[i], alone.joint, atol=2e-5)


def test_ott_is_selectable_and_agrees():
    clouds = reference.labelled_clouds(8, 200, 150, probs=True)
    problem = problem_of(*clouds)
    ours = couple(problem, epsilon=0.1, settings=Settings(tolerance=1e-5))
    theirs = couple(
        problem, epsilon=0.1, settings=Settings(solver="ott", tolerance=1e-5)
    )
    assert ours.converged and theirs.converged
    np.testing.assert_allclose(ours.joint, theirs.joint, atol=2e-5)
    np.testing.assert_allclose(ours.cost, theirs.cost, rtol=1e-4)


def test_too_few_iterations_are_reported():
    clouds = reference.labelled_clouds(9, 100, 100, spread=4)
    found = couple(
        problem_of(*clouds), epsilon=0.01, settings=Settings(max_iterations=8)
    )
    assert not found.converged
    assert np.isfinite(found.joint).all()


@pytest.mark.parametrize(
    ("name", "value"), [("tolerance", 0.0), ("max_iterations", 0), ("block_rows", -1)]
)
def test_settings_refuse_what_cannot_be(name, value):
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})


def test_the_gradient_passes_a_batch_that_goes_one_by_one(monkeypatch):
    monkeypatch.setattr(joint, "TOGETHER_CPU", 1)  # as problems of 10,000 points do
    batch = jax.tree.map(
        lambda *leaves: jnp.stack(leaves),
        *(
            problem_of(*reference.labelled_clouds(s, 30, 20, probs=True))
            for s in (0, 1)
        ),
    )

    def cost(x):
        moved = dataclasses.replace(batch, source=x)
        found = couple_many(moved, epsilon=0.1)
        return jnp.where(found.converged.all(), found.cost.sum(), jnp.nan)

    slope = jax.grad(cost)(batch.source)
    alone = jax.grad(
        lambda x: (
            couple(
                dataclasses.replace(
                    jax.tree.map(lambda leaf: leaf[1], batch), source=x
                ),
                epsilon=0.1,
            ).cost
        )
    )(batch.source[1])
    np.testing.assert_allclose(slope[1], alone, rtol=1e-5, atol=1e-8)

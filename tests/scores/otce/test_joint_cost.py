import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment

from tests.transport import reference
from trfjax.scores.otce.joint_cost import jc_otce
from trfjax.scores.otce.label_distances import label_distances
from trfjax.scores.otce.otce import otce
from trfjax.scores.otce.sampling import draw_problems
from trfjax.transport.problem import Settings

TIGHT = Settings(tolerance=1e-11, joint_tolerance=1e-11)
LOGITS = {"feature_space": "logits", "key": 0}


def squared(x, y):
    return ((x[:, None] - y[None]) ** 2).sum(-1)


def side(x, labels):
    return jnp.asarray(x), jnp.asarray(labels), jnp.ones(len(x)), jnp.arange(len(x))


def distances(x, ys, y, yt, kind, *, classes=(4, 3), epsilon=0.1):
    problems, _ = draw_problems(
        side(x, ys), side(y, yt), jax.random.key(0),
        counts=(len(x), len(y)), repeats=1, classes=classes,
    )  # fmt: skip
    return np.asarray(label_distances(problems, kind, epsilon)[0])


@pytest.mark.parametrize(("solver", "relative"), [("fast", True), ("exact", False)])
def test_gamma_1_is_otce_to_the_bit(solver, relative):
    x, ys, y, yt = reference.labelled_clouds(0, 90, 90)
    options = {
        **LOGITS, "num_samples": 60, "repeats": 3, "solver": solver,
        "epsilon": 0.5, "relative_epsilon": relative,
    }  # fmt: skip
    plain = otce(x, ys, y, yt, **options)
    joint = jc_otce(x, ys, y, yt, gamma=1, label_distance="means", **options)
    for one, other in zip(*map(jax.tree.leaves, (plain, joint)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("kind", "gamma"), [("means", 0.0), ("gaussian", 0.3), ("exact", 0.9)]
)
def test_the_plan_is_that_of_the_extended_cost(x64, kind, gamma):
    x, ys, y, yt = reference.labelled_clouds(1, 60, 50, spread=0.5)
    x, y = x.astype(float), y.astype(float)
    labels = distances(x, ys, y, yt, kind)
    cost = gamma * squared(x, y) + (1 - gamma) * labels[ys][:, yt]
    plan = by_hand(cost, 0.5)
    joint = reference.label_joint(plan, ys, yt, 4, 3)
    found = jc_otce(
        x, ys, y, yt, gamma=gamma, label_distance=kind, epsilon=0.5,
        settings=TIGHT, **LOGITS,
    )  # fmt: skip
    np.testing.assert_allclose(found.label_joint, joint, atol=1e-9)
    np.testing.assert_allclose(found.domain_difference, (plan * cost).sum(), rtol=1e-8)
    assert found.score == pytest.approx(-reference.conditional_entropy(joint))


def by_hand(cost, epsilon):
    n, m = cost.shape
    f, g = np.zeros(n), np.zeros(m)
    for _ in range(5000):
        f = -epsilon * np.log(np.exp((g - cost) / epsilon).mean(1))
        g = -epsilon * np.log(np.exp((f[:, None] - cost) / epsilon).mean(0))
    return np.exp((f[:, None] + g - cost) / epsilon) / (n * m)


def test_two_classes_by_hand():
    # All points coincide but for their labels' clouds: only the labels decide.
    x = np.array([[0.0], [2.0], [10.0], [12.0]])
    y = x + 1
    labels = np.array([0, 0, 1, 1])
    wanted = np.array([[1.0, 121.0], [81.0, 1.0]])  # all classes have one variance
    for kind in ("means", "gaussian", "exact"):
        found = distances(x, labels, y, labels, kind, classes=(2, 2))
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    # At gamma 0 the plan couples like with like, so nothing is left to learn.
    result = jc_otce(x, labels, y, labels, gamma=0, **LOGITS)
    np.testing.assert_allclose(result.label_joint, np.eye(2) / 2, atol=1e-5)
    np.testing.assert_allclose(result.domain_difference, 1, rtol=1e-4)
    np.testing.assert_allclose(result.score, 0, atol=1e-4)


def test_label_distances_equal_their_definitions(x64):
    x, ys, y, yt = reference.labelled_clouds(2, 60, 50, d=3)
    gaussian, exact = (distances(x, ys, y, yt, k) for k in ("gaussian", "exact"))
    entropic = distances(x, ys, y, yt, "entropic", epsilon=0.1)
    for s, t in np.ndindex(4, 3):
        left, right = x[ys == s].astype(float), y[yt == t].astype(float)
        first, second = (np.cov(z.T, bias=True) for z in (left, right))
        root = sqrtm(first)
        cross = np.real(sqrtm(root @ second @ root))
        wanted = squared(left.mean(0)[None], right.mean(0)[None])[0, 0]
        wanted += np.trace(first + second - 2 * cross)
        np.testing.assert_allclose(gaussian[s, t], wanted, rtol=1e-6)
        assert exact[s, t] >= 0
        if len(left) == len(right):
            cost = squared(left, right)
            chosen = cost[linear_sum_assignment(cost)].mean()
            np.testing.assert_allclose(exact[s, t], chosen, rtol=1e-6)
        # The Gaussian distance is a lower bound of that of the clouds.
        assert entropic[s, t] >= 0.9 * wanted


@pytest.mark.parametrize("kind", ["means", "gaussian", "entropic"])
def test_a_cloud_is_at_no_distance_from_itself(kind):
    x, ys, _, _ = reference.labelled_clouds(3, 80, 10)
    found = distances(x, ys, x, ys, kind, classes=(4, 4))
    # Roundoff of float32 on covariances; the draws take other orders of the points.
    np.testing.assert_allclose(np.diag(found), 0, atol=2e-3)
    assert found[~np.eye(4, dtype=bool)].min() > 0.1


@pytest.mark.parametrize("kind", ["means", "gaussian", "entropic", "exact"])
def test_an_absent_class_changes_nothing(kind):
    x, ys, y, yt = reference.labelled_clouds(4, 60, 60)
    options = {**LOGITS, "label_distance": kind, "epsilon": 5.0}
    plain = jc_otce(x, ys, y, yt, **options)
    wide = jc_otce(
        x, ys, y, yt + 1, num_source_classes=6, num_classes=5, **options
    )  # fmt: skip
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(wide.draws))
    # 2e-4: the joint is settled to its tolerance of 1e-4 in both.
    np.testing.assert_allclose(wide.label_joint[:4, 1:4], plain.label_joint, atol=2e-4)
    np.testing.assert_allclose(
        wide.domain_difference, plain.domain_difference, rtol=1e-3
    )


def test_jit_ignored_rows_and_gradient():
    x, ys, y, yt = reference.labelled_clouds(5, 50, 40, d=4)
    ys = np.where(np.arange(50) % 7 == 0, 255, ys)
    options = {
        **LOGITS, "num_source_classes": 4, "num_classes": 3, "epsilon": 1.0,
        "relative_epsilon": True,
    }  # fmt: skip
    score = jax.jit(lambda x: jc_otce(x, ys, y, yt, **options).score)
    plain = jc_otce(x, ys, y, yt, **options)
    value, slope = jax.value_and_grad(score)(jnp.asarray(x))
    np.testing.assert_allclose(value, plain.score, atol=2e-3)
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0


def test_gamma_lies_between_0_and_1():
    with pytest.raises(ValueError, match=r"gamma: 1.5 is not a number in \[0, 1\]"):
        jc_otce(np.ones((2, 1)), [0, 1], np.ones((2, 1)), [0, 1], key=0, gamma=1.5)


def test_exact_label_distances_cannot_be_traced():
    x, ys, y, yt = reference.labelled_clouds(6, 20, 20)
    score = jax.jit(
        lambda x: jc_otce(x, ys, y, yt, label_distance="exact", **LOGITS).score
    )
    with pytest.raises(TypeError, match="label_distance='exact' runs on the host"):
        score(x)

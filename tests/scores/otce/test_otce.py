# pyright: reportArgumentType=false, reportCallIssue=false
import itertools
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport import reference
from trfjax.errors import ScoreWarning
from trfjax.scores.otce.draws import Drawing, score_draws
from trfjax.scores.otce.otce import otce
from trfjax.transport.gradient import solve_with_gradient
from trfjax.transport.problem import Problem, Settings

TIGHT = Settings(tolerance=1e-5, joint_tolerance=1e-6)
CLASSES = {"num_source_classes": 4, "num_classes": 3}
# One shape and one rule for nearly all calls: compiling is what takes the time.
PLAIN = {"feature_space": "logits", "key": 0}
LOGITS = {**PLAIN, **CLASSES, "settings": TIGHT}


def clouds(seed=0, n=60, m=60, **options):
    return reference.labelled_clouds(seed, n, m, **options)


def squared(x, y):
    return ((x[:, None].astype(float) - y[None]) ** 2).sum(-1)


def entropy(labels):
    p = np.bincount(labels) / len(labels)
    return -(p[p > 0] * np.log(p[p > 0])).sum()


def arrays_of(result):
    """Everything but the indices of the rows, which say where rows stood."""
    draws = result.draws
    return (
        result.score,
        result.domain_difference,
        result.label_joint,
        (draws.task_difference),
    )


def check_same(one, other, **tolerance):
    for a, b in zip(arrays_of(one), arrays_of(other), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


# Values that can be derived by hand.


def test_identical_clouds_with_the_same_labels_cost_nothing():
    x, ys, *_ = clouds(1)
    found = otce(x, ys, x, ys, solver="exact", **PLAIN)
    assert found.domain_difference == 0
    assert found.task_difference == 0
    assert found.score == 0


def test_crossed_labels_are_a_relabelling_and_cost_nothing():
    points = np.array([[0.0], [1.0]])
    found = otce(points, [0, 1], points, [1, 0], solver="exact", **PLAIN)
    assert (found.task_difference, found.domain_difference) == (0, 0)
    np.testing.assert_allclose(found.label_joint, [[0, 0.5], [0.5, 0]])


def test_a_large_epsilon_gives_the_entropy_of_the_target_and_the_mean_cost():
    x, ys, y, yt = clouds(2)
    found = otce(x, ys, y, yt, epsilon=1e8, **LOGITS)
    np.testing.assert_allclose(found.task_difference, entropy(yt), atol=1e-5)
    np.testing.assert_allclose(found.domain_difference, squared(x, y).mean(), rtol=1e-5)


def test_one_target_class_is_known_beforehand():
    x, ys, y, yt = clouds(2)
    found = otce(x, ys, y, np.zeros_like(yt), epsilon=1.0, **LOGITS)
    np.testing.assert_allclose(found.score, 0, atol=1e-7)


def test_one_source_class_says_nothing():
    x, ys, y, yt = clouds(2)
    found = otce(x, np.zeros_like(ys), y, yt, epsilon=1.0, **LOGITS)
    np.testing.assert_allclose(found.task_difference, entropy(yt), atol=1e-4)


# Independent solutions.


def test_probabilities_agree_with_the_reference():
    x, ys, y, yt = clouds(3, spread=2, probs=True)
    found = otce(x, ys, y, yt, **LOGITS | {"feature_space": "probs"})
    plan, cost = reference.entropic_plan(
        x, y, np.full(60, 1 / 60), np.full(60, 1 / 60), 0.1
    )
    joint = reference.label_joint(plan, ys, yt, 4, 3)
    assert found.converged and found.epsilon == np.float32(0.1)
    np.testing.assert_allclose(found.label_joint, joint, atol=1e-5)
    wanted = reference.conditional_entropy(joint)
    np.testing.assert_allclose(found.task_difference, wanted, atol=1e-4)
    np.testing.assert_allclose(found.domain_difference, (plan * cost).sum(), rtol=1e-4)


def test_raw_logits_at_a_small_epsilon_agree_with_the_reference():
    x, ys, y, yt = clouds(4, spread=6)
    assert squared(x, y).max() / 0.1 > 1e4
    found = otce(x, ys, y, yt, epsilon=0.1, **LOGITS)
    assert found.converged
    with jax.enable_x64(True):
        weights = jnp.full(60, 1 / 60)
        double = Problem(
            *(jnp.asarray(v, jnp.float64) for v in (x, y)), weights, weights,
            jax.nn.one_hot(ys, 4), jax.nn.one_hot(yt, 3),
        )  # fmt: skip
        tight = Settings(tolerance=1e-7, joint_tolerance=1e-7, max_iterations=20_000)
        best = solve_with_gradient(double, jnp.asarray(0.1), tight)
        scale, offset = np.asarray(best.log_scale), np.asarray(best.log_offset)
    # A plan of this form with the right marginals is the solution: there is only one.
    plan = np.exp(20 * x.astype(float) @ y.astype(float).T + scale[:, None] + offset)
    errors = (np.abs(plan.sum(axis) - 1 / 60).sum() for axis in (0, 1))
    assert sum(errors) < 1e-6
    wanted = reference.conditional_entropy(reference.label_joint(plan, ys, yt, 4, 3))
    np.testing.assert_allclose(found.task_difference, wanted, atol=1e-3)


def test_exact_is_the_best_permutation():
    x, ys, y, yt = clouds(5, n=6, m=6, classes=(2, 2))
    cost = squared(x, y)
    best = min(
        itertools.permutations(range(6)), key=lambda p: cost[range(6), list(p)].sum()
    )
    joint = np.zeros((2, 2))
    np.add.at(joint, (ys, yt[list(best)]), 1 / 6)
    found = otce(
        x, ys, y, yt, solver="exact", num_source_classes=2, num_classes=2, **PLAIN
    )
    np.testing.assert_allclose(found.label_joint, joint, atol=1e-6)
    mean = cost[range(6), list(best)].mean()
    np.testing.assert_allclose(found.domain_difference, mean, rtol=1e-5)
    assert found.solver == "exact" and found.epsilon == 0


def test_exact_refuses_sides_of_different_size():
    x, ys, y, yt = clouds(5, n=6, m=5)
    with pytest.raises(ValueError, match="exact"):
        otce(x, ys, y, yt, solver="exact", **LOGITS)


def test_ott_agrees():
    x, ys, y, yt = clouds(3, spread=2, probs=True)
    ours = otce(x, ys, y, yt, **LOGITS | {"feature_space": "probs"})
    theirs = otce(x, ys, y, yt, solver="ott", **LOGITS)
    assert theirs.converged and theirs.solver == "ott"
    np.testing.assert_allclose(theirs.label_joint, ours.label_joint, atol=2e-5)
    np.testing.assert_allclose(theirs.score, ours.score, atol=1e-4)


def test_the_terms_hang_together():
    x, ys, y, yt = clouds(6)
    found = otce(x, ys, y, yt, epsilon=1.0, num_samples=40, repeats=3, **LOGITS)
    joint, draws = np.asarray(found.label_joint, float), found.draws
    exact = otce(x, ys, y, yt, solver="exact", num_samples=40, repeats=3, **LOGITS)
    assert joint.min() >= 0 and abs(joint.sum() - 1) < 1e-5
    assert found.domain_difference >= exact.domain_difference
    assert 0 <= found.task_difference <= np.log(3)
    assert found.score == -found.task_difference
    assert found.marginal_error == draws.marginal_error.max()


# Draws.


def test_draws_are_without_replacement_and_means_are_over_draws():
    x, ys, y, yt = clouds(6)
    found = otce(x, ys, y, yt, epsilon=1.0, num_samples=40, repeats=3, **LOGITS)
    draws = found.draws
    assert found.repeats == 3 and found.num_samples == (40, 40)
    assert all(len(set(rows)) == 40 for rows in np.asarray(draws.target_index))
    assert len({tuple(sorted(rows)) for rows in np.asarray(draws.target_index)}) == 3
    task = np.asarray(draws.task_difference)
    np.testing.assert_allclose(found.score, -task.mean(), rtol=1e-6)
    np.testing.assert_allclose(
        found.standard_error, task.std(ddof=1) / np.sqrt(3), rtol=1e-4
    )
    for name in ("domain_difference", "label_joint"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(draws, name).mean(axis=0), rtol=1e-6
        )
    for joint, value in zip(np.asarray(draws.label_joint), task, strict=True):
        np.testing.assert_allclose(
            reference.conditional_entropy(joint.astype(float)), value, atol=1e-5
        )


def test_the_shares_of_the_drawn_pixels_add_up_to_the_joint():
    x, ys, y, yt = clouds(6)
    draws = otce(x, ys, y, yt, epsilon=1.0, num_samples=40, repeats=3, **LOGITS).draws
    for shares, rows, joint in zip(
        *map(np.asarray, (draws.target_shares, draws.target_index, draws.label_joint)),
        strict=True,
    ):
        summed = np.zeros((3, 4))
        np.add.at(summed, yt[rows], shares)
        np.testing.assert_allclose(summed.T, joint, atol=1e-4)
        np.testing.assert_allclose(shares.sum(axis=1), 1 / 40, atol=1e-4)


def test_the_rows_of_the_draws_count_all_rows_given():
    """Also those that are ignored, so that a caller can look them up."""
    x, ys, y, yt = clouds(6)
    ignored = yt.copy()
    ignored[::3] = 255
    found = otce(x, ys, y, ignored, epsilon=1.0, num_samples=40, repeats=3, **LOGITS)
    assert (ignored[np.asarray(found.draws.target_index)] != 255).all()


def test_the_key_decides():
    x, ys, y, yt = clouds(6)
    options = {"epsilon": 1.0, "num_samples": 40, "repeats": 3, **LOGITS}
    once, again = (otce(x, ys, y, yt, **options) for _ in range(2))
    check_same(once, again, rtol=0)
    check_same(once, otce(x, ys, y, yt, **options | {"key": jax.random.key(0)}), rtol=0)
    other = otce(x, ys, y, yt, **options | {"key": 1})
    assert (other.draws.target_index != once.draws.target_index).any()


def test_where_there_are_fewer_pixels_all_are_taken_once():
    x, ys, y, yt = clouds(6)
    found = otce(x, ys, y, yt, epsilon=1.0, **LOGITS)  # of 10,000, ten times
    assert found.num_samples == (60, 60) and found.repeats == 1
    assert sorted(np.asarray(found.draws.target_index[0])) == list(range(60))
    assert np.isnan(found.standard_error)
    one_side = otce(
        x[:40], ys[:40], y, yt, epsilon=1.0, num_samples=40, repeats=3, **LOGITS
    )
    assert one_side.num_samples == (40, 40) and one_side.repeats == 3


# Labels, shapes and dtypes.


def test_ignored_pixels_do_not_count_and_may_hold_nan():
    x, ys, y, yt = clouds(6, n=60, m=60)
    more_x = np.concatenate([np.full((7, 5), np.nan, np.float32), x])
    more_y = np.concatenate([y, np.full((4, 5), np.inf, np.float32)])
    options = {"epsilon": 1.0, **LOGITS}
    with_ignored = otce(
        more_x, np.r_[[255] * 7, ys], more_y, np.r_[yt, [255] * 4], **options
    )
    check_same(with_ignored, otce(x, ys, y, yt, **options), atol=1e-5, rtol=1e-5)


def test_ids_are_names():
    x, ys, y, yt = clouds(6)
    options = {**PLAIN, "epsilon": 1.0, "settings": TIGHT}
    renamed = otce(
        x, np.array([7, -3, 900, 12])[ys], y, np.array([26, 24, 33])[yt], **options
    )
    plain = otce(x, ys, y, yt, **options)
    assert renamed.source_classes == (-3, 7, 12, 900)
    assert renamed.target_classes == (24, 26, 33)
    np.testing.assert_allclose(renamed.score, plain.score, atol=1e-5)
    order = np.asarray(renamed.label_joint)[[1, 0, 3, 2]][:, [1, 0, 2]]
    np.testing.assert_allclose(order, plain.label_joint, atol=1e-5)


def test_absent_classes_change_nothing():
    x, ys, y, yt = clouds(6)
    options = {**PLAIN, "solver": "exact", "num_samples": 40, "repeats": 3}
    found = otce(x, ys, y, yt, num_source_classes=19, num_classes=11, **options)
    plain = otce(x, ys, y, yt, **options)
    assert found.label_joint.shape == (19, 11)
    assert (found.label_joint[4:] == 0).all() and (found.label_joint[:, 3:] == 0).all()
    np.testing.assert_allclose(found.score, plain.score, atol=1e-6)


def test_maps_are_rows():
    x, ys, y, yt = clouds(6)
    options = {"epsilon": 1.0, **LOGITS}
    maps = otce(
        x.reshape(2, 5, 6, 5), ys.reshape(2, 5, 6), y.reshape(3, 4, 5, 5),
        yt.reshape(3, 4, 5), **options,
    )  # fmt: skip
    check_same(maps, otce(x, ys, y, yt, **options), rtol=0)


def test_the_order_of_rows_does_not_matter():
    x, ys, y, yt = clouds(6)
    order = np.random.default_rng(0).permutation(60)
    options = {"epsilon": 1.0, **LOGITS}
    shuffled = otce(x[order], ys[order], y, yt, **options)
    check_same(shuffled, otce(x, ys, y, yt, **options), atol=1e-5, rtol=1e-5)


def test_inputs_are_left_alone():
    given = [array.copy() for array in clouds(6)]
    for array in given:
        array.setflags(write=False)
    otce(*given, epsilon=1.0, **LOGITS)
    for array, fresh in zip(given, clouds(6), strict=True):
        np.testing.assert_array_equal(array, fresh)


# Transformations.


def test_jit_equals_the_plain_call_and_weighs_ignored_pixels_with_nothing():
    x, ys, y, yt = map(jnp.asarray, clouds(6))
    options = {"epsilon": 1.0, **LOGITS}
    traced = jax.jit(lambda yt: otce(x, ys, y, yt, repeats=1, **options))
    check_same(traced(yt), otce(x, ys, y, yt, **options), atol=1e-5, rtol=1e-5)
    # Twenty ignored pixels: the plain call leaves them out, the traced one cannot.
    ignored = yt.at[40:].set(255)
    fewer = otce(x, ys, y[:40], yt[:40], **options)
    check_same(traced(ignored), fewer, atol=1e-5, rtol=1e-5)


def test_vmap_over_epsilon():
    x, ys, y, yt = map(jnp.asarray, clouds(6))
    # Not by the annotation of otce, which asks for a Python number.
    common = {
        "num_samples": 60, "repeats": 1, "relative_epsilon": False, "key": 0,
        "feature_space": "logits", "solver": "fast", "ignore": 255, "settings": TIGHT,
    }  # fmt: skip

    def score(epsilon):
        drawing = Drawing(epsilon=epsilon, **common)
        return score_draws((x, ys, 4), (y, yt, 3), drawing).score

    epsilons = [0.5, 1.0, 5.0]
    found = jax.vmap(score)(jnp.array(epsilons))
    alone = [otce(x, ys, y, yt, epsilon=e, **LOGITS).score for e in epsilons]
    np.testing.assert_allclose(found, alone, atol=1e-4)


def test_the_gradient_is_finite_and_points_up():
    x, ys, y, yt = map(jnp.asarray, clouds(6))
    options = {"epsilon": 1.0, **LOGITS}

    def score(x, y):
        return otce(x, ys, y, yt, **options).score

    before, (along_x, along_y) = jax.value_and_grad(score, argnums=(0, 1))(x, y)
    for slope in (along_x, along_y):
        assert np.isfinite(slope).all() and np.abs(slope).max() > 0
    assert score(x, y + 0.1 * along_y / jnp.linalg.norm(along_y)) > before


def test_a_relative_epsilon_does_not_know_the_unit_of_the_features():
    x, ys, y, yt = clouds(6)
    options = {"epsilon": 0.05, "relative_epsilon": True, **LOGITS}
    small, large = (otce(k * x, ys, k * y, yt, **options) for k in (1, 100))
    np.testing.assert_allclose(large.label_joint, small.label_joint, atol=1e-5)
    np.testing.assert_allclose(
        large.domain_difference, 1e4 * small.domain_difference, rtol=1e-4
    )
    np.testing.assert_allclose(small.epsilon, 0.05 * squared(x, y).mean(), rtol=1e-4)


# What is said when something is wrong.


def test_a_draw_that_does_not_converge_is_told():
    x, ys, y, yt = clouds(6, spread=4)
    few = Settings(tolerance=1e-7, joint_tolerance=1e-9, max_iterations=1)
    with pytest.warns(ScoreWarning, match=r"1 of 1 draws did not converge.*epsilon"):
        found = otce(x, ys, y, yt, epsilon=0.01, **LOGITS | {"settings": few})
    assert not found.converged and np.isfinite(found.score)
    assert "NOT converged" in str(found)


def test_str_says_it_all():
    x, ys, y, yt = clouds(6)
    text = str(otce(x, ys, y, yt, epsilon=1.0, **LOGITS))
    for part in ("OTCE -", "1 draws of 60 x 60", "logits", "epsilon 1", "W_T", "W_D"):
        assert part in text


NAN = np.where(np.arange(300).reshape(60, 5) == 37, np.nan, 1)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"target_features": np.ones((60, 4))}, ValueError, "widths 5 and 4 differ"),
        ({"feature_space": "probs"}, ValueError, "source_features: row 0 is not a"),
        ({"epsilon": 0.0}, ValueError, "epsilon: 0.0 is not positive"),
        ({"epsilon": -1.0}, ValueError, "epsilon: -1.0 is not positive"),
        ({"epsilon": float("nan")}, ValueError, "epsilon: nan is not"),
        ({"num_samples": 0}, ValueError, "num_samples: 0 is less than 1"),
        ({"repeats": -1}, ValueError, "repeats: -1 is less than 1"),
        ({"source_labels": np.full(60, 255)}, ValueError, "source_labels: nothing is"),
        ({"target_labels": np.full(60, 255)}, ValueError, "target_labels: nothing is"),
        ({"target_features": NAN}, ValueError, r"target_features: 1 .*index \(7, 2\)"),
        ({"source_features": NAN}, ValueError, "source_features: 1 values are NaN"),
        ({"source_labels": np.zeros(59, int)}, ValueError, "source_labels: shape"),
        ({"target_labels": np.full(60, 0.5)}, TypeError, "target_labels: labels must"),
        ({"source_features": np.ones(60)}, ValueError, r"source_features: expected"),
        ({"num_classes": 2}, ValueError, "target_labels: value 2 at index .* 0..1"),
    ],
)
def test_what_cannot_be_scored_is_refused(changes, error, message):
    x, ys, y, yt = clouds(6)
    arguments = {
        "source_features": x, "source_labels": ys,
        "target_features": y, "target_labels": yt, **LOGITS,
    }  # fmt: skip
    with pytest.raises(error, match=message):
        otce(**arguments | changes)


@pytest.mark.parametrize(("name", "value"), [("solver", "fsat"), ("feature_space", 3)])
def test_an_unknown_choice_is_refused(name, value):
    # Without the run-time type checks of the tests the message is ours.
    plain = getattr(otce, "__wrapped__", otce)
    with pytest.raises(Exception, match=re.escape(name)):
        plain(*clouds(6), **LOGITS | {name: value})


def test_probabilities_of_another_layer_get_a_hint():
    x, ys, y, yt = clouds(6)
    with pytest.raises(ValueError, match="softmax, or say what they are with"):
        otce(x, ys, y, yt, key=0)


def test_the_number_of_classes_is_needed_under_jit():
    x, ys, y, yt = map(jnp.asarray, clouds(6))
    with pytest.raises(ValueError, match=r"num_(source_)?classes: needed under jit"):
        jax.jit(lambda ys: otce(x, ys, y, yt, **PLAIN).score)(ys)


def test_exact_cannot_be_traced():
    x, ys, y, yt = map(jnp.asarray, clouds(6))
    with pytest.raises(TypeError, match="exact"):
        jax.jit(lambda x: otce(x, ys, y, yt, solver="exact", **LOGITS).score)(x)


def test_nothing_is_warned_about_when_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        otce(*clouds(6), epsilon=1.0, **LOGITS)

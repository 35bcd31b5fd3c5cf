"""What both sides of a coupling must be, and the options of drawing."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from trfjax.scores.otce.draws import Drawing
from trfjax.scores.otce.sides import check_sides
from trfjax.transport.problem import Settings


def made_up(n=12, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(d), n), np.arange(n) % 3, None


def check(source=None, target=None, *, space: Any = "probs", ignore=255):
    source, target = source or made_up(), target or made_up(10, seed=1)
    return check_sides(source, target, feature_space=space, ignore=ignore)


def changed(side, **values):
    names = ("features", "labels", "classes")
    return tuple(values.get(name, part) for name, part in zip(names, side, strict=True))


@pytest.mark.parametrize("space", ["probs", "logits", "penultimate", "levels"])
def test_rows_of_both_sides(space):
    source, target = check(space=space)
    assert source.features.shape == (12, 3) and target.features.shape == (10, 3)
    assert source.classes == target.classes == (0, 1, 2)
    np.testing.assert_allclose(source.features, made_up()[0], rtol=1e-6)


def test_each_side_has_its_own_labels():
    features, labels, _ = made_up()
    source, target = check(
        changed(made_up(), labels=10 * labels - 7),
        (features, np.where(labels == 1, 255, labels), 5),
    )
    assert source.classes == (-7, 3, 13) and target.classes == (0, 1, 2, 3, 4)
    np.testing.assert_array_equal(target.weights, labels != 1)
    other, _ = check(changed(made_up(), labels=np.where(labels == 1, 9, 0)), ignore=9)
    np.testing.assert_array_equal(other.weights, labels != 1)


def test_half_precision_sums_to_1_again():
    features = made_up()[0].astype(np.float16)
    source, _ = check(changed(made_up(), features=features))
    np.testing.assert_allclose(np.asarray(source.features).sum(axis=1), 1, rtol=1e-6)
    kept, _ = check(changed(made_up(), features=features), space="logits")
    np.testing.assert_array_equal(kept.features, features.astype(np.float32))


ROWS, IDS, _ = made_up()
NAN = np.where(np.arange(36).reshape(12, 3) == 7, np.nan, ROWS)


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            {"features": 2 * ROWS},
            ValueError,
            "_features: row 0 is not a prob.*Apply a sof",
        ),
        (
            {"features": ROWS - 1},
            ValueError,
            "_features: row 0 .*feature_space='logits'",
        ),
        ({"features": NAN}, ValueError, r"_features: 1 values are NaN .*\(2, 1\)"),
        ({"features": ROWS[:, 0]}, ValueError, r"_features: expected \(n, d\) rows"),
        ({"features": ROWS[1:]}, ValueError, r"_labels: shape \(12,\) does not fit"),
        ({"features": ROWS > 0.5}, ValueError, r"_features: row \d is not a prob"),
        ({"features": np.full((12, 3), "a")}, TypeError, "_features: dtype <U1"),
        ({"labels": IDS[1:]}, ValueError, r"_labels: shape \(11,\) does not fit"),
        ({"labels": IDS + 0.5}, TypeError, "_labels: labels must be integers"),
        ({"labels": np.full(12, 255)}, ValueError, "_labels: nothing is left to score"),
        ({"classes": 2}, ValueError, r"_labels: value 2 .* outside 0\.\.1"),
        ({"classes": 0}, ValueError, "num_classes: 0 is less than 1"),
    ],
)
def test_a_side_that_is_not_what_it_is_called_is_refused(side, values, error, message):
    sides = {"source": made_up(), "target": made_up()}
    sides[side] = changed(sides[side], **values)
    name = side if message.startswith("_") else ""
    with pytest.raises(error, match=name + message):
        check(sides["source"], sides["target"])


def test_widths_that_differ_are_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"widths 3 and 5 differ; .* same network"):
        check(target=made_up(10, 5))


GOOD = Drawing(
    num_samples=10, repeats=2, epsilon=0.1, relative_epsilon=False, key=0,
    feature_space="probs", solver="fast", ignore=255,
)  # fmt: skip


@pytest.mark.parametrize("epsilon", [0.0, -0.1, float("nan"), float("inf")])
def test_an_epsilon_that_regularises_nothing_is_refused(epsilon):
    with pytest.raises(
        ValueError, match=f"epsilon: {epsilon} is not (positive|finite)"
    ):
        dataclasses.replace(GOOD, epsilon=epsilon)


@pytest.mark.parametrize("solver", ["sinkhorn", "Fast", ""])
def test_an_unknown_solver_is_refused_with_those_there_are(solver):
    drawing = dataclasses.replace(GOOD)
    object.__setattr__(drawing, "solver", solver)  # as without type checks
    with pytest.raises(
        ValueError, match=f"solver: '{solver}' is none of 'fast', 'ott',"
    ):
        drawing.__post_init__()


@pytest.mark.parametrize(
    ("solver", "used"), [("fast", "fast"), ("ott", "ott"), ("exact", "fast")]
)
def test_the_rule_of_the_entropic_solver(solver, used):
    rule = Settings(tolerance=1e-5)
    drawing = dataclasses.replace(GOOD, solver=solver, settings=rule)
    assert drawing.rule == dataclasses.replace(rule, solver=used)
    assert dataclasses.replace(GOOD, solver=solver).rule == Settings(solver=used)

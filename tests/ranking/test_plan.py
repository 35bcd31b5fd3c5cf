import dataclasses
import inspect

import numpy as np
import pytest

from tests.ranking.saved import plan
from trfjax.ranking.plan import DRAWN, Plan, check_metrics, pixels_of, spaces_of
from trfjax.scores import SCORES


def chosen(*metrics, pixels=None, solver="fast", strategy="uniform", spaces=None):
    return pixels_of(metrics, pixels, solver=solver, strategy=strategy, spaces=spaces)


def test_all_pixels_where_the_score_is_a_sum_over_them():
    found = chosen(*SCORES)
    for name, spec in SCORES.items():
        assert found[name] == ("all" if spec.of_sums is not None else DRAWN)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"otce": "all", "leep": "all", "gbc": DRAWN}),
        ({"pixels": 500}, {"otce": 500, "leep": 500, "gbc": 500}),
        ({"solver": "ott"}, {"otce": DRAWN, "leep": "all", "gbc": DRAWN}),
        ({"solver": "exact"}, {"otce": DRAWN, "leep": "all", "gbc": DRAWN}),
        ({"strategy": "balanced"}, {"otce": DRAWN, "leep": DRAWN, "gbc": DRAWN}),
        (
            {"spaces": {"otce": "levels"}},
            {"otce": DRAWN, "leep": "all", "gbc": DRAWN},
        ),
    ],
)
def test_what_asks_for_draws(options, expected):
    assert chosen("otce", "leep", "gbc", **options) == expected


@pytest.mark.parametrize(
    ("metrics", "options", "message"),
    [
        (["otce"], {"pixels": "all", "solver": "ott"}, "solver: 'ott' needs draws of"),
        (["otce"], {"pixels": "all", "strategy": "balanced"}, "strategy: 'balanced' n"),
        (["otce", "gbc"], {"pixels": "all"}, "metrics: 'gbc' is no sum .*None to ch"),
        (
            ["otce"], {"pixels": "all", "spaces": {"otce": "levels"}},
            "metrics: 'otce' on levels needs draws .* give a number, or None",
        ),
    ],
)  # fmt: skip
def test_all_pixels_for_what_only_draws_can_do_is_refused(metrics, options, message):
    with pytest.raises(ValueError, match=message):
        chosen(*metrics, **options)


def test_the_space_of_every_score():
    own = {name: SCORES[name].space for name in SCORES}
    assert spaces_of(tuple(SCORES), None) == own
    asked = spaces_of(("otce", "leep", "h_score"), "logits")
    assert asked == {"otce": "logits", "leep": "probs", "h_score": "logits"}
    mixed = spaces_of(("otce", "h_score"), {"h_score": "probs"})
    assert mixed == {"otce": "probs", "h_score": "probs"}
    named = spaces_of(("otce", "otce@logits"), "penultimate")
    assert named == {"otce": "penultimate", "otce@logits": "logits"}


@pytest.mark.parametrize(
    ("metrics", "features", "message"),
    [
        (
            ["otce"],
            {"leep": "probs"},
            "features: 'leep' is not among the metrics asked",
        ),
        (["leep"], {"leep": "logits"}, "features: 'leep' reads 'probs' and no other"),
        (["nce"], {"nce": "penultimate"}, "features: 'nce' reads 'probs' and no other"),
        (
            ["energy"],
            {"energy": "probs"},
            "features: 'energy' reads 'logits' and no oth",
        ),
    ],
)
def test_spaces_that_are_not_to_be_had(metrics, features, message):
    with pytest.raises(ValueError, match=message):
        spaces_of(metrics, features)


def test_words_that_are_none_are_refused_without_type_checks_too():
    pixels, spaces = (inspect.unwrap(f) for f in (pixels_of, spaces_of))
    with pytest.raises(
        ValueError, match="pixels: 'some' is neither a number nor 'all'"
    ):
        pixels(["otce"], "some", solver="fast", strategy="uniform")
    with pytest.raises(ValueError, match="features: 'pixels' is none of probs, logits"):
        spaces(["otce"], {"otce": "pixels"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loop", "metrics: 'loop' is not a score; available: otce, jc_otce"),
        ("", "metrics: '' is not a score"),
        ("OTCE", "metrics: 'OTCE' is not a score"),
        ("otce@pixels", "metrics: otce@pixels: 'pixels' is none of probs"),
        ("leep@logits", "metrics: leep@logits: 'leep' reads 'probs' and no other"),
        ("@logits", "metrics: '@logits' is not a score"),
    ],
)
def test_names_that_are_no_scores(name, message):
    with pytest.raises(ValueError, match=message):
        check_metrics(["otce", name])
    assert check_metrics(["otce", "h_score@logits"]) == ("otce", "h_score@logits")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ()}, "metrics: none given; available: otce"),
        ({"pixels": {"otce": 0}}, "pixels: 0 is less than 1"),
        ({"repeats": 0}, "repeats: 0 is less than 1"),
        ({"atoms": -1}, "atoms: -1 is less than 1"),
        ({"bootstrap": -1}, "bootstrap: -1 is less than 0"),
        ({"epsilon": 0.0}, "epsilon: 0.0 is not positive"),
        ({"epsilon": float("nan")}, "epsilon: nan is not finite"),
    ],
)
def test_a_plan_that_cannot_be_followed(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(plan("otce"), **changes)


def test_a_plan_knows_its_scores():
    found = plan("otce", "gbc", "leep")
    assert [spec.name for spec in found.specs] == ["otce", "gbc", "leep"]
    assert [spec.name for spec in found.whole] == ["otce", "leep"]
    assert [spec.name for spec in found.drawn] == ["gbc"]
    assert found.kept == 2 * DRAWN
    few = plan("otce", "gbc", pixels=300, repeats=7)
    assert few.kept == 2100 and not few.whole
    instead = found.drawing("otce")
    assert [spec.name for spec in instead.drawn] == ["otce", "gbc"]
    assert found.pixels["otce"] == "all"  # the plan itself stays


def test_settings_are_those_a_function_takes():
    found = plan("otce", "gbc", pixels=300, epsilon=0.5, seed=7)
    spec = SCORES["otce"]
    settings = found.settings(spec, spec.settings, "logits")
    assert settings == {
        "num_samples": 300, "repeats": 2, "epsilon": 0.5, "relative_epsilon": False,
        "key": 7, "feature_space": "logits", "solver": "fast",
    }  # fmt: skip
    assert found.settings(SCORES["gbc"], SCORES["gbc"].settings, "probs") == {}


def test_a_plan_is_a_value_that_goes_into_a_key():
    one, other = plan("otce", "leep"), plan("otce", "leep")
    assert one == other and dataclasses.asdict(one) == dataclasses.asdict(other)
    assert isinstance(one, Plan) and one != plan("leep", "otce")
    assert np.all([dataclasses.replace(one, seed=1) != one])

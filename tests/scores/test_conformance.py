"""What every score must bear, by being in SCORES: bad shapes, odd types, any scale.

Laws between values are in test_check.py; here is what comes in.
"""

import warnings

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from trfjax.errors import ScoreWarning
from trfjax.scores import SCORES
from trfjax.scores.example import TARGET_SIDE, example_case

NAMES = [name for name, spec in SCORES.items() if "network" not in spec.inputs]
LABELLED = [name for name in NAMES if SCORES[name].labels == "ids"]
ONE_SIDED = [name for name in LABELLED if not SCORES[name].two_sided]
FLOATS = ("features", "logits", "probs", "levels")
FLOAT_ROWS = [f"{side}_{noun}" for side in ("source", "target")
              for noun in ("features", "logits", "levels")]  # fmt: skip


def is_float(name):
    return name.rsplit("_", 1)[-1] in FLOATS


def scored(name, case, labels=None, **settings):
    spec = SCORES[name]
    labels = case.labels if labels is None else labels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScoreWarning)
        return float(spec(case.arrays, labels, **{**spec.trial(), **settings}))


def close(name, found, expected, factor=1.0):
    rtol = factor * max(SCORES[name].rtol, 1e-6)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("name", LABELLED)
def test_labels_of_another_length_are_refused(name):
    case = example_case()
    with pytest.raises((ValueError, TypeError), match=r"labels|features|probs|weights"):
        scored(name, case, case.labels[:-1])


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("wrong", ["empty", "flat", "words", "complex", "nothing left"])
def test_arrays_that_are_none_are_refused(name, wrong):
    case, labels = example_case(), None
    change = {
        "empty": lambda a: a[:0],
        "flat": lambda a: a[..., None, None],
        "words": lambda a: np.full(a.shape, "a"),
        "complex": lambda a: a + 1j,
    }
    if wrong == "nothing left":
        labels = np.full(len(case.labels), 255)
    else:
        names = [n for n in SCORES[name].inputs if n in TARGET_SIDE and "im" not in n]
        case = case.map(change[wrong], *names)
    if wrong == "empty":
        labels = case.labels[:0]
    with pytest.raises((ValueError, TypeError)):
        scored(name, case, labels)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_by_name(name, bad):
    for array in filter(is_float, SCORES[name].inputs):
        case = example_case()
        case.arrays[array][3, 1] = bad
        with pytest.raises(ValueError, match=r"NaN or infinite.*index"):
            scored(name, case)


@pytest.mark.parametrize("name", LABELLED)
def test_one_class_is_undefined_or_a_number(name):
    case = example_case()
    try:
        found = scored(name, case, np.zeros(len(case.labels), int))
    except ValueError:
        return  # with a reason
    assert not np.isinf(found)


@pytest.mark.parametrize("name", LABELLED)
def test_classes_without_an_instance_change_nothing(name):
    case = example_case()
    expected = scored(name, case, num_classes=case.num_classes)
    close(name, scored(name, case, num_classes=case.num_classes + 3), expected)
    close(name, scored(name, case, 7 * case.labels - 5), expected)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize(
    "kind", ["int8", "uint8", "int16", "uint32", "int64", "uint64"]
)
def test_integers_of_every_width_are_integers(name, kind):
    case = example_case()
    settings = {"num_classes": np.dtype(kind).type(case.num_classes)}
    expected = scored(name, case, num_classes=case.num_classes)
    ids = [n for n in SCORES[name].inputs if not is_float(n)]
    narrow = case.map(lambda a: a.astype(kind), *ids)
    assert scored(name, narrow, case.labels.astype(kind), **settings) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_read_as_it_is(name, kind):
    floats = [n for n in SCORES[name].inputs if is_float(n)]
    half = example_case().map(lambda a: a.astype(kind), *floats)
    full = half.map(lambda a: a.astype(np.float32), *floats)
    even = [n for n in floats if n.endswith("probs")]
    full = full.map(lambda a: a / a.sum(axis=1, keepdims=True), *even)
    close(name, scored(name, half), scored(name, full), factor=10)


@pytest.mark.parametrize("name", LABELLED)
def test_features_without_content_give_no_surprise(name):
    case, n = example_case(), 48
    inputs = [k for k in SCORES[name].inputs if is_float(k) and k in TARGET_SIDE]
    for change in (
        lambda a: np.repeat(a[:1], n, axis=0),  # constant
        lambda a: np.repeat(a[: n // 8], 8, axis=0),  # duplicated
        lambda a: np.concatenate([a, a], axis=1) / (2 if a[0].sum() == 1 else 1),
    ):
        try:
            found = scored(name, case.map(change, *inputs))
        except ValueError:
            continue  # with a reason
        assert not np.isinf(found)


@pytest.mark.parametrize("name", LABELLED)
def test_fewer_instances_than_features(name):
    case = example_case(12, 30, 2)
    try:
        found = scored(name, case)
    except ValueError:
        return  # with a reason
    low, high = SCORES[name].bounds(case.labels, case.arrays)
    assert np.isnan(found) or low - 1e-3 <= found <= high + 1e-3


@pytest.mark.parametrize(
    "name", [name for name in NAMES if "scale" in SCORES[name].laws]
)
@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e-10, 1e10, 1e15, 1e30])
def test_a_score_that_does_not_change_with_the_scale_does_not_at_any(name, scale):
    inputs = [k for k in SCORES[name].inputs if is_float(k)]
    case = example_case()
    scaled = case.map(lambda a: (a.astype(np.float64) * scale).astype("f4"), *inputs)
    close(name, scored(name, scaled), scored(name, case), factor=10)


UNBOUNDED = [n for n in NAMES if set(FLOAT_ROWS) & set(SCORES[n].inputs)]


@pytest.mark.parametrize("name", UNBOUNDED)
@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e15, 1e30])
def test_features_of_any_scale_have_a_score_within_its_bounds(name, scale):
    """Squares of them are beyond float32; some scores were NaN there, or another."""
    case = example_case()
    scaled = case.map(lambda a: (a.astype(float) * scale).astype("f4"), *FLOAT_ROWS)
    found = scored(name, scaled)
    low, high = SCORES[name].bounds(case.labels, case.arrays)
    assert np.isfinite(found) and low - 1e-5 <= found <= high + 1e-5


@pytest.mark.parametrize("name", ["gbc", "sfda", "transrate"])
def test_what_knows_a_unit_forgets_it_at_a_large_scale(name):
    """Their floor, shrinkage and distortion vanish beside such features."""
    values = []
    for scale in (1e4, 1e15, 1e30):
        case = example_case()
        scaled = case.map(lambda a, s=scale: (a.astype(float) * s).astype("f4"),
                          "target_features")  # fmt: skip
        values.append(scored(name, scaled))
    np.testing.assert_allclose(values, values[0], rtol=1e-3)


@pytest.mark.parametrize("name", ["knn", "neighbourhood_density"])
def test_directions_do_not_know_the_size_of_a_row(name):
    case = example_case()
    size = 10.0 ** np.random.default_rng(0).integers(-25, 25, size=(48, 1))
    scaled = case.map(
        lambda a: (a.astype(float) * size).astype("f4"), "target_features"
    )
    settings = {"cosine": True} if name == "knn" else {}
    close(name, scored(name, scaled, **settings), scored(name, case, **settings), 10)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("setting", ["dtype", "rank", "nans"])
def test_the_settings_of_careful_callers_are_borne(name, setting):
    case = example_case()
    context = {
        "dtype": lambda: jax.numpy_dtype_promotion("strict"),
        "rank": lambda: jax.numpy_rank_promotion("raise"),
        "nans": lambda: jax.debug_nans(True),
    }[setting]
    expected = scored(name, case)
    with context():
        assert scored(name, case) == expected


EXACT = [n for n in ONE_SIDED if "duplicates" in SCORES[n].laws and SCORES[n].of_sums]


@pytest.mark.parametrize("name", EXACT)
def test_a_million_rows_give_what_a_thousand_do(name):
    """Every instance a thousand times: the same number, but for rounding."""
    case = example_case(1000)
    many = case.rows(np.repeat(np.arange(1000), 1000))
    found, expected = scored(name, many), scored(name, case)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6, err_msg=name)


def test_a_million_rows_of_logme_agree_with_float64(rng):
    labels = rng.integers(0, 3, 300_000)
    rows = rng.normal(size=(len(labels), 3)) + np.eye(3)[labels] + 30
    found = SCORES["logme"]({"target_features": rows}, labels)
    with jax.enable_x64(True):
        few = slice(0, 60_000)  # below the number that is added up on the host
        expected = SCORES["logme"]({"target_features": rows[few]}, labels[few])
        exact = SCORES["logme"]({"target_features": rows}, labels)
    np.testing.assert_allclose(found, exact, rtol=1e-4)
    np.testing.assert_allclose(found, expected, atol=0.02)  # another part of the data


def test_counts_do_not_stop_at_2_to_the_24():
    """In float32 a cell stops at 16,777,216; under jit too."""
    n = 2**24 + 5_000_000
    source = np.zeros(n, np.uint8)
    target = (np.arange(n) % 8 == 0).astype(np.uint8)
    share = target.mean()
    right = share * np.log(share) + (1 - share) * np.log1p(-share)
    spec = SCORES["nce"]
    found = spec({"target_predictions": source}, target)
    assert float(found) == pytest.approx(right, rel=1e-6)
    traced = jax.jit(
        lambda s, t: spec.function(s, t, num_classes=2, num_source_classes=1)
    )
    assert float(traced(jnp.asarray(source), jnp.asarray(target))) == pytest.approx(
        right, rel=1e-5
    )

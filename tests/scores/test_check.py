import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trfjax.scores import DEFAULT, SCORES
from trfjax.scores.bounds import unbounded
from trfjax.scores.check import check_score
from trfjax.scores.example import example_case
from trfjax.scores.leep import leep
from trfjax.scores.nce import nce
from trfjax.scores.spec import ScoreSpec, laws

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=4, deadline=None, derandomize=True, database=None)
TARGET_ONLY = [name for name, spec in SCORES.items() if not spec.two_sided]
RANKED = [name for name in TARGET_ONLY if name in (*DEFAULT, "shrunk_h_score")]
FURTHER = [name for name in TARGET_ONLY if name not in RANKED]
TWO_SIDED = [name for name, spec in SCORES.items() if spec.two_sided]


@pytest.mark.parametrize("name", RANKED)
@given(seed=seeds)
@few
def test_default_scores_pass_the_battery(name, seed):
    check_score(name, seed=seed)


@pytest.mark.parametrize("name", RANKED)
def test_default_scores_pass_it_in_float64(name, x64):
    check_score(name)


@pytest.mark.parametrize("name", FURTHER)
def test_further_scores_pass_the_battery(name):
    check_score(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", FURTHER)
def test_further_scores_pass_it_in_float64_and_on_other_data(name, x64):
    check_score(name)
    with jax.enable_x64(False):
        check_score(name, seed=1)


@pytest.mark.parametrize("name", TWO_SIDED)
def test_two_sided_scores_pass_the_battery(name):
    check_score(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO_SIDED)
def test_two_sided_scores_pass_it_in_float64(name, x64):
    check_score(name)


def test_fewer_instances_than_features():
    case = example_case(20, 30, 2, seed=1)
    # 1e-4: repeated instances are fitted without error, so the search ends at its low
    # end, where the logarithm is of a small misfit.
    check_score("logme", case.arrays, case.labels, rtol=1e-4)


def test_given_data_may_have_any_ids_and_ignored_rows():
    case = example_case(seed=3)
    labels = 10 * case.labels - 4
    labels[:4] = 255
    check_score(
        "nce", {"target_predictions": 5 - 2 * case.arrays["target_predictions"]}, labels
    )
    with pytest.raises(ValueError, match="target_labels: 1 classes"):
        check_score("nce", {"target_predictions": [0, 1]}, [3, 3])


def spoilt(function, **changes):
    return dataclasses.replace(SCORES["leep"], function=function, **changes)


def keeps_first(probs, labels, **settings):
    first = jnp.asarray(probs).reshape(-1)[0]
    return leep(probs, labels, **settings) * (1 + 1e-2 * first)


def counts_ids(probs, labels, **settings):
    return leep(probs, labels, **settings) / (settings["num_classes"] or 3)


def writes(probs, labels, **settings):
    score = leep(probs, labels, **settings)
    if isinstance(probs, np.ndarray) and probs.flags.writeable:
        probs[0] = 1 / probs.shape[1]
    return score


def host_only(probs, labels, **settings):
    return leep(np.asarray(probs), np.asarray(labels), **settings)


def without_weights(probs, labels, *, weights=None, **settings):
    return leep(probs, labels, **settings)


def root_of_zero(probs, labels, **settings):
    return leep(probs, labels, **settings) + 0 * jnp.sqrt(jnp.nan_to_num(probs)).sum()


@pytest.mark.parametrize(
    ("function", "law"),
    [
        (lambda p, y, **s: -leep(p, y, **s), "bounds"),
        (lambda p, y, **s: leep(p, y, **s)[None], "scalar"),
        (keeps_first, "order|ignored rows"),
        (counts_ids, "unused target ids"),
        (writes, "inputs unchanged|idempotent"),
        (without_weights, "weights are multiplicities"),
        (root_of_zero, "finite gradient"),
    ],
)
def test_a_broken_law_is_named(function, law):
    with pytest.raises(AssertionError, match=f"leep: ({law})"):
        check_score(spoilt(function, rtol=1e-5))


def test_a_score_on_the_host_says_so():
    with pytest.raises(jax.errors.TracerArrayConversionError):
        check_score(spoilt(host_only))
    check_score(spoilt(host_only, transforms=False, differentiable=False))


def test_directions_are_checked():
    wrong = dataclasses.replace(SCORES["nce"], merging_sources="not lower")
    with pytest.raises(AssertionError, match="nce: merging source classes"):
        check_score(wrong)


def nearest_entropy(source_features, source_labels, features, labels, **settings):
    """NCE under the map of every target instance to its nearest source instance."""
    gaps = jnp.asarray(features).reshape(-1, 1, jnp.shape(features)[-1])
    gaps = jnp.nan_to_num(gaps) - jnp.asarray(source_features)
    nearest = jnp.argmin(jnp.sum(gaps**2, axis=-1), axis=1)
    guesses = jnp.asarray(source_labels)[nearest].reshape(jnp.shape(labels))
    return nce(guesses, labels, **settings)


def test_a_two_sided_score_fits():
    spec = ScoreSpec(
        name="nearest",
        function=nearest_entropy,
        inputs=("source_features", "source_labels", "target_features"),
        title="Nearest",
        unit="nats",
        bounds=SCORES["nce"].bounds,
        laws=laws("source_names", "rotation", "shift", "scale"),
        merging_targets="not lower",
        merging_sources="not higher",
        differentiable=False,
    )
    assert spec.two_sided
    check_score(spec)


def test_scores_are_called_by_name():
    case = example_case()
    for name in TARGET_ONLY:
        spec = SCORES[name]
        got = spec(case.arrays, case.labels, num_classes=3)
        arrays = [case.arrays[side] for side in spec.inputs]
        if spec.labels != "none":
            arrays.append(case.labels)
        same = spec.function(*arrays)
        same = getattr(same, "score", same)  # some return what led to it besides
        np.testing.assert_allclose(got, same, rtol=1e-6)
    with pytest.raises(ValueError, match="unknown score 'loop'; available: otce, jc_"):
        check_score("loop")
    with pytest.raises(ValueError, match="leep: needs target_probs; got target_feat"):
        features = {"target_features": case.arrays["target_features"]}
        SCORES["leep"](features, case.labels)


def test_a_score_of_a_network_is_no_function_of_arrays():
    spec = dataclasses.replace(SCORES["leep"], inputs=("network", "target_data"))
    with pytest.raises(ValueError, match="leep: reads a network"):
        check_score(spec)


def spread(target_logits):
    """A score without labels: the mean largest logit."""
    rows = jnp.asarray(target_logits).reshape(-1, np.shape(target_logits)[-1])
    return rows.max(axis=1).mean()


def test_a_score_without_labels_fits():
    spec = ScoreSpec(
        name="spread",
        function=spread,
        inputs=("target_logits",),
        title="Spread",
        unit="",
        bounds=unbounded,
        labels="none",
        laws=laws("source_names", "duplicates"),
        weighted=False,
    )
    check_score(spec)

"""What no score takes: each refusal names the argument and says what would work."""

import re
import warnings

import numpy as np
import pytest

from trfjax.errors import ScoreWarning
from trfjax.scores import SCORES
from trfjax.scores.example import example_case

NAMES = [name for name, spec in SCORES.items() if "network" not in spec.inputs]
LABELLED = [name for name in NAMES if SCORES[name].labels == "ids"]
WEIGHTED = [name for name in NAMES if SCORES[name].weighted]
OF_IDS = ("nce", "max_h_score")  # of two labellings of the same instances
OF_ROWS = [name for name in NAMES if name not in OF_IDS]
# What a score calls its array, and its labels, where it is not "features", "labels".
ARRAY = {
    "otce": "target_features", "jc_otce": "target_features", "leep": "source_probs",
    "nce": "source_labels", "max_h_score": "inputs", "ccfv": r"layers\[0\]",
    "energy": "source_logits", "nuclear_norm": "probs",
}  # fmt: skip
LABELS = dict.fromkeys(("otce", "jc_otce", "leep", "nce"), "target_labels")


def the_input(name):
    """The array of the target that a score reads, by the name of `ScoreSpec.inputs`."""
    inputs = SCORES[name].inputs
    return next(i for i in inputs if i.startswith("target_") and "images" not in i)


def refused(name, error, message, *, change=None, labels=None, **settings):
    spec, case = SCORES[name], example_case()
    if change is not None:
        case = case.map(change, the_input(name))
    labels = case.labels if labels is None else labels
    with warnings.catch_warnings(), pytest.raises(error, match=message):
        warnings.simplefilter("ignore", ScoreWarning)
        spec(case.arrays, labels, **{**spec.trial(), **settings})


def with_value(value):
    def change(array):
        array = array.copy()
        array[3, 1] = value
        return array

    return change


ROWS = {
    "NaN": (with_value(np.nan), ValueError, r"1 values are NaN or inf.*\(3, 1\)\. Rem"),
    "infinity": (with_value(np.inf), ValueError, r"1 values are NaN or infinite"),
    "beyond float32": (
        lambda a: with_value(1e39)(a.astype(np.float64)), ValueError,
        r"1 values are NaN or infinite, the first at index \(3, 1\)",
    ),
    "complex": (lambda a: a + 1j, TypeError, "dtype complex.* is not a real number"),
    "words": (lambda a: np.full(a.shape, "a"), TypeError, "dtype <U1 is not a real"),
    "objects": (lambda a: a.astype(object), TypeError, "dtype object is not a real"),
    "dates": (
        lambda a: np.zeros(a.shape, "datetime64[s]"), TypeError, "dtype datetime64",
    ),
    "masked": (
        lambda a: np.ma.masked_array(a, mask=a == a[3, 1]), TypeError,
        "has masked values. Fill them, or label them with the ignore",
    ),
    "one axis": (lambda a: a[:, 0], ValueError, r"expected \(n, d\) rows or \(b, h, w"),
    "three axes": (lambda a: a[None], ValueError, r"expected \(n, d\) rows .* \(1, 4"),
    "a number": (lambda a: np.array(1, a.dtype), ValueError, r"expected .* shape \(\)"),
    "no column": (lambda a: a[:, :0], ValueError, r"shape \(48, 0\) has no columns"),
}  # fmt: skip


@pytest.mark.parametrize("bad", ROWS)
@pytest.mark.parametrize("name", OF_ROWS)
def test_arrays_that_cannot_be_read(name, bad):
    change, error, message = ROWS[bad]
    refused(name, error, rf"{ARRAY.get(name, 'features')}: .*{message}", change=change)


def ids(*values):
    labels = example_case().labels.astype(type(values[0]))
    labels[: len(values)] = values
    return labels


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (ids(0.5), TypeError, "labels must be integers, got float"),
        (ids(np.nan), TypeError, "labels must be integers, got float"),
        (np.full(48, "road"), TypeError, "dtype <U4 is not a real number type"),
        (np.full(48, None), TypeError, "dtype object is not a real number"),
        (np.zeros(48, bool), TypeError, "labels must be integers, got bool"),
        (np.ma.masked_array(ids(1), mask=ids(1) == 1), TypeError, "has masked values"),
        (np.full(48, 255), ValueError, r"nothing is left to score: all of the 48 lab"),
        (ids(1)[:-1], ValueError, r"shape \(4[78],\) (does not fit|differs)"),
        (ids(1)[:, None], ValueError, r"shape \(48,( 1)?\) (does not fit|differs)"),
        (np.zeros(0, int), ValueError, r"shape \((48|0),\) (does not fit|differs)"),
    ],
)
def test_labels_that_cannot_be_read(name, labels, error, message):
    names = LABELS.get(name, "labels")
    if "differs" in message and name in OF_IDS:
        names = ARRAY[name]  # both are labels, the first is said to differ
    refused(name, error, f"{names}: {message}", labels=labels)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (
            ids(2),
            2,
            r"value 2 at index 0 is outside 0\.\.1 \(num_classes=2, ignore=255",
        ),
        (ids(0, -1), 3, r"value -1 at index 1 is outside 0\.\.2 \(num_classes=3"),
        (ids(0, 0, 254), 3, r"value 254 at index 2 .*load them with the right labels="),
    ],
)
def test_labels_of_another_scheme(name, labels, classes, message):
    names = LABELS.get(name, "labels")
    refused(name, ValueError, f"{names}: {message}", labels=labels, num_classes=classes)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("classes", [0, -3])
def test_a_number_of_classes_that_is_none(name, classes):
    message = f"num_classes: {classes} is less than 1"
    refused(name, ValueError, message, num_classes=classes)


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(47), ValueError, "weights: 47 weights for 48 instances of "),
        (np.r_[np.ones(47), -1], ValueError, "weights: negative values"),
        (np.r_[np.nan, np.ones(47)], ValueError, r"weights: 1 .*first at index \(0,\)"),
        (
            np.r_[np.inf, np.ones(47)],
            ValueError,
            "weights: 1 values are NaN or infinite",
        ),
        (
            np.zeros(48),
            ValueError,
            "nothing is left to score: all of the 48 .*weight 0",
        ),
        (np.full(48, "a"), TypeError, "weights: dtype <U1 is not a real number type"),
        (np.ones(48) + 0j, TypeError, "weights: dtype complex128 is not a real number"),
    ],
)
def test_weights_that_are_none(name, weights, error, message):
    refused(name, error, message, weights=weights)


@pytest.mark.parametrize("name", [n for n in OF_ROWS if n in LABELLED])
@pytest.mark.parametrize(
    ("change", "shape", "remedy"),
    [
        (lambda a: a.T, (48,), r"The rows seem to be columns: pass {array}\.T\."),
        (lambda a: a, (48, 1), r"Pass the labels as one axis: labels\.reshape\(-1\)"),
        (lambda a: a.T.reshape(1, -1, 6, 8), (1, 6, 8), r"channels are first; move th"),
        (lambda a: a[:, :, None, None], (48,), r"pooled vectors, channels first: "),
        (lambda a: a[:, None, None], (48,), r"pooled vectors: {array}\.reshape\(n, d"),
        (lambda a: a.reshape(3, 4, 4, -1), (3, 8, 8), r"Resize the labels \(nearest"),
    ],
)
def test_shapes_that_do_not_fit_come_with_the_way_out(name, change, shape, remedy):
    labels = np.resize(example_case().labels, shape)
    array, given = ARRAY.get(name, "features"), LABELS.get(name, "labels")
    message = (
        rf"{given}: shape .* does not fit {array} of .*{remedy.format(array=array)}"
    )
    refused(name, ValueError, message, change=change, labels=labels)


@pytest.mark.parametrize("name", NAMES)
def test_an_input_that_is_missing_is_named_with_those_given(name):
    spec, case = SCORES[name], example_case()
    for missing in spec.inputs:
        arrays = {k: v for k, v in case.arrays.items() if k != missing}
        message = f"^{name}: needs {missing}; got {re.escape(next(iter(arrays)))}"
        with pytest.raises(ValueError, match=message):
            spec(arrays, case.labels, **spec.trial())


@pytest.mark.parametrize("name", [n for n in NAMES if not SCORES[n].any_space])
def test_a_score_with_a_space_of_its_own_has_no_other(name):
    message = rf"metrics: {name}@logits: '{name}' reads '.*' and no other"
    with pytest.raises(ValueError, match=message):
        SCORES[name].in_space("logits")


@pytest.mark.parametrize("name", [n for n in NAMES if SCORES[n].any_space])
def test_a_space_that_is_none_is_refused_with_those_there_are(name):
    for space in ("pixels", "Logits", ""):
        message = rf"metrics: {name}@{space}: '{space}' is none of probs, logits, pen"
        with pytest.raises(ValueError, match=message):
            SCORES[name].in_space(space)
    assert SCORES[name].in_space("logits").name == f"{name}@logits"

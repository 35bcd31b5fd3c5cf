import inspect

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from trfjax.arrays import (
    as_float,
    as_labels,
    index_labels,
    labelled_rows,
    row_weights,
    safe_divide,
    safe_log,
    to_array,
)
from trfjax.shapes import flatten
from trfjax.simplex import check_probs

FEATURES = np.arange(8.0).reshape(4, 2)


def rows(features=FEATURES, labels=(0, 1, 2, 0), num_classes=None, **settings):
    return labelled_rows(features, labels, num_classes=num_classes, **settings)


class Torchlike:
    """What the door sees of a torch tensor."""

    def __init__(self, array):
        self.array = array

    def detach(self):
        return self

    def cpu(self):
        return self.array


@pytest.mark.parametrize(
    "kind", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.int16]
)
def test_numbers_become_float32_or_float64_with_x64(kind):
    array = np.ones((2, 2), kind)
    assert as_float("x", array).dtype == np.float32
    assert as_float("x", jnp.asarray(np.ones(2, np.float32))).dtype == np.float32
    with jax.enable_x64(True):
        assert as_float("x", array).dtype == np.float64
    assert as_float("x", Torchlike(array)).dtype == np.float32
    assert as_float("x", [[1, 2]]).shape == (1, 2)


def test_float32_input_is_not_copied():
    array = np.ones(3, np.float32)
    assert as_float("x", array) is array


def test_non_finite_values_are_counted_and_located():
    array = np.zeros((3, 2))
    array[1, 1], array[2, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"x: 2 values .* first at index \(1, 1\)"):
        as_float("x", array)
    with pytest.raises(ValueError, match=r"x: 1 values .* infinite"):
        as_float("x", np.array([1.0, 1e300]))  # no float32
    big = np.full(4, 3e38, np.float32)
    assert as_float("x", big) is big  # their sum would overflow, they do not


@pytest.mark.parametrize("value", ["text", [None], [1j], np.array([object()])])
def test_what_is_not_a_number_is_refused(value):
    with pytest.raises(TypeError, match=r"x: dtype .* is not a real number type"):
        to_array("x", value)


def test_labels_are_integers():
    assert as_labels("y", np.array([1, 2], np.uint8)).dtype == np.uint8
    assert as_labels("y", np.array([1.0, 2.0])).tolist() == [1, 2]
    for wrong in ([0.5, 1.0], [True, False], [np.nan]):
        with pytest.raises(TypeError, match="y: labels must be integers"):
            as_labels("y", wrong)


def test_maps_become_rows():
    features, labels = np.zeros((2, 3, 4, 5)), np.zeros((2, 3, 4), int)
    flat, ids = flatten(("f", "y"), features, labels)
    assert flat.shape == (24, 5) and ids.shape == (24,)
    with pytest.raises(ValueError, match=r"f: expected \(n, d\) rows"):
        flatten(("f", "y"), features[0], labels[0])
    with pytest.raises(ValueError, match=r"y: shape \(2, 3\) does not fit.*Resize"):
        flatten(("f", "y"), features, labels[..., 0])
    with pytest.raises(ValueError, match=r"f: shape \(4, 0\) has no columns"):
        flatten(("f", "y"), np.zeros((4, 0)), np.zeros(4, int))


def test_ids_are_names_without_num_classes():
    found = rows(labels=[-4, 900, 2**40, -4])
    assert found.num_classes == 3 and found.classes == (-4, 900, 2**40)
    assert found.labels.tolist() == [0, 1, 2, 0]
    assert found.weights.tolist() == [1, 1, 1, 1]


def test_ids_are_indices_with_num_classes():
    found = rows(num_classes=5)
    assert found.num_classes == 5 and found.classes == (0, 1, 2, 3, 4)
    message = (
        r"labels: value 3 at index 1 is outside 0..2 \(num_classes=3, ignore=255\)"
    )
    with pytest.raises(ValueError, match=message):
        rows(labels=[0, 3, 1, 255], num_classes=3)
    with pytest.raises(ValueError, match="value -1 at index 3"):
        rows(labels=[0, 2, 1, -1], num_classes=3)
    with pytest.raises(ValueError, match=r"value 200 .* outside 0..2"):
        rows(labels=np.array([0, 200, 1, 2], np.uint8), num_classes=3)


@pytest.mark.parametrize("wrong", [True, 3.0, "3"])
def test_num_classes_is_an_int(wrong):
    with pytest.raises(TypeError, match="num_classes: expected an int"):
        inspect.unwrap(index_labels)("y", np.zeros(2, int), np.ones(2), wrong)


def test_num_classes_is_positive():
    with pytest.raises(ValueError, match="num_classes: 0 is less than 1"):
        rows(num_classes=0)


@pytest.mark.parametrize("ignore", [7, (7,), {7, 9}])
def test_ignored_rows_count_for_nothing_even_if_nan(ignore):
    features = FEATURES.copy()
    features[2] = np.nan
    found = rows(features, [0, 1, 7, 1], num_classes=2, ignore=ignore)
    assert found.weights.tolist() == [1, 1, 0, 1]
    assert found.features[2].tolist() == [0, 0] and np.isfinite(found.features).all()
    with pytest.raises(ValueError, match=r"features: 2 values are NaN.*\(2, 0\)"):
        rows(features, [0, 1, 2, 1])


def test_weights():
    features = FEATURES.copy()
    features[1] = np.nan
    found = rows(features, weights=[2, 0, 0.5, 1])  # weight 0 is out as well
    assert found.weights.tolist() == [2, 0, 0.5, 1] and found.num_classes == 2
    for wrong, message in [
        ([1, 1, -1, 1], "weights: negative values"),
        ([1, 1], "weights: 2 weights for 4 instances of labels"),
        ([0, 0, 0, 0], "labels: nothing is left to score"),
        ([1, np.nan, 1, 1], "weights: 1 values are NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            rows(weights=wrong)


def test_nothing_left():
    message = r"nothing is left to score: all of the 4 labels are ignored \(ignore=0\)"
    with pytest.raises(ValueError, match=message):
        rows(labels=[0] * 4, ignore=0)
    with pytest.raises(ValueError, match="all of the 0 labels"):
        rows(np.zeros((0, 2)), np.zeros(0, int))


def test_probabilities():
    weights = np.array([1.0, 0.0])
    check_probs("p", np.array([[0.5, 0.50004], [9, 9]]), weights, instead="")
    with pytest.raises(ValueError, match=r"p: row 0 .*sum 1.2.* Help"):
        check_probs("p", np.array([[0.5, 0.7], [1, 0]]), weights, instead="Help")


def test_traced_arguments_are_checked_by_shape_only():
    def score(features, labels, weights):
        found = rows(features, labels, num_classes=3, weights=weights)
        return found.features.sum() + found.labels.sum() + found.weights.sum()

    labels, weights = jnp.array([0, 1, 255, 2]), jnp.array([1.0, 0.0, 1.0, 1.0])
    features = jnp.asarray(FEATURES).at[2].set(jnp.nan)
    got = jax.jit(score)(features, labels, weights)
    assert got == score(np.asarray(features), np.asarray(labels), np.asarray(weights))
    many = jax.vmap(score, in_axes=(None, None, 0))(features, labels, weights[None])
    assert many[0] == got
    with pytest.raises(ValueError, match="num_classes: needed under jit"):
        jax.jit(lambda y: rows(labels=y).labels)(labels)
    with pytest.raises(ValueError, match="does not fit"):
        jax.jit(lambda y: rows(labels=y, num_classes=3).labels)(labels[:3])
    with pytest.raises(TypeError, match="labels must be integers"):
        jax.jit(lambda y: rows(labels=y, num_classes=3).labels)(weights)


def test_inputs_are_left_alone():
    features, labels = FEATURES.copy(), np.array([0, 255, 1, 0])
    features.flags.writeable = labels.flags.writeable = False
    rows(features, labels)
    row_weights("y", labels, 255, None)
    assert (features == FEATURES).all() and labels.tolist() == [0, 255, 1, 0]


def test_safe_operations_have_finite_gradients():
    value, slope = jax.value_and_grad(lambda x: safe_log(x).sum())(jnp.array([0.0, 2]))
    assert value == jnp.log(2.0) and slope.tolist() == [0, 0.5]
    value, slope = jax.value_and_grad(lambda x: safe_divide(jnp.ones(2), x).sum())(
        jnp.array([0.0, 2])
    )
    assert value == 0.5 and slope.tolist() == [0, -0.25]

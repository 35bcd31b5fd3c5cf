import numpy as np
import pytest

from trfjax.features.head import PART, head_predictions, softmax


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (PART + 5, 4), (2, 3, 4, 5)])
def test_softmax_is_the_definition(shape):
    logits = np.random.default_rng(0).normal(size=shape).astype(np.float32) * 30
    exact = logits.astype(float)
    expected = np.exp(exact - exact.max(axis=-1, keepdims=True))
    expected /= expected.sum(axis=-1, keepdims=True)
    found = softmax(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_predictions_are_those_of_the_head():
    logits = np.array([[0, 2, 1], [3, 0, 3]], np.float32)
    found = head_predictions({"logits": logits}, 2)
    assert found.tolist() == [1, 0] and found.dtype == np.int32
    assert head_predictions({"penultimate": logits}, 2).tolist() == [-1, -1]

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from trfjax.statistics.reliability import reliability


def test_reliability(rng):
    values = rng.normal(size=(7, 3))
    values[2] = values[3]  # ties
    pairs = [(0, 1), (0, 2), (1, 2)]
    each: Any = [spearmanr(values[:, i], values[:, j]) for i, j in pairs]
    expected = np.mean([pair.statistic for pair in each])
    assert reliability(values) == pytest.approx(expected)
    same = np.repeat(rng.normal(size=(5, 1)), 4, axis=1)
    assert reliability(same) == pytest.approx(1)
    assert reliability(np.stack([same[:, 0], -same[:, 0]], axis=1)) == pytest.approx(-1)
    assert np.isnan(reliability(np.ones((3, 2))))
    for wrong in (np.ones((1, 3)), np.ones((3, 1)), np.full((3, 2), np.nan)):
        with pytest.raises(ValueError, match="values"):
            reliability(wrong)

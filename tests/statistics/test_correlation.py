import inspect
import math

import numpy as np
import pytest

from trfjax.statistics import correlation
from trfjax.statistics.choice import footrule, ndcg, recall_at_k, regret_at_1, rel_at_k
from trfjax.statistics.correlation import (
    judge,
    kendall,
    pearson,
    spearman,
    weighted_kendall,
)

MEASURES = [
    pearson, spearman, kendall, weighted_kendall, ndcg, footrule, rel_at_k,
    recall_at_k, regret_at_1,
]  # fmt: skip


def weighted_by_hand(scores, performance):
    """Vigna's index from its double sum, with ties."""

    def one(first, second):
        rank = np.empty(len(first), int)
        rank[np.lexsort((second, first))[::-1]] = np.arange(len(first))
        both = ties_s = ties_a = 0.0
        for i in range(len(first)):
            for j in range(i):
                weight = 1 / (rank[i] + 1) + 1 / (rank[j] + 1)
                s = np.sign(scores[i] - scores[j])
                a = np.sign(performance[i] - performance[j])
                both += weight * s * a
                ties_s += weight * abs(s)
                ties_a += weight * abs(a)
        return both / np.sqrt(ties_s * ties_a)

    return (one(scores, performance) + one(performance, scores)) / 2


def test_any_increasing_function_is_a_perfect_ranking(rng):
    scores = rng.permutation(9).astype(float)
    performance = np.exp(scores / 9)
    for measure in (spearman, kendall, weighted_kendall, ndcg, rel_at_k, recall_at_k):
        assert measure(scores, performance) == pytest.approx(1, abs=1e-15)
    assert footrule(scores, performance) == regret_at_1(scores, performance) == 0
    assert pearson(scores, 3 * scores - 1) == pytest.approx(1)
    for measure in (spearman, kendall, weighted_kendall):
        assert measure(-scores, performance) == pytest.approx(-1)
    assert footrule(-scores, performance, normalised=True) == 1


def test_by_hand():
    # Ranks by score 1 2 3 4, by performance 2 1 3 4: one pair of six is wrong.
    scores, performance = [4, 3, 2, 1], [0.6, 0.9, 0.5, 0.2]
    assert kendall(scores, performance) == pytest.approx(4 / 6)
    assert spearman(scores, performance) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert pearson([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)
    # Weights 1/r: the wrong pair has 1 + 1/2 of 3 (1 + 1/2 + 1/3 + 1/4) in all.
    assert weighted_kendall(scores, performance) == pytest.approx(1 - 3 / 6.25)
    assert footrule(scores, performance) == 2
    assert footrule(scores, performance, normalised=True) == 2 / 8
    assert footrule(scores, performance, top=1) == 1
    assert rel_at_k(scores, performance) == pytest.approx(0.6 / 0.9)
    assert rel_at_k(scores, performance, k=2) == 1
    assert rel_at_k(scores, performance, k=99) == 1
    assert recall_at_k(scores, performance) == 0
    assert recall_at_k(scores, performance, k=2) == 1
    assert regret_at_1(scores, performance) == pytest.approx(0.3)
    assert regret_at_1(scores, performance, relative=True) == pytest.approx(1 / 3)
    discounts = 1 / np.log2([2, 3, 4, 5])
    best = discounts @ [0.9, 0.6, 0.5, 0.2]
    expected = discounts @ [0.6, 0.9, 0.5, 0.2] / best
    assert ndcg(scores, performance) == pytest.approx(expected)
    assert ndcg(scores, performance, k=1) == pytest.approx(0.6 / 0.9)
    gains = np.exp2([0.6, 0.9]) - 1
    got = ndcg(scores, performance, k=1, gain="exponential")
    assert got == pytest.approx(gains[0] / gains[1])


def test_ties_by_hand():
    # Pairs: two agree, one tied in the score. tau-b = 2 / sqrt(2 * 3).
    assert kendall([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / math.sqrt(6))
    scores, performance = [2, 2, 2, 1], [0.9, 0.6, 0.3, 0.8]
    assert regret_at_1(scores, performance) == pytest.approx(0.3)  # 0, 0.3 or 0.6
    assert recall_at_k(scores, performance, k=2) == pytest.approx(1 / 3)
    assert rel_at_k(scores, performance) == pytest.approx(0.6 / 0.9)
    two = (0.9 + 0.9 + 0.6) / 3  # the best of any two of the three
    assert rel_at_k(scores, performance, k=2) == pytest.approx(two / 0.9)
    assert rel_at_k(scores, performance, k=3) == 1
    assert ndcg(scores, performance, k=1) == pytest.approx(0.6 / 0.9)


@pytest.mark.parametrize("levels", [3, 5, 1000])
@pytest.mark.parametrize("models", [2, 4, 7, 12])
def test_weighted_kendall_is_the_double_sum_with_ties(models, levels, rng):
    for _ in range(20):
        s, a = rng.integers(levels, size=(2, models)).astype(float)
        if np.ptp(s) > 0 and np.ptp(a) > 0:
            expected = weighted_by_hand(s, a)
            assert weighted_kendall(s, a) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_order_of_the_models_says_nothing(measure, rng):
    for _ in range(10):
        pool = rng.integers(1, 5, size=(2, 8)).astype(float)
        mixed = pool[:, rng.permutation(8)]
        np.testing.assert_allclose(measure(*mixed), measure(*pool), atol=1e-14)


@pytest.mark.parametrize("measure", MEASURES)
def test_undefined_is_nan(measure):
    for pool in (([], []), ([1], [2]), ([1, 1], [1, 2]), ([1, 2], [1, 1])):
        assert math.isnan(measure(*pool))


def test_no_positive_performance_has_no_ratio():
    assert math.isnan(rel_at_k([1, 2], [-1, 0]))
    assert math.isnan(regret_at_1([1, 2], [-1, 0], relative=True))
    assert regret_at_1([2, 1], [-1, 0]) == 1


def test_judge(rng):
    performance = rng.uniform(size=12)
    scores = performance + 0.2 * rng.normal(size=12)
    found = judge(scores, performance, resamples=200)
    assert found == judge(scores, performance, resamples=200)
    assert found["kendall"].value == kendall(scores, performance)
    assert found["rel@3"].value == rel_at_k(scores, performance, k=3)
    for name, (value, low, high) in found.items():
        assert low <= high, name
        assert low <= value <= high, name
    narrow = judge(scores, performance, resamples=200, level=0.5)["spearman"]
    wide = found["spearman"]
    assert wide.low <= narrow.low <= narrow.high <= wide.high
    for pool in (([], []), ([1], [2]), ([1, 1], [0, 2])):
        undefined = judge(*pool, resamples=5)
        assert all(np.isnan(estimate).all() for estimate in undefined.values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pearson([1, 2], [1, 2, 3]), "performance: 3 values for 2 scores"),
        (lambda: pearson([[1]], [1]), "scores: expected one number a model"),
        (lambda: kendall([1, 2], [1, np.nan]), "performance: nan for model 1; leave"),
        (lambda: ndcg([1, 2], [1, 2], k=0), "k: 0 is less than 1"),
        (lambda: rel_at_k([1, 2], [1, 2], k=0), "k: 0 is less than 1"),
        (lambda: footrule([1, 2], [1, 2], top=0), "top: 0 is less than 1"),
        (lambda: ndcg([1, 2], [1, -2]), "performance: -2 has a negative gain"),
        (lambda: judge([1, 2], [1, 2], level=1.0), "level: 1.0 is not between 0 and 1"),
        (lambda: judge([1, 2], [1, 2], resamples=0), "resamples: 0 is less than 1"),
        (
            lambda: inspect.unwrap(correlation.ndcg)([1], [1], gain="log"),
            "gain: 'log' is neither",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()

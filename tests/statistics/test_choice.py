import itertools
import math

import numpy as np
import pytest

from trfjax.statistics.choice import dcg, ndcg, regret_at_1, regret_at_k, selected_right
from trfjax.statistics.correlation import kendall

S, A = np.array([3.0, 1.0, 2.0, 2.0]), np.array([0.5, 0.9, 0.7, 0.2])


def orders(s):
    """Yield every order of models by score, ties broken in every way."""
    for order in itertools.permutations(range(len(s))):
        if all(s[a] >= s[b] for a, b in itertools.pairwise(order)):
            yield list(order)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_ties_are_broken_in_every_way(k):
    discount = [1 / math.log2(place + 2) for place in range(k)]
    gains, lost = [], []
    for order in orders(S):
        gains.append(sum(d * A[i] for d, i in zip(discount, order, strict=False)))
        lost.append(A.max() - max(A[i] for i in order[:k]))
    assert dcg(S, A, k=k) == pytest.approx(np.mean(gains))
    assert regret_at_k(S, A, k=k) == pytest.approx(np.mean(lost))
    best = sum(d * a for d, a in zip(discount, sorted(A)[::-1], strict=False))
    assert ndcg(S, A, k=k) == pytest.approx(np.mean(gains) / best)


def test_one_choice_is_the_first():
    assert regret_at_k(S, A, k=1) == pytest.approx(regret_at_1(S, A))
    assert regret_at_k(S, A, k=9) == 0  # all are tried
    assert selected_right(S, A) == 0 and selected_right(A, A) == 1
    assert selected_right([1, 1, 0], [1, 2, 3]) == 0
    assert selected_right([1, 1, 0], [1, 3, 2]) == 0.5


def test_nothing_to_choose():
    assert math.isnan(dcg([1], [1])) and math.isnan(regret_at_k([1, 1], [1, 2]))
    with pytest.raises(ValueError, match="k: 0 is less than 1"):
        regret_at_k(S, A, k=0)


def test_two_models_are_in_order_or_not():
    assert kendall([1.0, 2.0], [3.0, 5.0]) == 1
    assert kendall([1.0, 2.0], [5.0, 3.0]) == -1
    assert math.isnan(kendall([1.0, 1.0], [5.0, 3.0]))

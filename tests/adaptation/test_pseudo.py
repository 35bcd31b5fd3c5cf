import collections
import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.adaptation.pseudo import (
    balanced_labels,
    balanced_thresholds,
    max_prob,
    median_thresholds,
    vote,
)

K = 3


@pytest.fixture
def probs(x64, rng):
    return rng.dirichlet(np.ones(K) / 2, (3, 5, 7))  # three layers of a map


def test_max_prob_by_hand_and_monotone(probs):
    labels = np.asarray(max_prob(jnp.asarray(probs[0]), 0.7))
    for i in np.ndindex(5, 7):
        p = probs[0][i]
        assert labels[i] == (p.argmax() if p.max() > 0.7 else 255)
    kept = [
        (np.asarray(max_prob(jnp.asarray(probs[0]), t)) != 255)
        for t in (0.2, 0.5, 0.9, 1.0)
    ]
    assert kept[0].all() and not kept[-1].any()  # below 1/3, and at 1
    assert all((more >= less).all() for more, less in itertools.pairwise(kept))
    exact = max_prob(jnp.array([[0.5, 0.25, 0.25]]), 0.5)
    assert exact[0] == 255  # strictly above
    each = max_prob(jnp.array([[0.6, 0.4, 0], [0.4, 0.6, 0]]), jnp.array([0.7, 0.5, 0]))
    assert each.tolist() == [255, 1]


@pytest.mark.parametrize("rule", ["max_confidence", "majority"])
def test_votes_by_hand(probs, rule):
    found = np.asarray(vote(jnp.asarray(probs), 0.6, rule=rule))
    for i in np.ndindex(5, 7):
        layers = [p[i] for p in probs]
        sure = [p for p in layers if p.max() > 0.6]
        if not sure:
            assert found[i] == 255
        elif rule == "max_confidence":
            assert found[i] == max(layers, key=np.max).argmax()
        else:
            votes = collections.Counter(int(p.argmax()) for p in sure)
            most = max(votes.values())
            tied = [p for p in sure if votes[int(p.argmax())] == most]
            assert found[i] == max(tied, key=np.max).argmax()


def test_votes_and_the_single_layer(probs):
    layers = jnp.asarray(probs)
    rules = ("max_confidence", "majority")
    one = max_prob(layers[0], 0.6)
    for rule in rules:
        np.testing.assert_array_equal(vote(layers[:1], 0.6, rule=rule), one)
    two, other = (vote(layers[:2], 0.6, rule=rule) for rule in rules)
    np.testing.assert_array_equal(two, other)
    assert ((two != 255) >= (one != 255)).all()
    turned = vote(layers[::-1], 0.6, rule="majority")
    np.testing.assert_array_equal(turned, vote(layers, 0.6, rule="majority"))
    # Two confident layers outvote one that is surer.
    three = jnp.array([[[0.95, 0.05, 0]], [[0.1, 0.9, 0]], [[0.2, 0.8, 0]]])
    assert [int(vote(three, 0.7, rule=rule)[0]) for rule in rules] == [0, 1]


def test_median_thresholds_by_hand():
    confidence = np.array([0.5, 0.8, 0.6, 0.99, 0.97])
    labels = np.array([0, 0, 0, 1, 1])
    found = median_thresholds(confidence, labels, K)
    # Elements 3 // 2 = 1 of (0.5, 0.6, 0.8); 2 // 2 = 1 of (0.97, 0.99), capped; none.
    np.testing.assert_array_equal(found, [0.6, 0.9, 0])


@pytest.mark.parametrize("portion", [0.2, 0.5, 1.0])
def test_balanced_thresholds_keep_the_portion(rng, portion):
    labels = rng.integers(0, K - 1, 40)
    confidence = rng.uniform(size=40)
    found = balanced_thresholds(confidence, labels, K, portion=portion)
    for c in range(K - 1):
        values = confidence[labels == c]
        assert (values >= found[c]).sum() == int(len(values) * portion)
    assert found[K - 1] == 1
    lower = balanced_thresholds(confidence, labels, K, portion=min(portion + 0.1, 1.0))
    assert (lower <= found).all()
    assert balanced_thresholds(confidence[:3], np.zeros(3, int), 1, portion=0.3) == 1


def test_balanced_labels_by_hand():
    thresholds = jnp.array([0.8, 0.3, 1.0])
    probs = jnp.array([[0.6, 0.4, 0.0], [0.7, 0.2, 0.1], [0.9, 0.1, 0.0]])
    # 0.4 / 0.3 is above 0.6 / 0.8: the rarer class; nothing reaches 1; 0.9 / 0.8.
    assert balanced_labels(probs, thresholds).tolist() == [1, 255, 0]

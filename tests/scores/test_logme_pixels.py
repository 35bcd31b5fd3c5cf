"""LogME as a mean over instances, against the matrices of its definition."""

import numpy as np
import pytest

from tests.scores.made import made_up
from trfjax.scores import logme_pixels
from trfjax.scores.logme import logme
from trfjax.scores.logme_pixels import (
    Sums,
    evidence_of_cells,
    evidence_sums,
    fitted_evidence,
    pixel_evidence,
)


def fit_evidence(features, labels, *, num_classes):
    return fitted_evidence(evidence_sums(features, labels, num_classes=num_classes))


def shares_by_hand(features, labels, fitted):
    """-log(2 pi)/2 - log det K / 2n - y (K^-1 y) / 2, averaged over the columns."""
    n, classes = len(labels), np.unique(labels)
    found = np.zeros(n)
    for c in classes:
        y = (labels == c).astype(float)
        # The ratio and beta of the fit, as they are in its weights and pull.
        beta = 2 * len(classes) * fitted.pull[0, c]
        gram = features.T @ features
        weight = fitted.weights[0, c]
        # (G + t I) w = F'y gives t.
        right = features.T @ y - gram @ weight
        t = (right @ weight) / (weight @ weight)
        np.testing.assert_allclose(right, t * weight, atol=1e-8)
        covariance = (np.eye(n) + features @ features.T / t) / beta
        solved = np.linalg.solve(covariance, y)
        constant = -0.5 * np.log(2 * np.pi)
        constant -= np.linalg.slogdet(covariance)[1] / (2 * n)
        found += (constant - 0.5 * y * solved) / len(classes)
    return found


def test_equals_the_definition(x64, rng):
    features, labels = made_up(rng)
    fitted = fit_evidence(features, labels, num_classes=3)
    found = pixel_evidence(fitted, features, labels)
    expected = shares_by_hand(features, labels, fitted)
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    assert found.mean() == pytest.approx(float(logme(features, labels)), rel=1e-9)


@pytest.mark.parametrize("block", [7, 60])
def test_blocks_and_absent_classes_change_nothing(block, x64, rng, monkeypatch):
    features, labels = made_up(rng)
    plain = pixel_evidence(
        fit_evidence(features, labels, num_classes=3), features, labels
    )
    monkeypatch.setattr(logme_pixels, "BLOCK", block)
    wide = fit_evidence(features, labels, num_classes=6)
    found = pixel_evidence(wide, features, labels)
    np.testing.assert_allclose(found, plain, rtol=1e-6)  # see the last test
    assert not wide.pull[0, 3:].any()


@pytest.mark.parametrize("case", [(60, 4, 3), (20, 30, 3)])
def test_the_mean_is_logme_also_with_fewer_instances_than_features(case, x64, rng):
    features, labels = made_up(rng, *case)
    fitted = fit_evidence(features, labels, num_classes=case[2])
    found = pixel_evidence(fitted, features, labels)
    assert found.mean() == pytest.approx(float(logme(features, labels)), rel=1e-6)


def test_an_instance_has_the_same_share_in_any_company(x64, rng):
    features, labels = made_up(rng)
    fitted = fit_evidence(features, labels, num_classes=3)
    whole = pixel_evidence(fitted, features, labels)
    some = rng.permutation(60)[:9]
    found = pixel_evidence(fitted, features[some], labels[some])
    np.testing.assert_allclose(found, whole[some], rtol=1e-12)
    assert pixel_evidence(fitted, features[:0], labels[:0]).shape == (0,)


@pytest.mark.filterwarnings("ignore::trfjax.errors.ScoreWarning")
def test_cells_are_targets_of_their_own(x64, rng, monkeypatch):
    """Of unlike sizes, without a class, and more of them than are solved at a time."""
    monkeypatch.setattr(logme_pixels, "TOGETHER", 3)
    features, labels = np.zeros((5, 20, 4)), np.full((5, 20), -1)
    for k in range(5):
        n = 20 - 2 * k
        features[k, :n], labels[k, :n] = made_up(rng, n, 4, 3)
        places = rng.permutation(20)  # where there is no pixel is anywhere
        features[k], labels[k] = features[k, places], labels[k, places]
    labels[2] = np.where(labels[2] == 1, 0, labels[2])
    found = evidence_of_cells(features, labels, num_classes=3)
    for k in range(5):
        held = labels[k] >= 0
        f, y = features[k, held], labels[k, held]
        alone = pixel_evidence(fit_evidence(f, y, num_classes=3), f, y)
        np.testing.assert_allclose(found[k, held], alone, rtol=1e-6)
        assert found[k, held].mean() == pytest.approx(float(logme(f, y)), rel=1e-8)


def test_a_turn_and_a_scale_of_the_features_change_nothing(x64, rng):
    features, labels = made_up(rng)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    plain, turned = (
        pixel_evidence(fit_evidence(f, labels, num_classes=3), f, labels)
        for f in (features, 30 * features @ turn)
    )
    # The evidence is level at its top: the place of the maximum is good to 1e-8.
    np.testing.assert_allclose(turned, plain, rtol=1e-6)


def test_sums_of_parts_add_up(x64, rng):
    """So that no more than a part is in memory; a part may be empty."""
    features, labels = made_up(rng)
    whole = evidence_sums(features, labels, num_classes=4)
    cuts = np.split(np.arange(60), [11, 11, 40])
    parts = [evidence_sums(features[p], labels[p], num_classes=4) for p in cuts]
    added = Sums(*(np.sum(column, axis=0) for column in zip(*parts, strict=True)))
    for one, other in zip(added, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(whole.counts[0], np.bincount(labels, minlength=4))
    np.testing.assert_allclose(whole.products[0], features.T @ features, rtol=1e-10)

import numpy as np
import pytest

from tests.transport.reference import entropic_plan, label_joint, labelled_clouds
from trfjax.scores.otce.otce import otce
from trfjax.scores.otce.pixels import fit_pixels, pixel_entropy, pixel_otce
from trfjax.transport.conditional import conditional_entropy


def test_the_mean_of_the_pixels_is_otce(rng):
    plan = rng.random((6, 5))
    plan /= plan.sum(axis=0) * 5  # every target pixel has the same mass
    ys, yt = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 0, 1])
    joint = np.zeros((3, 2))
    for i, s in enumerate(ys):
        for j, t in enumerate(yt):
            joint[s, t] += plan[i, j]
    shares = np.stack([plan[ys == s].sum(axis=0) for s in range(3)], axis=1) * 5
    found = pixel_entropy(shares, yt, joint)
    np.testing.assert_allclose(found.mean(), -conditional_entropy(joint), rtol=1e-6)
    j = 3
    expected = sum(
        5 * plan[i, j] * np.log(joint[ys[i], yt[j]] / joint[ys[i]].sum())
        for i in range(6)
    )
    np.testing.assert_allclose(found[j], expected, rtol=1e-12)


def test_coupled_pixels_have_the_score_as_their_mean():
    x, ys, y, yt = labelled_clouds(0, 120, 100, probs=True)
    counts = {"num_source_classes": int(ys.max()) + 1, "num_classes": int(yt.max()) + 1}
    plan = fit_pixels(x, ys, y, yt, **counts)  # pyright: ignore
    found = pixel_otce(plan, y, yt)
    score = float(otce(x, ys, y, yt, key=0, num_samples=200).score)
    assert found.mean() == pytest.approx(score, abs=2e-3)  # of the marginal error
    a, b = np.full(120, 1 / 120), np.full(100, 1 / 100)
    exact = label_joint(entropic_plan(x, y, a, b, 0.1)[0], ys, yt, *counts.values())
    np.testing.assert_allclose(plan.joint, exact, atol=1e-4)


def test_a_pixel_has_the_same_score_in_any_company():
    x, ys, y, yt = labelled_clouds(1, 60, 50, probs=True)
    counts = {"num_source_classes": int(ys.max()) + 1, "num_classes": int(yt.max()) + 1}
    plan = fit_pixels(x, ys, y, yt, **counts)  # pyright: ignore
    np.testing.assert_allclose(
        pixel_otce(plan, y[:7], yt[:7]), pixel_otce(plan, y, yt)[:7], rtol=1e-12
    )
    assert pixel_otce(plan, y[:0], yt[:0]).shape == (0,)

import numpy as np
import pytest

from trfjax.atoms.search import FEW, SOME, centres_of, nearest_of


@pytest.mark.parametrize("n", [5, FEW, FEW + 1, SOME + 3])
def test_rows_that_fill_a_program_up_are_never_seen(n):
    # Points around 5, so that a zero of the padding would be a centre of its own.
    rng = np.random.default_rng(n)
    points = (5 + rng.random((n, 2))).astype(np.float32)
    centres = centres_of(points, np.ones(n, np.float32), count=4, steps=3, rng=rng)
    assert centres.shape == (4, 2) and (centres > 4.9).all() and (centres < 6.1).all()
    index, distance = nearest_of(points, centres)
    far = ((points[:, None].astype(float) - centres) ** 2).sum(axis=2)
    # A tie within rounding may go either way.
    np.testing.assert_allclose(far[np.arange(n), index], far.min(axis=1), atol=1e-5)
    np.testing.assert_allclose(distance, far.min(axis=1), atol=1e-5)

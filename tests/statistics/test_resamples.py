import numpy as np

from trfjax.statistics.resamples import Resamples


def test_resamples_draw_images_and_leave_each_out():
    found = Resamples.draw(4, 10, seed=3)
    assert found.rows.shape == (14, 4) and (found.rows.sum(axis=1)[:10] == 4).all()
    np.testing.assert_array_equal(found.rows[10:], 1 - np.eye(4))
    np.testing.assert_array_equal(found.rows, Resamples.draw(4, 10, seed=3).rows)
    split = found.split(np.arange(14.0))
    assert split["replicates"] == tuple(range(10)) and split["left_out"][0] == 10

import numpy as np
import pytest

from trfjax.statistics.resamples import Resamples


def test_resamples_draw_images_and_leave_each_out():
    found = Resamples.draw(4, 10, seed=3)
    assert found.rows.shape == (14, 4) and (found.rows.sum(axis=1)[:10] == 4).all()
    np.testing.assert_array_equal(found.rows[10:], 1 - np.eye(4))
    np.testing.assert_array_equal(found.rows, Resamples.draw(4, 10, seed=3).rows)
    split = found.split(np.arange(14.0))
    assert split["replicates"] == tuple(range(10)) and split["left_out"][0] == 10


def test_the_images_of_a_patient_are_drawn_and_left_out_together():
    units = np.array([0, 0, 1, 1, 1, 2])
    found = Resamples.draw(6, 20, units=units, seed=0)
    assert found.rows.shape == (23, 6)
    for row in found.rows:
        assert row[0] == row[1] and row[2] == row[3] == row[4]
    assert (found.rows[:20][:, [0, 2, 5]].sum(axis=1) == 3).all()
    np.testing.assert_array_equal(found.rows[20:], 1 - np.eye(3)[:, units])
    with pytest.raises(ValueError, match="units: 6 for 7 images"):
        Resamples.draw(7, 1, units=units, seed=0)

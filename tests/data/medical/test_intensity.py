import numpy as np
import pytest

from trfjax.data.medical.intensity import check_normalisation, to_grey


def test_percentiles_are_of_tissue_and_air_stays_black():
    tissue = np.arange(1, 1002, dtype=float)  # 0.5% and 99.5% are 6 and 996
    voxels = np.concatenate([np.zeros(5000), tissue])
    grey = to_grey(voxels, "percentile")
    assert grey.dtype == np.uint8 and (grey[:5000] == 0).all()
    assert grey[5000:][5] == 0 and grey[5000:][995] == 255
    assert grey[5000:][500] == round(255 * (501 - 6) / 990)


def test_three_deviations_about_the_mean():
    voxels = np.array([0.0, 90.0, 110.0])  # mean 100, deviation 10
    np.testing.assert_array_equal(
        to_grey(voxels, "zscore"), [0, round(255 * 20 / 60), round(255 * 40 / 60)]
    )


def test_a_window_is_that_of_the_unit():
    voxels = np.array([-1000.0, -160.0, 40.0, 240.0, 1000.0])
    np.testing.assert_array_equal(
        to_grey(voxels, (-160.0, 240.0)), [0, 0, 128, 255, 255]
    )


def test_minmax_and_stored_keep_what_is_there():
    np.testing.assert_array_equal(
        to_grey(np.array([-2.0, 0, 2]), "minmax"), [0, 128, 255]
    )
    np.testing.assert_array_equal(to_grey(np.array([0, 7, 255]), "stored"), [0, 7, 255])
    assert (to_grey(np.zeros(4), "percentile") == 0).all()


def test_what_cannot_be_is_told():
    with pytest.raises(ValueError, match="'stored' voxels reach from 0 to 300"):
        to_grey(np.array([0, 300]), "stored")
    with pytest.raises((ValueError, TypeError), match="clahe"):
        check_normalisation("clahe")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="no window"):
        to_grey(np.zeros(2), (5.0, 5.0))

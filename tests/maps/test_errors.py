import numpy as np

from trfjax.maps.errors import border_and_inside, prediction_errors


def test_a_source_class_is_read_as_what_most_of_its_pixels_are():
    predictions = np.array([[[4, 4, 4, 1, 1]]])
    labels = np.array([[[0, 0, 2, 2, -1]]])
    found = prediction_errors(predictions, labels)
    np.testing.assert_array_equal(found, [[[False, False, True, False, False]]])


def test_the_band_lies_along_the_border():
    labels = np.zeros((2, 4, 10), int)
    labels[:, :, 5:] = 1
    labels[:, 0, 9] = -1
    values = np.zeros(labels.shape)
    values[:, :, 4:6] = [[[1.0]], [[3.0]]]  # two images
    border, inside = border_and_inside(values, labels, radius=1)
    assert border.pixels == 16 and border.mean == 2
    # Two images of means 1 and 3: standard error 1.
    assert np.isclose(border.standard_error, 1)
    assert inside.pixels == 2 * (40 - 8 - 1) and inside.mean == 0

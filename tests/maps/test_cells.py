import numpy as np

from trfjax.maps.cells import Grid, rows_of_cells


def test_the_last_row_and_column_keep_the_rest():
    grid = Grid(5, 7, 3)
    assert grid.shape == (2, 3)
    np.testing.assert_array_equal(grid.spans(0), [[0, 3], [3, 5]])
    np.testing.assert_array_equal(grid.spans(1), [[0, 3], [3, 6], [6, 7]])


def test_source_pixels_lie_at_the_same_share_of_the_way():
    grid = Grid(4, 6, 2)
    np.testing.assert_array_equal(grid.spans(0, 8), [[0, 4], [4, 8]])
    np.testing.assert_array_equal(grid.spans(1, 3), [[0, 1], [1, 2], [2, 3]])
    np.testing.assert_array_equal(grid.spans(1, 1), [[0, 1], [0, 1], [0, 1]])
    long = Grid(1, 100, 7)
    for length in (1, 3, 99, 100, 101, 999):
        spans = long.spans(1, length)
        assert (spans[:, 0] < spans[:, 1]).all() and spans.max() <= length


def test_every_pixel_is_in_one_cell(rng):
    labels = rng.integers(-1, 3, size=(2, 5, 7))
    features = rng.normal(size=(2, 5, 7, 4))
    ids = rng.integers(9, size=(2, 5, 7))
    grid = Grid(5, 7, 3)
    maps, numbers = (
        list(rows_of_cells(grid, part, labels)) for part in (features, ids)
    )
    for row, (top, bottom) in enumerate(grid.spans(0)):
        for column, (left, right) in enumerate(grid.spans(1)):
            part = np.s_[:, top:bottom, left:right]
            kept = maps[row].labels[column] >= 0
            counted = labels[part] >= 0
            for found, expected in (
                (maps[row].features, features),
                (numbers[row].features, ids),
                (maps[row].labels, labels),
            ):
                np.testing.assert_array_equal(
                    found[column][kept], expected[part][counted]
                )
            np.testing.assert_array_equal(
                maps[row].images[column][kept], np.nonzero(counted)[0]
            )
            assert (maps[row].features[column][~kept] == 0).all()


def test_thinned_cells_keep_pixels_that_count(rng):
    labels = np.where(rng.random((2, 6, 6)) < 0.5, 1, -1)
    features = rng.normal(size=(2, 6, 6, 2))
    (row,) = rows_of_cells(Grid(6, 6, 6), features, labels)
    few = row.thinned(10, rng)
    assert few.labels.shape == (1, 10) and (few.labels == 1).all()
    known = {tuple(f): i for f, i in zip(row.features[0], row.images[0], strict=True)}
    drawn = [tuple(f) for f in few.features[0]]
    assert len(set(drawn)) == 10
    assert [known[f] for f in drawn] == few.images[0].tolist()
    assert row.thinned(100, rng) is row

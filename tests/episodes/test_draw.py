from typing import Any

import numpy as np
import pytest

from trfjax.episodes.draw import draw_episodes

LABELS = np.repeat([3, 5, 8, 9], [10, 12, 7, 20])


def draw(**changes: Any):
    asked: dict[str, Any] = {"count": 6, "ways": 3, "shots": 2, "queries": 4}
    return draw_episodes(LABELS, **(asked | changes))


def test_episodes_show_what_they_say():
    found = draw()
    assert len(found) == 6 and found.ways == 3 and found.shots == 2
    assert found.support.shape == (6, 3, 2) and found.query.shape == (6, 3, 4)
    for classes, support, query in zip(
        found.classes, found.support, found.query, strict=True
    ):
        assert len(set(classes)) == 3
        np.testing.assert_array_equal(LABELS[support], np.tile(classes, (2, 1)).T)
        np.testing.assert_array_equal(LABELS[query], np.tile(classes, (4, 1)).T)
        images = [*support.ravel(), *query.ravel()]
        assert len(set(images)) == len(images)
    assert {*found.classes.ravel()} == {3, 5, 8, 9}


def test_a_longer_list_begins_with_the_shorter_and_seeds_differ():
    few, many = (draw(count=n) for n in (2, 9))
    np.testing.assert_array_equal(few.support, many.support[:2])
    np.testing.assert_array_equal(few.query, many.select(slice(0, 2)).query)
    np.testing.assert_array_equal(many.select(slice(4, 6)).numbers, [4, 5])
    other = draw(seed=1)
    assert (other.support[:2] != few.support).any()


def test_classes_and_test_images_can_be_given():
    tested = np.flatnonzero(np.arange(len(LABELS)) % 2)
    found = draw(ways=2, queries=5, classes=(5, 9), query_from=tested)
    assert {*found.classes.ravel()} == {5, 9}
    assert np.isin(found.query, tested).all()
    assert not np.isin(found.support, tested).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ways": 5}, "ways: 5 asked of a pool of 4 classes"),
        ({"classes": (3, 5)}, "ways: 3 asked of a pool of 2 classes"),
        ({"ways": 1}, "ways: 1 must be at least 2"),
        ({"shots": 0}, "shots: 0 must be at least 1"),
        ({"count": 0}, "count: 0"),
        ({"shots": 4}, "4 and 4 asked of class 8, which has 7 images"),
        ({"classes": (3, 5, 7)}, "asked of class 7, which has 0 images"),
        ({"query_from": np.arange(4, 49)}, "class 5, which has 0 images outside"),
        ({"query_from": np.arange(0, 49, 7)}, "queries: 4 asked of class 3, .* 2 im"),
    ],
)
def test_what_cannot_be_drawn(change, message):
    with pytest.raises(ValueError, match=message):
        draw(**change)

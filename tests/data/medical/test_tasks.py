import numpy as np
import pytest

from trfjax.data.medical import relation, union
from trfjax.data.medical.tasks import TUMOUR, parts
from trfjax.typing import IGNORE


def test_the_whole_tumour_is_three_ids():
    whole = union("WT", (1, 2, 4), (1, 2, 4))
    assert whole.names == ("background", "WT")
    np.testing.assert_array_equal(whole(np.array([0, 1, 2, 4])), [0, 1, 1, 1])
    core = union("TC", TUMOUR["TC"], (1, 2, 4))
    np.testing.assert_array_equal(core(np.array([0, 1, 2, 4])), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="label id 3"):
        whole(np.array([3]))


def test_parts_may_ignore_ids():
    labels = parts({"GM": 12, "WM": 13}, (1, 12, 13, 11), ignored=(1,))
    np.testing.assert_array_equal(
        labels(np.array([0, 1, 11, 12, 13])), [0, IGNORE, 0, 1, 2]
    )


def test_a_union_of_unknown_ids_is_an_error():
    with pytest.raises(ValueError, match=r"\(3,\) of 'ET' must be some of \[1, 2, 4\]"):
        union("ET", (3,), (1, 2, 4))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("ET", "ET", "same"),
        ("ET", "TC", "smaller"),
        ("WT", "ET", "bigger"),
        ("TC", "ED", "complementary"),  # together the whole tumour
        ("NCR", "ET", "complementary"),  # together the core
        ("ET", "ED", "exclusive"),  # {2, 4} has no name
        ("NCR", "ED", "exclusive"),
    ],
)
def test_relations_follow_from_ids(source, target, expected):
    assert relation(TUMOUR[source], TUMOUR[target], TUMOUR.values()) == expected


def test_tasks_may_overlap():
    assert relation((1, 2), (2, 4), TUMOUR.values()) == "overlapping"

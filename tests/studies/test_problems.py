import pytest

from trfjax.data.brains import BINARY
from trfjax.studies.problems import Problem, named, pair


def related(source, target):
    return pair(named(source), named(target), BINARY).related


def test_a_name_says_task_institution_and_modality():
    assert named("ET-hazel-T2") == Problem("ET", "hazel", "T2")
    assert Problem("ET", "hazel", "T2").name == "ET-hazel-T2"
    with pytest.raises(ValueError, match="not task-institution-modality"):
        named("ET-T2")


@pytest.mark.parametrize(
    ("source", "keeps"),
    [
        ("TC-alder-T2", True),  # the same task and modality, another hospital
        ("TC-alder-T1", True),  # the same task
        ("ET-alder-T2", True),  # nested, smaller
        ("WT-alder-T2", True),  # nested, bigger
        ("ED-alder-T2", True),  # complementary: together the whole tumour
        ("ED-alder-T1", False),  # and in another modality
        ("GM-alder-T2", False),  # exclusive, no whole
    ],
)
def test_the_filter_leaves_what_is_related(source, keeps):
    assert related(source, "TC-hazel-T2") is keeps


def test_a_task_without_a_name_is_an_error():
    with pytest.raises(ValueError, match="no 'liver' of liver-alder-T2"):
        related("liver-alder-T2", "TC-hazel-T2")

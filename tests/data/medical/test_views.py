import pytest

from trfjax.data.medical.views import View, views

PLACES = ["18", "18", "20"]
HAVE = [("T1", "T2"), ("T1", "T2"), ("T2",)]


def test_modalities_are_domains_or_channels():
    assert views("18/T1+T2", PLACES, HAVE) == [
        View(0, ("T1", "T2")),
        View(1, ("T1", "T2")),
    ]
    assert views("18/T1,20/T2", PLACES, HAVE) == [
        View(0, ("T1",)), View(1, ("T1",)), View(2, ("T2",)),
    ]  # fmt: skip
    assert views("18", PLACES, HAVE) == [
        View(i, (m,)) for i in (0, 1) for m in ("T1", "T2")
    ]


def test_an_empty_institution_stands_for_all_and_ranges_cut_patients():
    assert [v.patient for v in views("/T2", PLACES, HAVE)] == [0, 1, 2]
    assert [v.patient for v in views("18[0.5:]/T1", PLACES, HAVE)] == [1]
    assert len(views("", PLACES, HAVE)) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("19/T1", "no '19' here; available: 18, 20"),
        ("/FLAIR", "no modality 'FLAIR' here; available: T1, T2"),
        ("/T1+T1", "repeats"),
        ("18/T1+T2,20/T2", r"images of \[1, 2\] channels"),
    ],
)
def test_what_is_not_there_is_told(text, message):
    with pytest.raises(ValueError, match=message):
        views(text, PLACES, HAVE)

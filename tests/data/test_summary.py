import numpy as np
import pytest

from trfjax.data import Dataset, LabelMap, contact_sheet, load_dataset, summarise
from trfjax.data.legend import class_colours

NAMES = ("<b>", "[red]sky", "a\x1b[31mb", "never")


def toy(labels, names=NAMES, name="toy", palette=None, channels=3):
    def read(position):
        label = np.asarray(labels[position], np.int32)
        shape = label.shape if label.ndim else (5, 7)
        return np.full((*shape, channels), 200, np.uint8), label

    ids = tuple(f"folder/{'long' * 40}{i}" for i in range(len(labels)))
    return Dataset(name, LabelMap(names, palette=palette), ids, read, ids, "")


MAPS = [[[0, 0, 1], [255, 1, 1]], [[0, 0, 0], [0, 255, 255]], [[2, 2]]]


def test_counts_of_a_segmentation_set():
    summary = summarise(toy(MAPS))
    assert summary.pixels.dtype == np.int64
    assert summary.pixels.tolist() == [6, 3, 2, 0]
    assert summary.images_per_class.tolist() == [2, 1, 1, 0]
    assert summary.ignored == 3 and summary.ignored_share == 3 / 14
    assert summary.absent == ("never",) and summary.sizes == {(2, 3): 2, (1, 2): 1}
    np.testing.assert_allclose(summary.frequencies, np.array([6, 3, 2, 0]) / 11)


def test_counts_of_a_classification_set():
    summary = summarise(toy([0, 1, 1, 2]))
    assert summary.pixels.tolist() == summary.images_per_class.tolist() == [1, 2, 1, 0]
    assert summary.ignored == 0 and summary.sizes == {(5, 7): 4}


def test_nothing_but_ignored_pixels_is_no_division_by_zero():
    summary = summarise(toy([[[255, 255]]]))
    assert summary.frequencies.tolist() == [0, 0, 0, 0]
    assert summary.ignored_share == 1 and summary.absent == NAMES


def test_the_table_prints_names_as_they_are():
    table = summarise(toy(MAPS)).table()
    assert "<b>" in table and "[red]sky" in table
    assert "\x1b" not in table and "a\\x1b[31mb" in table
    assert "absent classes: never" in table and "21.4%" in table
    body = table.split("\n\n")[1].splitlines()
    assert len({len(line) for line in body}) == 1  # columns line up
    assert str(summarise(toy(MAPS))) == table


def test_colours_are_those_of_the_map_or_all_different():
    palette = ((1, 2, 3), (4, 5, 6))
    assert class_colours(LabelMap(("a", "b"), palette=palette)) == palette
    many = class_colours(LabelMap(tuple(f"c{i}" for i in range(40))))
    assert len(set(many)) == 40


@pytest.mark.parametrize("labels", [MAPS, [0, 1, 1, 2], [[[0]]] * 30])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_contact_sheet_has_a_clean_border(labels, channels):
    data = toy(labels, name="name " * 60, channels=channels)
    sheet = contact_sheet(data, count=7, columns=3, max_width=700)
    assert sheet.width <= 700
    pixels = np.asarray(sheet)
    for edge in (pixels[:8], pixels[-8:], pixels[:, :12], pixels[:, -12:]):
        assert edge.min() == 255  # nothing is cut off


def test_a_contact_sheet_shows_label_colours_and_a_legend():
    palette = ((10, 20, 30), (40, 50, 60), (70, 80, 90), (11, 99, 55))
    pixels = np.asarray(contact_sheet(toy(MAPS, palette=palette))).reshape(-1, 3)
    for colour in palette:  # the absent class is in the legend
        assert (pixels == colour).all(axis=1).sum() > 100


def test_a_legend_of_many_classes_breaks_into_rows():
    names = tuple(f"class number {i}" for i in range(60))
    data = toy([[[0, 59]]], names=names)
    assert contact_sheet(data, max_width=500).height > 60 / 3 * 20


def test_contact_sheets_that_cannot_be_drawn():
    with pytest.raises(ValueError, match="too narrow"):
        contact_sheet(toy(MAPS * 9), columns=20, max_width=400)
    with pytest.raises(ValueError, match="nothing to draw"):
        contact_sheet(toy([]))
    assert contact_sheet(toy(MAPS), count=100).width > 0


def test_channels_that_are_no_colours_are_shown_side_by_side():
    data = load_dataset("brains:alder/T1+T2", count=1, size=(32, 32))
    one = load_dataset("brains:alder/T1", count=1, size=(32, 32))
    pages = [np.asarray(contact_sheet(d, 1, 1, max_width=400)) for d in (data, one)]
    assert pages[0].shape[0] < pages[1].shape[0]  # three pictures in the width of two

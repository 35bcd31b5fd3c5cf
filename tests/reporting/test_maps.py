import numpy as np
import pytest
from PIL import Image

from tests.maps.made import made
from tests.training.cases import network, squares
from trfjax.maps.errors import border_and_inside
from trfjax.maps.pixel_map import pixel_map
from trfjax.maps.transfer_map import transfer_map
from trfjax.ranking.sources import Source
from trfjax.reporting.map_files import write_maps
from trfjax.reporting.map_summaries import plot_borders, plot_classes
from trfjax.reporting.maps import contact_sheet, limits_of, overlay, plot_maps
from trfjax.studies.maps import map_source


@pytest.fixture
def case(rng):
    return made(rng)


def bars(figure):
    return [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]


def test_maps_of_several_sources_share_one_scale(case):
    found = transfer_map(*case.arrays("leep"), stride=5)
    figure = plot_maps({"one": found, "two": found}, limits=(-2.0, 0.0))
    shown = [image for ax in figure.axes for image in ax.images]
    assert [image.get_clim() for image in shown] == [(-2, 0)] * 2
    (bar,) = bars(figure)
    assert "LEEP (nats)" in bar.get_ylabel()
    other = transfer_map(*case.arrays("nce"), metric="nce", stride=5)
    with pytest.raises(ValueError, match="maps of one score"):
        plot_maps({"one": found, "two": other})


def test_limits_leave_out_the_ends_and_what_is_undefined():
    assert limits_of(np.array([np.nan, *np.arange(101.0)])) == (1, 99)
    assert limits_of(np.array([np.nan])) == (0, 1)
    assert limits_of() == (0, 1)
    assert limits_of(np.array([2.0, 2.0])) == (1.5, 2.5)


def test_an_overlay_shows_the_image_where_there_is_no_value():
    values = np.array([[np.nan, 1.0], [0.0, 1.0]])
    figure = overlay(np.zeros((2, 2, 3), np.uint8), values, metric="leep", opacity=0.4)
    np.testing.assert_array_equal(
        figure.axes[0].images[1].get_alpha(), [[0, 0.4], [0.4, 0.4]]
    )
    assert len(bars(figure)) == 1
    with pytest.raises(ValueError, match=r"opacity: 1.5 is outside 0..1"):
        overlay(np.zeros((2, 2, 3)), values, metric="leep", opacity=1.5)
    with pytest.raises(ValueError, match="does not fit the image"):
        overlay(np.zeros((3, 2, 3)), values, metric="leep")


def test_the_contact_sheet_begins_with_the_worst(case):
    found = pixel_map(*case.arrays("leep"))
    images = np.zeros((*case.labels.shape, 3), np.uint8)
    figure = contact_sheet(images, found, ["a", "b", "c"], count=2)
    order = np.argsort(found.image_means())
    titles = [ax.get_title(loc="left") for ax in figure.axes[:2]]
    assert [t[0] for t in titles] == ["abc"[i] for i in order[:2]]


def test_classes_and_borders_are_drawn_with_their_errors(case):
    found = pixel_map(*case.arrays("leep"))
    figure = plot_classes(found, ["road", "sky", "tree"])
    lengths = [bar.get_width() for bar in figure.axes[0].patches]
    assert lengths == sorted(one.interval.value for one in found.classes)
    labels = np.where(case.labels == 255, -1, case.labels)
    parts = border_and_inside(found.values, labels)
    figure = plot_borders(parts, parts, metric="leep")
    assert figure.axes[1].patches[0].get_width() == parts[0].mean


def test_a_folder_of_maps(tmp_path):
    target = squares(3, size=(32, 64))
    found = [
        map_source(Source(name, network(), squares(2)), target, metric="leep",
                   stride=16, min_pixels=4)
        for name in ("a/b", "c")
    ]  # fmt: skip
    files = write_maps(found, target, tmp_path, images=1)
    assert {path.name for path in files} == {p.name for p in tmp_path.iterdir()}
    values = np.load(tmp_path / "a-b-to-squares.npy")
    np.testing.assert_array_equal(values, found[0].cells.values)
    names = {path.name for path in files}
    for name in ("a-b-to-squares", "a-b-to-squares-worst", "c-to-squares-classes",
                 "c-to-squares-borders", "all-sources"):  # fmt: skip
        assert f"{name}.png" in names
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as opened:
            assert min(opened.size) > 150

import dataclasses
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.maps.made import made
from tests.training.cases import squares
from trfjax.maps.pixel_map import pixel_map
from trfjax.maps.transfer_map import transfer_map
from trfjax.reporting.maps_page import maps_page
from trfjax.studies.maps import SourceMaps

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NAME = "</script><b>one"  # of a source, as hostile as a name can be


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    rng = np.random.default_rng(0)
    target = squares(3)
    target = dataclasses.replace(target, image_ids=("a", "</script><i>", "c"))
    found = []
    for name in (NAME, "two"):
        case = made(rng, height=32, width=32)
        arrays = case.arrays("leep")
        found.append(
            SourceMaps(
                source=name, target="here", cells=transfer_map(*arrays, stride=16),
                pixels=pixel_map(*arrays), labels=case.labels, errors=case.labels > 1,
            )
        )  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "maps.html"
    assert maps_page(found, target, path, images=2, limits=(-2.0, 0.0)) == path
    return found, path


def held(path):
    (text,) = re.findall(r'id="maps-data">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(text)


def test_the_page_holds_the_worst_images_of_every_source(page):
    found, path = page
    data = held(path)
    for one, shown in zip(found, data["sources"], strict=True):
        order = np.argsort(one.pixels.image_means())[:2]
        assert [entry["image"] for entry in shown] == order.tolist()
        for entry in shown:
            mean = one.pixels.image_means()[entry["image"]]
            assert entry["mean"] == f"{mean:.3f}"
            assert str(entry["image"]) in data["photos"]


def test_the_page_needs_no_network_and_keeps_names_as_text(page):
    text = page[1].read_text()
    assert "http:" not in text and "https:" not in text
    assert "default-src 'none'" in text
    assert text.count("</script>") == 2 and "<i>" not in held(page[1])["sources"]
    assert "&lt;/script&gt;&lt;b&gt;one" in text
    assert ">-2.00<" in text and "LEEP (nats)" in text


def test_scores_without_pixels_have_no_page(page, tmp_path):
    found = dataclasses.replace(page[0][0], pixels=None)
    with pytest.raises(ValueError, match="means over pixels"):
        maps_page([found], squares(1), tmp_path / "maps.html")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_fills_the_picker(page):
    found, path = page
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    done = subprocess.run(
        [*words, path.as_uri()], capture_output=True, text=True, timeout=120
    )
    (options,) = re.findall(r'<select id="image">(.*?)</select>', done.stdout)
    assert options.count("<option") == 2
    first = int(found[0].pixels.image_means().argmin())
    assert f'value="{first}"' in options
    (style,) = re.findall(r'id="laid"[^>]*style="opacity: ([0-9.]+)', done.stdout)
    assert float(style) == 0.6

"""Photographs of any size and format: which are found, and how they are read."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from trfjax.data.images import read_image
from trfjax.data.photographs import FORMATS, find_photographs
from trfjax.errors import DataError


def picture(path, rng, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (6, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def test_names_are_places_without_the_suffix(tmp_path, rng):
    for name in ("9.png", "10.JPG", "more/9.png", "two.png", "two.tif", ".x/a.png"):
        picture(tmp_path / name, rng)
    picture(tmp_path / "out" / "9.png", rng)
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "raw.heic").write_bytes(b"")
    found, others = find_photographs([tmp_path], apart=tmp_path / "out")
    names = [one.name for one in found]
    assert names == ["9", "10", "more/9", "two.png", "two.tif"]
    assert [path.name for path in others] == ["raw.heic"]
    alone, _ = find_photographs([tmp_path / "more" / "9.png"])
    assert [one.name for one in alone] == ["9"]


def test_what_cannot_be_found(tmp_path, rng):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        find_photographs([tmp_path / "nix"])
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"holds no photograph .* 1 other files"):
        find_photographs([tmp_path])
    with pytest.raises(DataError, match=r"notes.txt: is none of \.bmp"):
        find_photographs([tmp_path / "notes.txt"])
    for folder in "ab":
        picture(tmp_path / folder / "1.png", rng)
    with pytest.raises(DataError, match="same name as"):
        find_photographs([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "bmp"])
def test_every_format_is_read_upright(suffix, tmp_path, rng):
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    if suffix != "bmp":  # turned by a quarter, as a telephone stores it
        options["exif"] = Image.Exif()
        options["exif"][274] = 6
    pixels = picture(tmp_path / f"a.{suffix}", rng, **options)
    (one,), _ = find_photographs([tmp_path])
    image, digest = one.read()
    upright = pixels if suffix == "bmp" else np.rot90(pixels, -1)
    np.testing.assert_array_equal(image, upright)
    assert digest == one.digest()


def test_what_cannot_be_read(tmp_path, rng):
    picture(tmp_path / "a.tif", rng)
    frames = [Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), "red")]
    for name, kind in (("b.tif", "TIFF"), ("b.webp", "WEBP")):
        frames[0].save(tmp_path / name, kind, save_all=True, append_images=frames[1:])
        with pytest.raises(DataError, match="holds several pictures"):
            read_image(tmp_path / name, formats=FORMATS)
    with pytest.raises(DataError, match="not a PNG or JPEG file"):
        read_image(tmp_path / "a.tif")
    with pytest.raises(DataError, match="PNG, JPEG, WEBP, TIFF or BMP"):
        (tmp_path / "a.tif").write_bytes(b"II*\0")
        read_image(tmp_path / "a.tif", formats=FORMATS)
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match="8-bit"):
        read_image(tmp_path / "deep.tif", formats=FORMATS)

import contextlib
import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from trfjax.data.exif import orientation_of
from trfjax.data.images import (
    MAX_PIXELS,
    read_image,
    read_label,
    read_stored,
    resize,
)
from trfjax.errors import DataError


def save(path, array, mode=None, **options):
    Image.fromarray(array).convert(mode).save(path, **options) if mode else (
        Image.fromarray(array).save(path, **options)
    )
    return path


@pytest.fixture
def photo(rng):
    return rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)


def png(size, depth, colour, rows):
    """Write a PNG by hand, for pixel types that Pillow does not write."""
    import struct
    import zlib

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_photographs_keep_their_values(tmp_path, photo):
    image = read_image(save(tmp_path / "a.png", photo))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, photo)
    jpeg = read_image(save(tmp_path / "a.jpg", photo, quality=95))
    assert jpeg.shape == photo.shape


def test_grey_photographs(tmp_path, photo):
    grey = photo[..., 0]
    path = save(tmp_path / "a.png", grey)
    np.testing.assert_array_equal(read_image(path), np.repeat(grey[..., None], 3, -1))
    np.testing.assert_array_equal(read_image(path, channels=None)[..., 0], grey)
    assert read_image(path, channels=1).shape == (6, 8, 1)
    with pytest.raises(DataError, match="channels=3"):
        read_image(save(tmp_path / "b.png", photo), channels=1)


def test_an_opaque_alpha_channel_is_dropped_and_another_refused(tmp_path, photo):
    alpha = np.dstack([photo, np.full((6, 8), 255, np.uint8)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", alpha)), photo)
    alpha[0, 0, 3] = 0
    with pytest.raises(DataError, match="see-through"):
        read_image(save(tmp_path / "b.png", alpha))


def test_deep_and_printing_colours_are_refused(tmp_path, photo):
    deep = save(tmp_path / "a.png", photo[..., 0].astype(np.uint16) * 257)
    with pytest.raises(DataError, match="16 bits"):
        read_image(deep)
    with pytest.raises(DataError, match="CMYK"):
        read_image(save(tmp_path / "a.jpg", photo, "CMYK"))


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0, 4, 20, 0.3, 0.7])
def test_files_that_are_cut_off_are_refused(tmp_path, rng, ending, kept):
    noise = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    path = save(tmp_path / f"a.{ending}", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept < 1 else kept])
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert caught.value.path == path


def test_a_png_without_its_end_is_refused(tmp_path, photo):
    path = save(tmp_path / "a.png", photo)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="without its end"):
        read_image(path)


def test_other_formats_are_refused(tmp_path, photo):
    with pytest.raises(DataError, match="not a PNG or JPEG"):
        read_image(save(tmp_path / "a.gif", photo))


def test_the_pixel_limit_stays_on(tmp_path, monkeypatch):
    side = int(MAX_PIXELS**0.5) + 1
    path = tmp_path / "bomb.png"
    path.write_bytes(png((side, side), 1, 0, []))
    for limit in (MAX_PIXELS, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with warnings.catch_warnings(), pytest.raises(DataError, match="pixels"):
            warnings.simplefilter("ignore")
            read_image(path)


def test_random_damage_is_a_data_error_or_harmless(tmp_path, rng):
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 9, (12, 12), dtype=np.uint8)).save(buffer, "PNG")
    for _ in range(200):
        data = bytearray(buffer.getvalue())
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(DataError):
                read_label("x.png", content=bytes(data))


IDS = np.array([[0, 1, 2, 255], [7, 7, 3, 0]], np.uint8)


def test_labels_are_read_as_numbers(tmp_path):
    plain = save(tmp_path / "grey.png", IDS)
    np.testing.assert_array_equal(read_label(plain), IDS)
    assert read_label(plain).dtype == np.int32

    palette = Image.frombytes("P", IDS.shape[::-1], IDS.tobytes())
    palette.putpalette([9, 200, 30] * 256)  # brightness says nothing about the index
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_label(tmp_path / "palette.png"), IDS)

    deep = IDS.astype(np.uint16) * 257
    np.testing.assert_array_equal(read_label(save(tmp_path / "deep.png", deep)), deep)
    bits = IDS > 1
    np.testing.assert_array_equal(read_label(save(tmp_path / "bits.png", bits)), bits)


@pytest.mark.parametrize(("depth", "row"), [(2, b"\x1b"), (4, b"\x01\x23")])
def test_small_grey_depths_are_not_stretched(depth, row):
    label = read_label("a.png", content=png((4, 1), depth, 0, [row]))
    np.testing.assert_array_equal(label, [[0, 1, 2, 3]])


def test_colour_labels_need_a_table(tmp_path):
    colours = {(128, 64, 128): 0, (0, 0, 142): 7, (0, 0, 0): 255}
    table = np.array(list(colours), np.uint8)
    path = save(tmp_path / "a.png", table[[[0, 1], [2, 1]]])
    np.testing.assert_array_equal(read_label(path, colours=colours), [[0, 7], [255, 7]])
    with pytest.raises(DataError, match="colours="):
        read_label(path)
    with pytest.raises(DataError, match=r"\(0, 0, 142\)"):
        read_label(path, colours={(128, 64, 128): 0, (0, 0, 0): 255})


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_labels_with_alpha_are_refused(tmp_path, mode):
    with pytest.raises(DataError, match="alpha"):
        read_label(save(tmp_path / "a.png", IDS, mode))


def test_jpeg_labels_are_refused(tmp_path):
    with pytest.raises(DataError, match="as PNG"):
        read_label(save(tmp_path / "a.jpg", IDS))


def tagged(path, array, tag, order="II"):
    exif = Image.Exif()
    exif.endian = "<" if order == "II" else ">"
    exif[0x0112] = tag
    Image.fromarray(array).save(path, exif=exif)
    return path


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_images_are_turned_as_viewers_turn_them(tmp_path, photo, tag, order):
    path = tagged(tmp_path / "a.png", photo, tag, order)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_image(path), expected)
    stored, orientation = read_stored(path)
    np.testing.assert_array_equal(stored, photo)
    assert orientation == tag
    jpeg = tagged(tmp_path / "a.jpg", photo, tag, order)
    assert read_image(jpeg).shape == expected.shape


@pytest.mark.parametrize("tag", [0, 9, 77])
def test_a_tag_that_says_nothing_turns_nothing(tmp_path, photo, tag):
    path = tagged(tmp_path / "a.png", photo, tag)
    np.testing.assert_array_equal(read_image(path), photo)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_damaged_exif_turns_nothing(tmp_path, photo):
    path = tmp_path / "a.jpg"
    Image.fromarray(photo).save(path, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read_image(path).shape == photo.shape and read_stored(path)[1] == 1


@given(st.binary(max_size=60))
def test_any_exif_is_an_orientation(exif):
    for block in (exif, b"Exif\0\0II*\0\x08\0\0\0" + exif):
        assert 1 <= orientation_of(block) <= 8


def test_a_label_with_a_tag_is_refused(tmp_path, photo):
    path = tagged(tmp_path / "a.png", photo[..., 0], 3)
    with pytest.raises(DataError, match=r"EXIF orientation\. Save it again"):
        read_label(path)


def test_shrinking_averages_areas_and_never_mixes_labels(rng):
    image = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    label = rng.choice(np.array([0, 5, 255], np.int32), (8, 12))
    small, ids = resize(image, label, (4, 6))
    means = image.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 1
    np.testing.assert_array_equal(ids, label[1::2, 1::2])  # pixel centres
    third, ids = resize(image[:6, :9], label[:6, :9], (2, 3))
    assert third.shape == (2, 3, 3)
    np.testing.assert_array_equal(ids, label[1:6:3, 1:9:3])


def test_growing_repeats_labels(rng):
    image = rng.integers(0, 256, (2, 3, 1), dtype=np.uint8)
    label = np.arange(6, dtype=np.int32).reshape(2, 3)
    large, ids = resize(image, label, (4, 6))
    assert large.shape == (4, 6, 1)
    np.testing.assert_array_equal(ids, label.repeat(2, 0).repeat(2, 1))
    same, scalar = resize(image, np.array(3, np.int32), (2, 3))
    assert same is image and scalar == 3

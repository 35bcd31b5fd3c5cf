"""PNG files: every chunk by its checksum, so that no changed bit becomes a label."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.data.test_images import png
from trfjax.data.images import read_image, read_label
from trfjax.data.png import check_png
from trfjax.errors import DataError


@pytest.fixture
def content():
    stream = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(stream, "png")
    return stream.getvalue()


def test_every_flipped_bit_is_noticed(content):
    before = read_label("x.png", content=content)
    assert check_png("x.png", content) == 8
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(DataError, match=r"damaged|cut off|not a PNG"):
            read_label("x.png", content=bytes(flipped))
    np.testing.assert_array_equal(read_label("x.png", content=content), before)


def test_every_cut_is_noticed(content):
    for end in range(len(content)):
        with pytest.raises(DataError, match=r"cut off|not a PNG"):
            read_image("x.png", content=content[:end])


def test_what_follows_the_end_is_left_alone(content):
    assert read_label("x.png", content=content + b"more").shape == (6, 8)


def test_an_animation_is_no_picture():
    frames = [Image.new("L", (4, 4), i) for i in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, "png", save_all=True, append_images=frames[1:])
    for read in (read_image, read_label):
        with pytest.raises(DataError, match="an animated PNG"):
            read("x.png", content=stream.getvalue())


def test_a_header_of_no_picture():
    content = png((2, 1), 8, 0, [b"\0\1"])
    assert read_label("x.png", content=content).tolist() == [[0, 1]]
    with pytest.raises(DataError, match="without its header"):
        check_png("x.png", content[:8] + content[33:])

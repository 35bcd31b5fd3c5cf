"""The colours of classes, and the legend under a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from trfjax.data.labels import LabelMap
from trfjax.reading import printable

RGB = tuple[int, int, int]
INK, PAPER, FAINT = (24, 24, 27), (255, 255, 255), (100, 100, 108)
TEXT = 14  # height of letters, in pixels


def class_colours(labels: LabelMap) -> tuple[RGB, ...]:
    """Return the palette of a label map, or well separated colours without one."""
    if labels.palette is not None:
        return labels.palette
    colours = []
    for i in range(len(labels)):
        hue, shade = (0.58 + 0.61803 * i) % 1.0, (0.9, 0.65, 1.0)[i % 3]
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.7, shade)
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(colours)


def font(size: int = TEXT) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the letters of all pictures."""
    return ImageFont.load_default(size)


def fitted(text: str, width: int, size: int = TEXT) -> str:
    """Shorten `text` in its middle until it fits into `width` pixels."""
    text, letters = printable(text), font(size)
    keep = len(text)
    short = text
    while letters.getlength(short) > width and keep > 1:
        keep -= 1
        short = f"{text[: keep // 2]}...{text[len(text) - (keep - keep // 2) :]}"
    return short


def legend(
    entries: Sequence[tuple[str, RGB]], width: int, *, size: int = TEXT
) -> Image.Image:
    """Draw a swatch and a name for every entry, in as many rows as they need.

    Args:
        entries: name and colour of each.
        width: of the picture.
        size: height of the letters.
    """
    letters, row, swatch = font(size), size + 10, size + 1
    places, x, y = [], 0, 0
    for name, colour in entries:
        text = fitted(name, width - swatch - 15, size)
        wide = swatch + 7 + int(letters.getlength(text)) + 20
        if x and x + wide > width:
            x, y = 0, y + row
        places.append((x, y, text, colour))
        x += wide
    picture = Image.new("RGB", (width, y + row), PAPER)
    draw = ImageDraw.Draw(picture)
    for x, y, text, colour in places:
        draw.rectangle((x, y + 2, x + swatch, y + 2 + swatch), colour, outline=FAINT)
        draw.text((x + swatch + 7, y + 2), text, INK, letters)
    return picture

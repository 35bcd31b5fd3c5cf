"""A page of examples to look at."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trfjax.data.dataset import Dataset, Example, spread
from trfjax.data.labels import LabelMap
from trfjax.reading import printable

RGB = tuple[int, int, int]
_IGNORED: RGB = (0, 0, 0)
_INK, _PAPER, _FAINT = (24, 24, 27), (255, 255, 255), (100, 100, 108)
_MARGIN, _GAP, _TEXT = 20, 12, 14
_SMALL = 200  # widest picture of a classification set


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


def contact_sheet(
    dataset: Dataset, count: int = 12, columns: int = 4, *, max_width: int = 1600
) -> Image.Image:
    """Draw examples, spread evenly over the data set, on one page.

    Segmentation shows every image beside its label in class colours, with a legend;
    classification shows the class name under the image.

    Args:
        dataset: what to look at.
        count: number of examples, at most those there are.
        columns: examples side by side.
        max_width: width the page may have in pixels; small images take less.

    Raises:
        ValueError: an empty data set, or a page too narrow for its columns.
    """
    if not len(dataset) or count < 1 or columns < 1:
        raise ValueError(
            f"{dataset.name}: nothing to draw ({len(dataset)} images, count={count}, "
            f"columns={columns})"
        )
    count = min(count, len(dataset))
    examples = [dataset[i] for i in spread(len(dataset), count)]
    columns = min(columns, count)
    cell = (max_width - 2 * _MARGIN - (columns - 1) * _GAP) // columns
    if cell < 80:
        raise ValueError(f"max_width: {max_width} is too narrow for {columns} columns")
    segmented = examples[0]["label"].ndim == 2
    if not segmented:
        cell = min(cell, _SMALL)
    width = 2 * _MARGIN + columns * cell + (columns - 1) * _GAP
    colours = class_colours(dataset.labels)
    tiles = [_tile(example, dataset, colours, cell) for example in examples]
    legend = _legend(dataset, colours, width, examples) if segmented else None
    return _page(dataset, tiles, columns, cell, legend, width)


def _font(size: int = _TEXT) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fitted(text: str, width: int, size: int = _TEXT) -> str:
    """Shorten `text` in its middle until it fits into `width` pixels."""
    text, font = printable(text), _font(size)
    keep = len(text)
    short = text
    while font.getlength(short) > width and keep > 1:
        keep -= 1
        short = f"{text[: keep // 2]}...{text[len(text) - (keep - keep // 2) :]}"
    return short


def _tile(
    example: Example, dataset: Dataset, colours: tuple[RGB, ...], cell: int
) -> Image.Image:
    """Draw one example: its image, its label if it is a map, and its name."""
    image, label = example["image"], example["label"]
    # Three channels are colours; of other numbers each is shown in grey.
    channels = [image] if image.shape[-1] == 3 else np.moveaxis(image, -1, 0)
    pictures = [
        part if part.ndim == 3 else np.repeat(part[..., None], 3, axis=-1)
        for part in channels
    ]
    caption = example["image_id"]
    if label.ndim == 2:
        table = np.array([*colours, _IGNORED], np.uint8)
        pictures.append(table[np.where(label == dataset.ignore, len(colours), label)])
    else:
        caption = dataset.class_names[int(label)]
    width = (cell - 4 * (len(pictures) - 1)) // len(pictures)
    height = max(round(width * image.shape[0] / image.shape[1]), 1)
    tile = Image.new("RGB", (cell, height + _TEXT + 10), _PAPER)
    for i, picture in enumerate(pictures):
        smooth = i < len(channels) and picture.shape[1] > width
        how = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
        scaled = Image.fromarray(picture).resize((width, height), how)
        tile.paste(scaled, (i * (width + 4), 0))
    text = _fitted(caption, cell)
    ImageDraw.Draw(tile).text((0, height + 4), text, _FAINT, _font())
    return tile


def _legend(
    dataset: Dataset, colours: tuple[RGB, ...], width: int, examples: list[Example]
) -> Image.Image:
    """Draw a swatch and a name for every class, in as many rows as they need."""
    entries = list(zip(dataset.class_names, colours, strict=True))
    if any((example["label"] == dataset.ignore).any() for example in examples):
        entries.append(("ignored", _IGNORED))
    font, row = _font(), _TEXT + 10
    places, x, y = [], 0, 0
    for name, colour in entries:
        text = _fitted(name, width - 2 * _MARGIN - 30)
        wide = 22 + int(font.getlength(text)) + 20
        if x and x + wide > width - 2 * _MARGIN:
            x, y = 0, y + row
        places.append((x, y, text, colour))
        x += wide
    legend = Image.new("RGB", (width - 2 * _MARGIN, y + row), _PAPER)
    draw = ImageDraw.Draw(legend)
    for x, y, text, colour in places:
        draw.rectangle((x, y + 2, x + 15, y + 17), colour, outline=_FAINT)
        draw.text((x + 22, y + 2), text, _INK, font)
    return legend


def _page(
    dataset: Dataset,
    tiles: list[Image.Image],
    columns: int,
    cell: int,
    legend: Image.Image | None,
    width: int,
) -> Image.Image:
    """Put title, tiles and legend on one page."""
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    top = _MARGIN + 2 * _TEXT + 22
    height = top + sum(heights) + _GAP * len(rows) + _MARGIN
    page = Image.new("RGB", (width, height + (legend.height if legend else 0)), _PAPER)
    draw = ImageDraw.Draw(page)
    title = _fitted(dataset.name, width - 2 * _MARGIN, 22)
    draw.text((_MARGIN, _MARGIN - 6), title, _INK, _font(22))
    facts = f"{len(dataset)} images, {dataset.num_classes} classes, {len(tiles)} shown"
    draw.text((_MARGIN, _MARGIN + 24), facts, _FAINT, _font())
    y = top
    for row, high in zip(rows, heights, strict=True):
        for i, tile in enumerate(row):
            page.paste(tile, (_MARGIN + i * (cell + _GAP), y))
        y += high + _GAP
    if legend is not None:
        page.paste(legend, (_MARGIN, y))
    return page

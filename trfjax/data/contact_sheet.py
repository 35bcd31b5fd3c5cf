"""A page of examples to look at."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from trfjax.data.dataset import Dataset, Example, spread
from trfjax.data.legend import (
    FAINT,
    INK,
    PAPER,
    RGB,
    TEXT,
    class_colours,
    fitted,
    font,
    legend,
)

_IGNORED: RGB = (0, 0, 0)
_MARGIN, _GAP = 20, 12
_SMALL = 200  # widest picture of a classification set


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

    Returns:
        The page, as a Pillow image.

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
    below = _legend(dataset, colours, width, examples) if segmented else None
    return _page(dataset, tiles, columns, cell, below, width)


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
    tile = Image.new("RGB", (cell, height + TEXT + 10), PAPER)
    for i, picture in enumerate(pictures):
        smooth = i < len(channels) and picture.shape[1] > width
        how = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
        scaled = Image.fromarray(picture).resize((width, height), how)
        tile.paste(scaled, (i * (width + 4), 0))
    text = fitted(caption, cell)
    ImageDraw.Draw(tile).text((0, height + 4), text, FAINT, font())
    return tile


def _legend(
    dataset: Dataset, colours: tuple[RGB, ...], width: int, examples: list[Example]
) -> Image.Image:
    """Draw a swatch and a name for every class, and one for what is ignored."""
    entries = list(zip(dataset.class_names, colours, strict=True))
    if any((example["label"] == dataset.ignore).any() for example in examples):
        entries.append(("ignored", _IGNORED))
    return legend(entries, width - 2 * _MARGIN)


def _page(
    dataset: Dataset,
    tiles: list[Image.Image],
    columns: int,
    cell: int,
    below: Image.Image | None,
    width: int,
) -> Image.Image:
    """Put title, tiles and legend on one page."""
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    top = _MARGIN + 2 * TEXT + 22
    height = top + sum(heights) + _GAP * len(rows) + _MARGIN
    page = Image.new("RGB", (width, height + (below.height if below else 0)), PAPER)
    draw = ImageDraw.Draw(page)
    title = fitted(dataset.name, width - 2 * _MARGIN, 22)
    draw.text((_MARGIN, _MARGIN - 6), title, INK, font(22))
    facts = f"{len(dataset)} images, {dataset.num_classes} classes, {len(tiles)} shown"
    draw.text((_MARGIN, _MARGIN + 24), facts, FAINT, font())
    y = top
    for row, high in zip(rows, heights, strict=True):
        for i, tile in enumerate(row):
            page.paste(tile, (_MARGIN + i * (cell + _GAP), y))
        y += high + _GAP
    if below is not None:
        page.paste(below, (_MARGIN, y))
    return page

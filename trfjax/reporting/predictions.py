"""Predicted masks as files and pictures, and a table of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trfjax.data.labels import LabelMap
from trfjax.data.layouts import COMMON6, TRAINIDS
from trfjax.data.legend import PAPER, RGB, class_colours, legend
from trfjax.features.predict import Prediction
from trfjax.files import atomic_path, write_text
from trfjax.ranking.records import spreadsheet_cell

CLEAR = ("background", "void")  # classes that an overlay does not paint
SHOWN = 0.001  # share of the pixels from which on a legend names a class
SMALLEST = 480  # pixels that an overlay is wide at least, so that its legend is read


def colours_of(class_names: Sequence[str]) -> tuple[RGB, ...]:
    """Return the colours of masks and overlays.

    Those of Cityscapes where it has all the classes; else the background is black, and
    the others are well separated.
    """
    for known in (TRAINIDS, COMMON6):
        if set(class_names) <= set(known.names) and known.palette is not None:
            return tuple(known.palette[known.names.index(n)] for n in class_names)
    colours = class_colours(LabelMap(tuple(class_names)))
    pairs = zip(class_names, colours, strict=True)
    return tuple((0, 0, 0) if name in CLEAR else colour for name, colour in pairs)


def mask_image(prediction: Prediction) -> Image.Image:
    """Return the mask as a picture: ids that viewers show in the class colours.

    A palette image of 8 bits where the classes fit into it, else ids of 16 bits.

    Raises:
        ValueError: a prediction of one class an image.
    """
    if prediction.mask.ndim != 2:
        raise ValueError(
            f"{prediction.image_id}: one class for the whole image, so there is no mask"
        )
    if len(prediction.class_names) > 256:
        return Image.fromarray(prediction.mask.astype(np.uint16))
    picture = Image.fromarray(prediction.mask.astype(np.uint8), mode="P")
    picture.putpalette(
        [part for rgb in colours_of(prediction.class_names) for part in rgb]
    )
    return picture


def overlay(
    image: np.ndarray, prediction: Prediction, *, opacity: float = 0.5
) -> Image.Image:
    """Return an image under its mask, with a legend of the classes it shows.

    Args:
        image: `(h, w, 3)` or `(h, w, 1)` uint8, the one that was predicted.
        prediction: of that image.
        opacity: of the mask, 0 to 1.

    Raises:
        ValueError: another image, or an opacity outside 0..1.
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity: {opacity} is outside 0..1")
    if image.shape[:2] != prediction.mask.shape:
        raise ValueError(
            f"image: shape {image.shape} for a mask of {prediction.mask.shape}"
        )
    names = prediction.class_names
    colours = colours_of(names)
    picture = image if image.shape[-1] == 3 else np.repeat(image, 3, axis=-1)
    painted = np.array([name not in CLEAR for name in names])[prediction.mask]
    table = np.array(colours, np.uint8)
    mixed = Image.blend(
        Image.fromarray(picture), Image.fromarray(table[prediction.mask]), opacity
    )
    laid = Image.fromarray(np.where(painted[..., None], np.asarray(mixed), picture))
    if laid.width < SMALLEST:
        factor = -(-SMALLEST // laid.width)
        laid = laid.resize((laid.width * factor, laid.height * factor), 0)
    shares = sorted(zip(prediction.shares.items(), colours, strict=True), key=_by_share)
    entries = [
        (f"{name} {share:.1%}", rgb) for (name, share), rgb in shares if share >= SHOWN
    ]
    below = legend(entries, laid.width - 16, size=max(14, laid.width // 60))
    page = Image.new("RGB", (laid.width, laid.height + below.height + 12), PAPER)
    page.paste(laid, (0, 0))
    page.paste(below, (8, laid.height + 8))
    return page


def write_prediction(
    prediction: Prediction,
    image: np.ndarray,
    folder: Path,
    *,
    overlays: bool = True,
    probabilities: bool = False,
    opacity: float = 0.5,
) -> tuple[str, ...]:
    """Write the mask of an image, and what else is wanted; return the files.

    `masks/<image>.png` at the size of the image, `overlays/<image>.jpg`, and
    `probabilities/<image>.npy`, float16 `(h, w, k)` as the network's map has them. One
    class an image writes none of them: it is in the table.

    Args:
        prediction: of the image.
        image: `(h, w, c)` uint8.
        folder: where to.
        overlays: write the image under its mask too.
        probabilities: write the probabilities too.
        opacity: of the mask in the overlay.

    Returns:
        Paths within the folder.

    Raises:
        OSError: a folder that cannot be written to.
    """
    if prediction.mask.ndim != 2:
        return ()
    name, files = prediction.image_id, [f"masks/{prediction.image_id}.png"]
    with atomic_path(folder / files[0]) as temporary:
        mask_image(prediction).save(temporary, format="PNG")
    if overlays:
        files.append(f"overlays/{name}.jpg")
        with atomic_path(folder / files[-1]) as temporary:
            page = overlay(image, prediction, opacity=opacity)
            page.save(temporary, format="JPEG", quality=90)
    if probabilities:
        files.append(f"probabilities/{name}.npy")
        with atomic_path(folder / files[-1]) as temporary:
            np.save(temporary, prediction.probs.astype(np.float16), allow_pickle=False)
    return tuple(files)


def table(records: Sequence[dict[str, Any]], class_names: Sequence[str]) -> str:
    """Return one line per photograph as CSV: how sure, and the share of every class."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["file", "class", "confidence", *class_names, "error"])
    for record in records:
        shares = record.get("shares", {})
        row = [record["file"], record.get("class"), record.get("confidence")]
        row += [shares.get(name) for name in class_names] + [record.get("error")]
        writer.writerow(["" if v is None else spreadsheet_cell(v) for v in row])
    return stream.getvalue()


def write_tables(
    records: Sequence[dict[str, Any]], class_names: Sequence[str], folder: Path
) -> None:
    """Write `predictions.csv`, and `classes.csv` with the id and colour of each."""
    write_text(folder / "predictions.csv", table(records, class_names))
    lines = ["id,name,colour"]
    for i, (name, rgb) in enumerate(
        zip(class_names, colours_of(class_names), strict=True)
    ):
        quoted = '"' + name.replace('"', '""') + '"'
        lines.append(f"{i},{quoted},#{rgb[0]:02x}{rgb[1]:02x}{rgb[2]:02x}")
    write_text(folder / "classes.csv", "\n".join(lines) + "\n")


def text(records: Sequence[dict[str, Any]], class_names: Sequence[str]) -> str:
    """Return in words what was predicted: shares over all, or how many of each."""
    good = [record for record in records if "error" not in record]
    if not good:
        return ""
    sure = float(np.mean([record["confidence"] for record in good]))
    if good[0]["size"]:
        means = {c: float(np.mean([r["shares"][c] for r in good])) for c in class_names}
        noun, shown = "share of all pixels", {c: f"{v:.1%}" for c, v in means.items()}
    else:
        means = {c: float(sum(r["class"] == c for r in good)) for c in class_names}
        noun, shown = "photographs", {c: f"{v:.0f}" for c, v in means.items()}
    order = sorted(means, key=lambda name: -means[name])
    lines = [f"  {name:24} {shown[name]:>7}" for name in order if means[name]]
    return "\n".join([f"  {'class':24} {noun}", *lines, f"mean confidence {sure:.2f}"])


def _by_share(item: tuple[tuple[str, float], RGB]) -> float:
    return -item[0][1]

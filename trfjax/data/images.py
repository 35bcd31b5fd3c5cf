"""Decode image and label files without surprises, and resize the two together."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from trfjax.data.exif import orientation_of, turned
from trfjax.data.png import SIGNATURE, check_png
from trfjax.errors import DataError
from trfjax.reading import read_bytes

Colours = Mapping[tuple[int, int, int], int]  # RGB in a label file -> stored id

FORMATS = ("PNG", "JPEG")  # of data sets
MAX_FILE = 1 << 30  # bytes of an image file
MAX_PIXELS = 89_478_485  # Pillow's own limit, kept even where a caller lifted it
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error),
    # What Pillow makes of a damaged TIFF.
    *(TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError),
)
_BOMB = (Image.DecompressionBombWarning, Image.DecompressionBombError)
_GREY = ("L", "1")


def read_image(
    path: str | Path,
    *,
    channels: int | None = 3,
    content: bytes | None = None,
    formats: tuple[str, ...] = FORMATS,
) -> np.ndarray:
    """Read a photograph, turned as its EXIF tag says.

    Args:
        path: the file; with `content`, only its name in messages.
        channels: 3 repeats grey, 1 accepts grey only, None keeps what is stored.
        content: the bytes of the file, when it lies inside an archive or was read.
        formats: those accepted, by Pillow's names.

    Returns:
        `(h, w, 3)` or `(h, w, 1)` uint8.

    Raises:
        DataError: none of these formats, not whole, too many pixels or pictures, more
            than 8 bits, see-through pixels or CMYK colours.
    """
    stored = read_stored(path, channels=channels, content=content, formats=formats)
    return turned(*stored)


def read_stored(
    path: str | Path,
    *,
    channels: int | None = 3,
    content: bytes | None = None,
    formats: tuple[str, ...] = FORMATS,
) -> tuple[np.ndarray, int]:
    """Read what `read_image` does as it is stored, and its EXIF orientation."""
    image, depth = _open(path, content, formats)
    orientation = orientation_of(image.info.get("exif", b""))
    if image.mode in ("RGBA", "LA"):
        image = _without_alpha(path, image)
    if image.mode == "P" and "transparency" not in image.info:
        image = image.convert("RGB")
    if image.mode not in ("RGB", *_GREY) or depth > 8:
        raise DataError(
            path,
            f"pixel type {image.mode!r} of {depth} bits. "
            "Save it again as 8-bit RGB or grey.",
        )
    if channels == 1 and image.mode == "RGB":
        raise DataError(path, "a colour image where grey is wanted; use channels=3.")
    if channels == 3:
        image = image.convert("RGB")
    elif image.mode == "1":
        image = image.convert("L")
    pixels = np.array(image)
    return pixels if pixels.ndim == 3 else pixels[..., None], orientation


def read_label(
    path: str | Path, *, colours: Colours | None = None, content: bytes | None = None
) -> np.ndarray:
    """Read the ids of a label PNG exactly as stored, `(h, w)` int32.

    Grey of 1 to 16 bits and palette indices are read as numbers; colours are read
    only through `colours`, never turned into brightness.

    Args:
        path: the file.
        colours: the id of every colour, for a label stored in colours.
        content: of the file, where it was read already.

    Returns:
        `(h, w)` int32.

    Raises:
        DataError: a JPEG, an alpha channel, a colour file without `colours`, a
            colour they do not know, or a damaged file.
    """
    image, depth = _open(path, content)
    if image.format != "PNG":
        raise DataError(
            path,
            f"a label stored as {image.format} has invented ids at every edge. "
            "Export the labels again as PNG.",
        )
    if orientation_of(image.info.get("exif", b"")) != 1:
        raise DataError(
            path, "a label with an EXIF orientation. Save it again without the tag."
        )
    if image.mode == "RGB" and depth == 8:
        return _ids_of_colours(path, np.asarray(image), colours)
    if image.mode in ("P", *_GREY) or image.mode.startswith("I"):
        ids = np.asarray(image).astype(np.int32)
        if image.mode == "L" and depth in (2, 4):  # Pillow stretches these to 0..255
            ids //= 255 // (2**depth - 1)
        return ids
    raise DataError(
        path,
        f"pixel type {image.mode!r} of {depth} bits is no label. Save ids as grey or "
        "palette PNG, without an alpha channel.",
    )


def resize(
    image: np.ndarray, label: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Resize an image and its label to `size = (height, width)`.

    Images shrink by area averaging: antialiased, and unlike Lanczos without ringing
    at the edges between classes or values that were not there; they grow linearly.
    Labels take the pixel under the centre of each new one. Scalar labels stay.

    Args:
        image: `(h, w, c)` uint8.
        label: `(h, w)` ids, or a scalar.
        size: height and width to reach.

    Returns:
        Image and label of that size.
    """
    height, width = size
    if image.shape[:2] != (height, width):
        shrinks = height <= image.shape[0] and width <= image.shape[1]
        how = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
        # Channel by channel where they are no colours: Pillow takes 4 for transparency.
        parts = [image] if image.shape[-1] == 3 else np.moveaxis(image, -1, 0)
        scaled = [
            np.asarray(Image.fromarray(part).resize((width, height), how))
            for part in parts
        ]
        image = scaled[0] if image.shape[-1] == 3 else np.stack(scaled, axis=-1)
    if label.ndim == 2 and label.shape != (height, width):
        label = label[_centres(label.shape[0], height)][
            :, _centres(label.shape[1], width)
        ]
    return image, label


def _centres(old: int, new: int) -> np.ndarray:
    """Return the old pixel under the centre of each new one."""
    return (2 * np.arange(new) + 1) * old // (2 * new)


def _open(
    path: str | Path, content: bytes | None, formats: tuple[str, ...] = FORMATS
) -> tuple[Image.Image, int]:
    """Decode a whole picture; return it with its bits per channel, 8 unless a PNG."""
    data = read_bytes(path, limit=MAX_FILE) if content is None else content
    depth = check_png(path, data) if data.startswith(SIGNATURE) else 8
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except _BOMB as error:
        raise DataError(path, str(error)) from error
    except _DAMAGE as error:
        known = " or ".join([", ".join(formats[:-1]), formats[-1]])
        raise DataError(path, f"not a {known} file that can be read.") from error
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            path, f"{image.width}x{image.height} is above {MAX_PIXELS} pixels."
        )
    try:  # a JPEG of a telephone may hold a second picture, of depth: it is no matter
        several = image.format in ("TIFF", "WEBP") and getattr(image, "n_frames", 1) > 1
        image.load()
    except _DAMAGE as error:
        raise DataError(
            path, f"damaged or cut off ({error}). Copy it again."
        ) from error
    if several:
        raise DataError(path, "holds several pictures. Save the one that is meant.")
    return image, depth


def _without_alpha(path: str | Path, image: Image.Image) -> Image.Image:
    if np.asarray(image)[..., -1].min() < 255:
        raise DataError(
            path, "has see-through pixels. Save it again without an alpha channel."
        )
    return image.convert(image.mode[:-1])


def _ids_of_colours(
    path: str | Path, pixels: np.ndarray, colours: Colours | None
) -> np.ndarray:
    if colours is None:
        raise DataError(
            path,
            "a colour image, not ids. Pass colours={(r, g, b): id, ...}, or point to "
            "the label files that hold ids.",
        )
    packed = pixels.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    found, position = np.unique(packed, return_inverse=True)
    ids = np.empty(len(found), np.int32)
    for i, value in enumerate(found.tolist()):
        colour = (value >> 16, value >> 8 & 255, value & 255)
        if colour not in colours:
            raise DataError(path, f"colour {colour} is not in the table `colours`.")
        ids[i] = colours[colour]
    return ids[position].reshape(packed.shape)

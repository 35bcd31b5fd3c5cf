"""Which pixels are drawn, and the values of a feature map at them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from trfjax.files import digest
from trfjax.numbers import as_count, as_seed

STRATEGIES = ("uniform", "balanced", "boundary", "per_image")
RADIUS = 3  # of the boundary band, in pixels

Part = tuple[np.ndarray, ...]  # priority, image, pixel, label of some pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Pixels:
    """Pixels of a data set, ordered by image and place."""

    image: np.ndarray  # (n,) int32
    row: np.ndarray  # (n,) int32 on the grid of the label
    column: np.ndarray  # (n,) int32
    labels: np.ndarray  # (n,) int32
    sizes: np.ndarray  # (images, 2) height and width of every label
    total_valid: int  # pixels that could have been drawn

    def __len__(self) -> int:
        return len(self.labels)


def draw_pixels(
    labels: Iterable[np.ndarray],
    *,
    image_ids: Sequence[str],
    identity: str,
    pixels: int,
    ignore: int,
    strategy: str = "uniform",
    radius: int = RADIUS,
    seed: int = 0,
) -> Pixels:
    """Draw pixels without replacement, in one pass over the labels.

    Every pixel has a random priority that depends on the seed, `identity`, its image's
    id and its place alone; the pixels of the lowest priorities are drawn. So the same
    pixels are drawn for every model, and memory is bounded by what is drawn. Ignored
    pixels are never drawn.

    Args:
        labels: `(h, w)` integers, one per image; sizes may differ.
        image_ids: name of every image.
        identity: name of the data set.
        pixels: how many are drawn; all there are where they are fewer.
        ignore: the label that counts for nothing.
        strategy: `uniform` over all; `balanced`: as many of every class, and where a
            class has too few, more of the others; `boundary`: uniform among those
            within `radius` of a pixel of another class; `per_image`: as many from every
            image (an image with too few gives all it has).
        radius: pixels along rows, columns and diagonals, for `boundary`.
        seed: another seed draws other pixels.

    Returns:
        Where the pixels lie, and their labels, by image.

    Raises:
        ValueError: no pixel to draw from, or settings that cannot be.
    """
    check_drawing(pixels, strategy, radius, seed)
    pool = _Pool(pixels, len(image_ids), strategy)
    sizes = []
    for index, (label, name) in enumerate(zip(labels, image_ids, strict=True)):
        sizes.append(label.shape)
        valid = label != ignore
        if strategy == "boundary":
            valid &= near_boundary(label, ignore=ignore, radius=radius)
        place = np.flatnonzero(valid)
        priority = _priorities(label.size, identity, name, seed)[place]
        image = np.full(len(place), index, np.int32)
        pool.add((priority, image, place, label.ravel()[place].astype(np.int32)))
    _, image, place, drawn = pool.take()
    if not len(drawn):
        band = f" within {radius} pixels of another" if strategy == "boundary" else ""
        raise ValueError(
            f"{identity}: no pixel with a class{band} in {len(sizes)} images; all of "
            f"them are ignored (ignore={ignore})"
        )
    grid = np.asarray(sizes, np.int64)
    row, column = np.divmod(place, grid[image, 1])
    return Pixels(
        image=image,
        row=row.astype(np.int32),
        column=column.astype(np.int32),
        labels=drawn,
        sizes=grid,
        total_valid=pool.total,
    )


def check_drawing(pixels: int, strategy: str, radius: int, seed: int) -> None:
    """Refuse settings that cannot be.

    Raises:
        TypeError, ValueError: a number outside its range, or an unknown strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy: {strategy!r} is none of {', '.join(STRATEGIES)}")
    as_count("pixels", pixels)
    as_count("radius", radius)
    as_seed("seed", seed)


def near_boundary(label: np.ndarray, *, ignore: int, radius: int) -> np.ndarray:
    """Say which pixels have one of another class within `radius`, `(h, w)` bool.

    An ignored pixel is no class: what lies around it is no boundary.
    """
    valid, size = label != ignore, 2 * radius + 1
    info = np.iinfo(np.int32)
    ids = label.astype(np.int32)
    highest = ndimage.maximum_filter(np.where(valid, ids, info.min), size)
    lowest = ndimage.minimum_filter(np.where(valid, ids, info.max), size)
    return valid & (highest != lowest)


def _priorities(count: int, identity: str, name: str, seed: int) -> np.ndarray:
    number = int(digest(identity, name, seed), 16)
    return np.random.default_rng(number).random(count)


class _Pool:
    """The pixels of lowest priority seen so far, apart for each class or image."""

    def __init__(self, pixels: int, images: int, strategy: str) -> None:
        self.pixels, self.images, self.strategy = pixels, images, strategy
        self.parts: dict[int, list[Part]] = {}
        self.total = 0

    def add(self, part: Part) -> None:
        """Take the valid pixels of one image, the images in order."""
        self.total += len(part[0])
        if self.strategy == "balanced":
            for group in np.unique(part[3]):
                of = part[3] == group
                self._add(int(group), tuple(array[of] for array in part), self.pixels)
        elif self.strategy == "per_image":
            index = len(self.parts)
            share, rest = divmod(self.pixels, self.images)
            self._add(index, part, share + (index < rest))
        else:
            self._add(0, part, self.pixels)

    def _add(self, group: int, part: Part, quota: int) -> None:
        kept = self.parts.setdefault(group, [])
        kept.append(_lowest(part, quota))
        if sum(len(p[0]) for p in kept) > 2 * quota:
            kept[:] = [_lowest(_joined(kept), quota)]

    def take(self) -> Part:
        """Return what is drawn, by image and place."""
        groups = [_joined(kept) for kept in self.parts.values()]
        if self.strategy != "per_image":
            quotas = _even([len(group[0]) for group in groups], self.pixels)
            groups = [_lowest(g, q) for g, q in zip(groups, quotas, strict=True)]
        drawn = _joined(groups)
        order = np.lexsort((drawn[2], drawn[1]))
        return tuple(array[order] for array in drawn)


def _joined(parts: Sequence[Part]) -> Part:
    if not parts:
        return tuple(np.zeros(0, t) for t in (float, np.int32, np.int64, np.int32))
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def _lowest(part: Part, count: int) -> Part:
    if len(part[0]) <= count:
        return part
    chosen = np.argpartition(part[0], count)[:count] if count else []
    return tuple(array[np.asarray(chosen, np.int64)] for array in part)


def _even(sizes: Sequence[int], total: int) -> list[int]:
    """Share out `total` evenly, no one more than there is."""
    quotas = [0] * len(sizes)
    for left, index in enumerate(np.argsort(sizes, kind="stable")):
        quotas[index] = min(sizes[index], total // (len(sizes) - left))
        total -= quotas[index]
    return quotas

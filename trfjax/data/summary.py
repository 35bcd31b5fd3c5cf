"""What a data set holds: counts, and a page of examples to look at."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.reading import printable


@dataclasses.dataclass(frozen=True)
class Summary:
    """Counts of one data set; a pixel of a classification set is an image."""

    name: str
    class_names: tuple[str, ...]
    images: int
    groups: int
    sizes: dict[tuple[int, int], int]  # (height, width) -> images
    pixels: np.ndarray  # (C,) int64, labelled pixels of every class
    images_per_class: np.ndarray  # (C,) int64, images that show the class
    ignored: int  # pixels that count for nothing

    @property
    def frequencies(self) -> np.ndarray:
        """Share of every class in the labelled pixels, `(C,)`; zeros if none."""
        return self.pixels / max(int(self.pixels.sum()), 1)

    @property
    def ignored_share(self) -> float:
        """Share of all pixels that count for nothing, in 0..1."""
        return self.ignored / max(int(self.pixels.sum()) + self.ignored, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        sizes = [[*size, count] for size, count in self.sizes.items()]
        return {**fields, "sizes": sizes, "frequencies": self.frequencies}

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes without a single pixel."""
        return tuple(
            name
            for name, n in zip(self.class_names, self.pixels, strict=True)
            if n == 0
        )

    def table(self) -> str:
        """Return the summary as plain text, names printed as they are."""
        sizes = sorted(self.sizes.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{w}x{h} ({n})" for (h, w), n in sizes[:3])
        more = f" and {len(sizes) - 3} more sizes" if len(sizes) > 3 else ""
        head = [
            f"{printable(self.name)}: {self.images} images in {self.groups} groups, "
            f"{len(self.class_names)} classes",
            f"sizes (width x height): {shown}{more}",
            f"ignored: {self.ignored_share:.1%}; absent classes: "
            f"{', '.join(map(printable, self.absent)) or 'none'}",
        ]
        rows = [("class", "pixels", "share", "images")] + [
            (printable(name), f"{n:,}", f"{share:.2%}", f"{seen:,}")
            for name, n, share, seen in zip(
                self.class_names,
                self.pixels.tolist(),
                self.frequencies.tolist(),
                self.images_per_class.tolist(),
                strict=True,
            )
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        body = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        ]
        return "\n".join([*head, "", *body])

    def __str__(self) -> str:
        return self.table()


def summarise(dataset: Dataset) -> Summary:
    """Count sizes and classes by reading every image once.

    Counts are int64: a few full-size frames exceed what float32 can count.
    """
    classes = dataset.num_classes
    pixels = np.zeros(classes, np.int64)
    seen = np.zeros(classes, np.int64)
    ignored = 0
    sizes: Counter[tuple[int, int]] = Counter()
    for example in dataset:
        label = example["label"].ravel()
        kept = label[label != dataset.ignore]
        counts = np.bincount(kept, minlength=classes)
        pixels += counts
        seen += counts > 0
        ignored += label.size - kept.size
        height, width = example["image"].shape[:2]
        sizes[height, width] += 1
    return Summary(
        name=dataset.name,
        class_names=dataset.class_names,
        images=len(dataset),
        groups=len(set(dataset.groups)),
        sizes=dict(sizes),
        pixels=pixels,
        images_per_class=seen,
        ignored=int(ignored),
    )

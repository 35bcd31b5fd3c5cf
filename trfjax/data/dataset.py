"""A labelled image data set as a value: what is in it, and how one example is read."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypedDict, overload

import numpy as np

from trfjax.data.labels import NO_LABELS, LabelMap
from trfjax.files import digest
from trfjax.numbers import as_count, as_seed


class Example(TypedDict):
    """One labelled image."""

    image: np.ndarray  # (h, w, c) uint8
    label: np.ndarray  # (h, w) int32 class indices or ignore; () for classification
    image_id: str


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A sequence of labelled images; selecting from it reads nothing.

    `groups` names the scene of every image (a driving sequence, a city, a block of
    time); `split` never puts one group on both sides when there are several. Where
    `unit` is another word than "image", such as "patient", a group is what shots and
    resamples draw.
    """

    name: str
    labels: LabelMap
    image_ids: tuple[str, ...]
    read: Callable[[int], tuple[np.ndarray, np.ndarray]]  # position -> image, label
    groups: tuple[str, ...]
    fingerprint: str  # identity of the content, for cache keys
    order: tuple[int, ...] | None = None  # positions handed to `read`; None: all
    unit: str = "image"  # what is drawn: an image, or what a group is

    def __post_init__(self) -> None:
        order = self.image_ids if self.order is None else self.order
        if not len(self.image_ids) == len(self.groups) == len(order):
            raise ValueError(
                f"{self.name}: {len(self.image_ids)} image_ids, {len(self.groups)} "
                f"groups and {len(order)} positions; there must be one per image"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in index order."""
        return self.labels.names

    @property
    def labelled(self) -> bool:
        """Whether anybody has labelled the images; where not, all labels are 0."""
        return self.class_names != NO_LABELS.names

    @property
    def num_classes(self) -> int:
        """Number of classes the label map declares, present or not."""
        return len(self.labels)

    @property
    def ignore(self) -> int:
        """The label that counts for nothing."""
        return self.labels.ignore

    def __len__(self) -> int:
        return len(self.image_ids)

    def __repr__(self) -> str:
        classes = f"{self.num_classes} classes" if self.labelled else "no labels"
        units = len(np.unique(self.units))
        of = "" if self.unit == "image" else f" of {units} {self.unit}s"
        return f"<Dataset {self.name}: {len(self)} images{of}, {classes}>"

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> Dataset: ...

    def __getitem__(self, index: int | slice) -> Example | Dataset:
        if isinstance(index, slice):
            return self.select(range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name}: image {index} of {len(self)}")
        index %= len(self)
        position = index if self.order is None else self.order[index]
        image, label = self.read(position)
        return Example(image=image, label=label, image_id=self.image_ids[index])

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(len(self)))

    def select(
        self, indices: Sequence[int] | np.ndarray, *, name: str | None = None
    ) -> Dataset:
        """Return the data set of these images, in this order.

        Raises:
            TypeError: a mask instead of positions.
            IndexError: a position outside the data set.
        """
        if np.asarray(indices).dtype == bool:
            raise TypeError("indices: a mask; pass np.flatnonzero(mask)")
        indices = [int(i) for i in indices]
        outside = [i for i in indices if not -len(self) <= i < len(self)]
        if outside:
            raise IndexError(f"{self.name}: image {outside[0]} of {len(self)}")
        order = range(len(self)) if self.order is None else self.order
        return dataclasses.replace(
            self,
            name=name or self.name,
            image_ids=tuple(self.image_ids[i] for i in indices),
            groups=tuple(self.groups[i] for i in indices),
            order=tuple(order[i] for i in indices),
            fingerprint=f"{self.fingerprint}|{digest([order[i] for i in indices])}",
        )

    @property
    def units(self) -> np.ndarray:
        """Which unit every image belongs to, `(n,)` in 0, 1, ... as they come."""
        if self.unit == "image":
            return np.arange(len(self))
        position = {name: i for i, name in enumerate(dict.fromkeys(self.groups))}
        return np.array([position[name] for name in self.groups], np.int64)

    def shots(self, count: int, *, seed: int) -> Dataset:
        """Draw `count` images, or groups, without replacement: the few labelled ones.

        Args:
            count: images; patients where the unit is a patient, with all their images.
            seed: of the draw.

        Raises:
            ValueError: more shots than there are.
        """
        count, seed = as_count("shots", count), as_seed("seed", seed)
        units = self.units
        held = len(np.unique(units))
        if not 1 <= count <= held:
            raise ValueError(
                f"shots: {count} asked of {self.name}, which has {held} {self.unit}s"
            )
        chosen = np.random.default_rng(seed).permutation(held)[:count]
        indices = np.flatnonzero(np.isin(units, chosen))
        return self.select(indices, name=f"{self.name}:{count}shots@{seed}")

    def split(self, fraction: float = 0.5, *, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Split into train and test parts that share no group.

        Groups are dealt whole, in random order, until the train part holds at least
        `fraction` of the images. With a single group the images are cut at one point
        in their order, since neighbours in a sequence are alike; the images of a
        single patient are not split at all.

        Raises:
            ValueError: a fraction outside (0, 1), or fewer than two images or patients.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction: {fraction} is not between 0 and 1")
        names = sorted(set(self.groups))
        if len(np.unique(self.units)) < 2:
            raise ValueError(f"{self.name}: a split needs at least 2 {self.unit}s")
        if len(names) == 1:
            cut = min(max(round(fraction * len(self)), 1), len(self) - 1)
            train, test = range(cut), range(cut, len(self))
        else:
            train, test = _deal(self.groups, names, fraction * len(self), seed)
        return (
            self.select(train, name=f"{self.name}:train"),
            self.select(test, name=f"{self.name}:test"),
        )

    def map(
        self, change: Callable[[np.ndarray, np.ndarray], tuple[Any, Any]], *, tag: str
    ) -> Dataset:
        """Apply a function of `(image, label)` on reading; `tag` names it in keys."""
        read = self.read
        return dataclasses.replace(
            self,
            read=lambda position: change(*read(position)),
            fingerprint=f"{self.fingerprint}|{tag}",
        )


def spread(n: int, count: int) -> list[int]:
    """Return `count` of `n` positions, one in each of `count` equal stretches.

    The place within a stretch wanders, so that a period in the order (classes that
    alternate, say) does not pick the same kind every time.
    """
    starts = [i * n // count for i in range(count + 1)]
    return [
        start + int(i * 0.6180339887 % 1 * (end - start))
        for i, (start, end) in enumerate(itertools.pairwise(starts))
    ]


def _deal(
    groups: tuple[str, ...], names: list[str], wanted: float, seed: int
) -> tuple[list[int], list[int]]:
    """Deal whole groups to the train part until it holds `wanted` images."""
    order = list(np.random.default_rng(seed).permutation(len(names)))
    sizes = Counter(groups)
    chosen: set[str] = set()
    count = 0
    while count < wanted and len(order) > 1:
        name = names[order.pop()]
        chosen.add(name)
        count += sizes[name]
    train = [i for i, group in enumerate(groups) if group in chosen]
    return train, [i for i, group in enumerate(groups) if group not in chosen]

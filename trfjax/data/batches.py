"""Which images come next, as a pure function of the step, and reading them ahead."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from trfjax.data.dataset import Dataset

T = TypeVar("T")


def batch_indices(n: int, batch_size: int, step: int, *, seed: int) -> np.ndarray:
    """Return the images of one step, `(batch_size,)` int64 in `0..n-1`.

    Every epoch shuffles anew and shows each image once; the last batch of an epoch is
    filled from the next, so that shapes never change. The result depends on the
    arguments alone: a run that is resumed sees what it would have seen.

    Args:
        n: number of images.
        batch_size: images a step.
        step: number of the step, from 0.
        seed: of the order.

    Returns:
        `(batch_size,)` int64 in `0..n-1`.

    Raises:
        ValueError: a size below 1, or a negative step or seed.
    """
    if n < 1 or batch_size < 1:
        raise ValueError(f"n, batch_size: {n} and {batch_size} must be at least 1")
    if step < 0 or seed < 0:
        raise ValueError(f"step, seed: {step} and {seed} must not be negative")
    first, last = step * batch_size, (step + 1) * batch_size
    epochs = range(first // n, (last - 1) // n + 1)
    orders = [np.random.default_rng([seed, epoch]).permutation(n) for epoch in epochs]
    start = first - epochs[0] * n
    return np.concatenate(orders)[start : start + batch_size]


def load_batch(
    dataset: Dataset, indices: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Read some images.

    Returns:
        Images `(b, h, w, c)` uint8 and labels `(b, h, w)` int32, or `(b,)` for
        classification.

    Raises:
        ValueError: images of different sizes, or no indices.
    """
    if len(indices) == 0:
        raise ValueError(
            f"indices: none, so there is nothing to read of {dataset.name}"
        )
    examples = [dataset[int(i)] for i in indices]
    first = examples[0]
    for example in examples:
        if example["image"].shape != first["image"].shape:
            raise ValueError(
                f"{dataset.name}: {example['image_id']} is {example['image'].shape}, "
                f"{first['image_id']} is {first['image'].shape}. Load the data set "
                "with size=(height, width)."
            )
    images = np.stack([example["image"] for example in examples])
    labels = np.stack([example["label"] for example in examples])
    return images, labels.astype(np.int32, copy=False)


def stack(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Read the whole data set into memory, as `load_batch` does."""
    return load_batch(dataset, range(len(dataset)))


def prefetch(iterable: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Yield from `iterable`, read by one thread up to `depth` items ahead.

    An exception in the reader is raised here, after the items before it. The thread
    ends with the loop, also when the loop is left early or the iterator is closed.

    Raises:
        ValueError: a depth below 1.
    """
    if depth < 1:
        raise ValueError(f"depth: {depth} must be at least 1")
    return _prefetch(iterable, depth)


def _prefetch(iterable: Iterable[T], depth: int) -> Iterator[T]:
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    stop = threading.Event()

    def offer(kind: str, item: Any) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ready.put((kind, item), timeout=0.1)
                return

    def read() -> None:
        try:
            for item in iterable:
                offer("item", item)
                if stop.is_set():
                    return
            offer("end", None)
        except BaseException as error:  # handed to the consumer, which raises it
            offer("error", error)

    thread = threading.Thread(target=read, name="trfjax-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = ready.get()
            if kind == "error":
                raise item
            if kind == "end":
                return
            yield item
    finally:
        stop.set()
        thread.join()

"""The images that episodes read, once."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from trfjax.data import Dataset, load_batch, stack
from trfjax.episodes.draw import Episodes
from trfjax.state import TrainedModel
from trfjax.training.loop import blank_batch
from trfjax.training.supervised import Batch


def gather(
    pool: Dataset, episodes: Episodes
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Read the images that occur, once; return them and the positions among them."""
    every = np.concatenate([episodes.support.ravel(), episodes.query.ravel()])
    if every.min() < 0 or every.max() >= len(pool):
        raise ValueError(
            f"episodes: they point to images {every.min()}..{every.max()} of "
            f"{pool.name}, which has {len(pool)}; draw them from its labels"
        )
    used, position = np.unique(every, return_inverse=True)
    images, _ = load_batch(pool, used)
    support, query = np.split(position, [episodes.support.size])
    return images, (
        support.reshape(episodes.support.shape),
        query.reshape(episodes.query.shape),
    )


def all_source_images(
    source: TrainedModel, data: Dataset | None, image: tuple[int, ...]
) -> Batch:
    """Return all source images and labels."""
    if data is None:
        raise ValueError(
            "source_data: the guide aligns target with source features, so it needs "
            "labelled images of the source. Pass guide=None to fine-tune without."
        )
    if data.class_names != source.card.class_names:
        raise ValueError(
            f"source_data: its classes ({', '.join(data.class_names)}) are not those "
            f"of the network ({', '.join(source.card.class_names)})"
        )
    images, labels = stack(data)
    if images.shape[1:] != image:
        raise ValueError(
            f"source_data: images of shape {images.shape[1:]}, those of the pool have "
            f"{image}. Load both with the same size= and channels=."
        )
    return dataclasses.replace(
        blank_batch(data, source.card, None),
        images=jnp.asarray(images),
        labels=jnp.asarray(labels),
    )

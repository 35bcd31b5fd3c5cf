"""Scores on resampled images: what other images of the same place would have given."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from trfjax.scores.otce import OtceResult
from trfjax.scores.registry import ScoreSpec
from trfjax.transport.conditional import entropy_given_rows

TOGETHER = 8  # replicates computed at a time


def image_multiplicities(images: int, replicates: int, *, seed: int) -> np.ndarray:
    """Return how often each image occurs in each resample, `(replicates, images)`.

    The same seed gives the same resamples, so that sources are compared on the same
    ones.
    """
    rng = np.random.default_rng([seed, 0x1A6E5])
    share = np.full(images, 1 / images)
    return rng.multinomial(images, share, size=replicates).astype(np.float32)


def target_only_replicates(
    spec: ScoreSpec,
    arrays: Mapping[str, np.ndarray],
    labels: np.ndarray,
    image: np.ndarray,
    multiplicities: np.ndarray,
    *,
    num_classes: int,
    ignore: int,
) -> np.ndarray:
    """Return a target-only score on every resample, `(replicates,)`.

    The score is computed anew with every pixel weighted by how often its image
    occurs; nothing is approximated.
    """
    given = tuple(jnp.asarray(arrays[name]) for name in spec.arrays)
    sources = None
    if spec.needs == "predictions":
        sources = int(arrays["predictions"].max()) + 1
    found = _replicates(
        given, jnp.asarray(labels), jnp.asarray(image), jnp.asarray(multiplicities),
        spec=spec, num_classes=num_classes, sources=sources, ignore=ignore,
    )  # fmt: skip
    return np.asarray(found, np.float64)


@functools.partial(
    jax.jit, static_argnames=("spec", "num_classes", "sources", "ignore")
)
def _replicates(
    arrays: tuple[Any, ...],
    labels: Any,
    image: Any,
    multiplicities: Any,
    *,
    spec: ScoreSpec,
    num_classes: int,
    sources: int | None,
    ignore: int,
) -> Any:
    options = {} if sources is None else {"num_source_classes": sources}

    def once(count: Any) -> Any:
        return spec.function(
            *arrays, labels, num_classes=num_classes, ignore=ignore,
            weights=count[image], **options,
        )  # fmt: skip

    return lax.map(once, multiplicities, batch_size=TOGETHER)


def otce_replicates(
    result: OtceResult,
    labels: np.ndarray,
    image: np.ndarray,
    multiplicities: np.ndarray,
    *,
    seed: int,
) -> np.ndarray:
    """Return the OTCE score on every resample of images and draws, `(replicates,)`.

    The plan of a draw is kept and its pixels are weighted by how often their image
    occurs: to first order that is the plan of the resampled images, without another
    solve. Draws are resampled too.

    Args:
        result: of the target pixels that `labels` and `image` belong to.
        labels: `(n,)` target-class indices.
        image: `(n,)` index of the image of every pixel.
        multiplicities: `(replicates, images)`.
        seed: of the resampling of draws.
    """
    images, classes = multiplicities.shape[1], int(labels.max()) + 1
    joints = []
    for shares, rows in zip(
        np.asarray(result.draws.target_shares),
        np.asarray(result.draws.target_index),
        strict=True,
    ):
        joint = np.zeros((images * classes, shares.shape[1]), np.float32)
        np.add.at(joint, image[rows] * classes + labels[rows], shares)
        joints.append(joint.reshape(images, classes, -1))
    weighted = np.einsum("bi,kits->bkst", multiplicities, np.stack(joints))
    scores = -np.asarray(jax.vmap(jax.vmap(entropy_given_rows))(jnp.asarray(weighted)))
    repeats = len(joints)
    draws = np.random.default_rng([seed, 0xD7A35]).integers(
        repeats, size=(len(multiplicities), repeats)
    )
    return np.take_along_axis(scores.astype(np.float64), draws, axis=1).mean(axis=1)

"""Scores on resampled images: what other images of the same place would have given."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from trfjax.scores.otce.result import OtceResult
from trfjax.scores.registry import ScoreSpec
from trfjax.transport.conditional import entropy_given_rows

TOGETHER = 8  # replicates computed at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Resamples:
    """How often every image counts: in each resample, and with each image left out."""

    rows: np.ndarray  # (replicates + images, images) float32
    replicates: int

    @classmethod
    def draw(cls, images: int, replicates: int, *, seed: int) -> Resamples:
        """Draw images with replacement.

        The same seed gives the same resamples, so that sources are compared on the
        same ones.
        """
        rng = np.random.default_rng([seed, 0x1A6E5])
        drawn = rng.multinomial(images, np.full(images, 1 / images), size=replicates)
        left_out = 1 - np.eye(images)
        return cls(np.concatenate([drawn, left_out]).astype(np.float32), replicates)

    def split(self, values: np.ndarray) -> dict[str, tuple[float, ...]]:
        """Return the scores of the rows as fields of a cell."""
        numbers = [float(value) for value in values]
        return {
            "replicates": tuple(numbers[: self.replicates]),
            "left_out": tuple(numbers[self.replicates :]),
        }


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
    resamples: Resamples,
    *,
    seed: int,
) -> np.ndarray:
    """Return the OTCE score of every row of resamples.

    The plan of a draw is kept and its pixels are weighted by how often their image
    occurs: to first order that is the plan of the resampled images, without another
    solve. Draws are resampled too, except where an image is left out.

    Args:
        result: of the target pixels that `labels` and `image` belong to.
        labels: `(n,)` target-class indices.
        image: `(n,)` index of the image of every pixel.
        resamples: of the images.
        seed: of the resampling of draws.
    """
    rows = resamples.rows
    images, classes = rows.shape[1], int(labels.max()) + 1
    joints = []
    for shares, drawn in zip(
        np.asarray(result.draws.target_shares),
        np.asarray(result.draws.target_index),
        strict=True,
    ):
        joint = np.zeros((images * classes, shares.shape[1]), np.float32)
        np.add.at(joint, image[drawn] * classes + labels[drawn], shares)
        joints.append(joint.reshape(images, classes, -1))
    weighted = np.einsum("bi,kits->bkst", rows, np.stack(joints))
    scores = -np.asarray(jax.vmap(jax.vmap(entropy_given_rows))(jnp.asarray(weighted)))
    repeats = len(joints)
    draws = np.broadcast_to(np.arange(repeats), (len(rows), repeats)).copy()
    draws[: resamples.replicates] = np.random.default_rng([seed, 0xD7A35]).integers(
        repeats, size=(resamples.replicates, repeats)
    )
    return np.take_along_axis(scores.astype(np.float64), draws, axis=1).mean(axis=1)

"""OTCE of resampled images from the plan of the drawn pixels."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from trfjax.scores.otce.result import OtceResult
from trfjax.statistics.resamples import Resamples
from trfjax.transport.conditional import entropy_given_rows


def resampled_draws(
    result: OtceResult,
    *,
    labels: Int[np.ndarray, " n"],
    images: Int[np.ndarray, " n"],
    resamples: Resamples,
    seed: int,
) -> Float[np.ndarray, " b"]:
    """Return the score of every row of resamples.

    The plan of a draw is kept and its pixels are weighted by how often their image
    occurs: to first order that is the plan of the resampled images, without another
    solve. Draws are resampled too, except where an image is left out.

    Args:
        result: of the target pixels that `labels` and `images` belong to.
        labels: target-class index of every pixel.
        images: index of the image of every pixel.
        resamples: of the images.
        seed: of the resampling of draws.
    """
    rows = resamples.rows
    count, classes = rows.shape[1], int(labels.max()) + 1
    joints = []
    for shares, drawn in zip(
        np.asarray(result.draws.target_shares),
        np.asarray(result.draws.target_index),
        strict=True,
    ):
        joint = np.zeros((count * classes, shares.shape[1]), np.float32)
        np.add.at(joint, images[drawn] * classes + labels[drawn], shares)
        joints.append(joint.reshape(count, classes, -1))
    weighted = np.einsum("bi,kits->bkst", rows, np.stack(joints))
    scores = -np.asarray(jax.vmap(jax.vmap(entropy_given_rows))(jnp.asarray(weighted)))
    repeats = len(joints)
    draws = np.broadcast_to(np.arange(repeats), (len(rows), repeats)).copy()
    draws[: resamples.replicates] = np.random.default_rng([seed, 0xD7A35]).integers(
        repeats, size=(resamples.replicates, repeats)
    )
    return np.take_along_axis(scores.astype(np.float64), draws, axis=1).mean(axis=1)

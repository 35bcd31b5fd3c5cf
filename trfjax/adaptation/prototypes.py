"""Prototypes: a mean feature of every class, and how near pixels lie to each.

Zhang et al., "Prototypical Pseudo Label Denoising and Target Structure Learning for
Domain Adaptive Semantic Segmentation", CVPR 2021, Section 3.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

LEAST = 10  # pixels of a class in an image that move its prototype


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Prototypes:
    """A feature of every class, where one was ever seen."""

    means: Float[Array, "k f"]
    present: Bool[Array, " k"]


def centroids(
    features: Float[Array, "n f"], labels: Int[Array, " n"], num_classes: int
) -> tuple[Float[Array, "k f"], Float[Array, " k"]]:
    """Return the mean feature and the count of every class; 0 where there is none.

    Args:
        features: one row a pixel.
        labels: its class; what is no class counts for nothing.
        num_classes: number of classes.
    """
    member = jax.nn.one_hot(labels, num_classes, dtype=features.dtype)  # (n, k)
    counts = member.sum(axis=0)
    sums = jnp.einsum("nk,nf->kf", member, features, precision="highest")
    return sums / jnp.maximum(counts, 1)[:, None], counts


def nearness(
    features: Float[Array, "*dims f"], prototypes: Prototypes, *, temperature: float
) -> Float[Array, "*dims k"]:
    r"""Return $\log \omega$, where $\omega_k \propto \exp(-\|f - \eta_k\| / \tau)$.

    A class without a prototype has weight 0. No gradient reaches the prototypes.

    Args:
        features: one vector a pixel.
        prototypes: of every class.
        temperature: $\tau$, in units of features.

    Reference:
        Equations 7 and 11.
    """

    def distance(mean: Float[Array, " f"]) -> Float[Array, "*dims"]:
        squares = ((features - mean) ** 2).sum(axis=-1)
        # The root has no slope at 0; a feature on its prototype stays there.
        return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)

    means = jax.lax.stop_gradient(prototypes.means)
    distances = jax.vmap(distance, out_axes=-1)(means)
    scores = jnp.where(prototypes.present, -distances / temperature, -jnp.inf)
    return jax.nn.log_softmax(jnp.where(prototypes.present.any(), scores, 0))


def moved(
    prototypes: Prototypes,
    features: Float[Array, "b n f"],
    labels: Int[Array, "b n"],
    *,
    momentum: float,
) -> Prototypes:
    r"""Return $\eta_k \leftarrow m\, \eta_k + (1 - m)\, \bar f_k$, image by image.

    Of classes with at least ten pixels in the image. The first time a class is seen
    its prototype is the centroid.

    Args:
        prototypes: as they are.
        features: of some images.
        labels: their classes; what is no class counts for nothing.
        momentum: $m$, 0 to 1.
    """
    k = len(prototypes.means)

    def image(old: Prototypes, both: tuple[Array, Array]) -> tuple[Prototypes, None]:
        means, counts = centroids(*both, k)
        seen = counts >= LEAST
        rate = jnp.where(old.present, momentum, 0.0).astype(means.dtype)[:, None]
        new = rate * old.means + (1 - rate) * means
        kept = jnp.where(seen[:, None], new, old.means)  # absent: bit for bit
        return Prototypes(kept, old.present | seen), None

    return jax.lax.scan(image, prototypes, (features, labels))[0]


def labels_at(
    labels: Int[Array, "b ..."], features: Float[Array, "b ... f"]
) -> Int[Array, "b n"]:
    """Return labels on the grid of features: pixel `floor(i s)` of an axis."""
    for axis in range(1, labels.ndim):
        have, want = labels.shape[axis], features.shape[axis]
        labels = labels.take(jnp.arange(want) * have // want, axis=axis)
    return labels.reshape(len(labels), -1)

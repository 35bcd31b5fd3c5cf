"""Soft HGR: features that correlate best with a task, by a small network."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import labelled_rows, to_array
from trfjax.scores.classwise import dot
from trfjax.scores.hscore import h_score
from trfjax.scores.images import image_index
from trfjax.typing import IGNORE, ArrayInput, Count, Features, Labels, Weights


def soft_hgr(
    left: Float[Array, "n k"],
    right: Float[Array, "n k"],
    weights: Weights | None = None,
) -> Float[Array, ""]:
    r"""Soft-HGR objective of two feature maps of the same instances.

    $$\mathbb{E}\bigl[f^\top g\bigr] - \tfrac12 \operatorname{tr}\bigl(
    \operatorname{cov} f \, \operatorname{cov} g \bigr), \qquad
    \mathbb{E} f = \mathbb{E} g = 0$$

    Args:
        left: f, centred here.
        right: g, centred here.
        weights: non-negative weight of every instance; uniform by default.

    Returns:
        A number; its maximum over f and g is half the largest H-score with k features.

    Reference:
        Wang, Wu, Huang, Zheng, Xu, Zhang and Huang, "An Efficient Approach to
        Informative Feature Extraction from Multimodal Data", AAAI 2019, Equation 7.
    """
    share = jnp.ones(len(left), left.dtype) if weights is None else weights
    share = share / share.sum()
    left, right = left - dot(share, left), right - dot(share, right)
    product = jnp.sum(share[:, None] * left * right)
    spreads = [dot((share[:, None] * rows).T, rows) for rows in (left, right)]
    return product - jnp.sum(spreads[0] * spreads[1]) / 2


def max_h_score_network(
    inputs: ArrayInput,
    labels: ArrayInput,
    *,
    images: ArrayInput | None = None,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    features: int | None = None,
    width: int = 64,
    steps: int = 300,
    rate: float = 1e-2,
    seed: int = 0,
) -> Float[Array, ""]:
    r"""Estimate of the largest H-score for inputs that are vectors, on unseen images.

    A network with one hidden layer maps the standardised inputs to k features. For
    given features the best g of soft HGR is a table over the classes in closed form,
    and what is left is half the H-score of the features: that is what the network
    rises. Half of the images are fitted, the other half judged, and the other way
    round; the mean is returned, below the maximum as far as the network falls short.

    Args:
        inputs: `(n, d)` or `(b, h, w, d)` inputs of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        images: id of the image of every instance, or of every map; by default every
            map, or every row, is an image of its own.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: non-negative weight of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        features: k; by default one fewer than classes.
        width: of the hidden layer.
        steps: of Adam on all instances of a half.
        rate: its learning rate.
        seed: of the initial weights.

    Returns:
        A number in `[0, classes - 1]`, no unit.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, a single
            image, nothing left to score.

    Reference:
        Wang et al., "An Efficient Approach to Informative Feature Extraction from
        Multimodal Data", AAAI 2019.
    """
    labels = to_array("labels", labels)
    rows = labelled_rows(
        inputs,
        labels,
        names=("inputs", "labels"),
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
    )
    half = image_index(images, labels.shape) % 2
    parts = [jnp.asarray(np.where(half == side, rows.weights, 0)) for side in (0, 1)]
    if min(float(part.sum()) for part in parts) == 0:
        raise ValueError("images: a single image; half of them judge the other half")
    share = rows.weights / rows.weights.sum()
    centred = rows.features - dot(share, rows.features)
    spread = jnp.sqrt(dot(share, jnp.square(centred)))
    scaled = centred / jnp.where(spread > 0, spread, 1)
    key = jax.random.key(seed)
    values = [
        _fitted(
            _Halves(scaled, rows.labels, fit, judge),
            key,
            num_classes=rows.num_classes,
            sizes=(width, features or max(rows.num_classes - 1, 1)),
            steps=steps,
            rate=rate,
        )
        for fit, judge in (parts, parts[::-1])
    ]
    return (values[0] + values[1]) / 2


class _Halves(NamedTuple):
    """Instances, of which a half is fitted and a half is judged."""

    inputs: Features
    labels: Labels
    fit: Weights
    judge: Weights


@functools.partial(jax.jit, static_argnames=("num_classes", "sizes", "steps"))
def _fitted(
    halves: _Halves,
    key: Any,
    *,
    num_classes: int,
    sizes: tuple[int, int],
    steps: int,
    rate: float | Float[Array, ""],
) -> Float[Array, ""]:
    inputs, labels, fit, judge = halves

    def score(network: Any, weights: Weights) -> Float[Array, ""]:
        hidden = jnp.tanh(dot(inputs, network["in"]) + network["bias"])
        found = dot(hidden, network["out"])
        return h_score(
            found, labels, num_classes=num_classes, weights=weights, ignore=-1
        )

    key_in, key_out = jax.random.split(key)
    width, features = sizes
    dtype = inputs.dtype
    network = {
        "in": jax.random.normal(key_in, (inputs.shape[1], width), dtype)
        / inputs.shape[1] ** 0.5,
        "bias": jnp.zeros(width, dtype),
        "out": jax.random.normal(key_out, (width, features), dtype) / width**0.5,
    }

    def step(state: tuple, count: Array) -> tuple:
        network, first, second = state
        slope = jax.grad(score)(network, fit)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slope)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, second, slope)
        bias = (1 - 0.9 ** (count + 1.0), 1 - 0.999 ** (count + 1.0))
        network = jax.tree.map(
            lambda p, m, v: p + rate * (m / bias[0]) / (jnp.sqrt(v / bias[1]) + 1e-8),
            network,
            first,
            second,
        )
        return (network, first, second), None

    zeros = jax.tree.map(jnp.zeros_like, network)
    start = (network, zeros, zeros)
    (network, _, _), _ = lax.scan(step, start, jnp.arange(steps))
    return score(network, judge)

"""Soft neighbourhood density: do the features of the target form groups?"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import safe_divide
from trfjax.numbers import as_real
from trfjax.promotion import usual_promotion
from trfjax.scores.classwise import dot
from trfjax.scores.spec import ScoreSpec, laws
from trfjax.scores.thinning import check_limit, thinned
from trfjax.scores.unlabelled import unlabelled_rows
from trfjax.scores.whitening import factor_of
from trfjax.typing import ArrayInput, Features, Weights

BLOCK = 512  # instances whose similarities to all others are held at a time


@usual_promotion
def neighbourhood_density(
    features: ArrayInput,
    *,
    weights: ArrayInput | None = None,
    temperature: float = 0.05,
    num_samples: int = 5_000,
) -> Float[Array, ""]:
    r"""Soft neighbourhood density: mean entropy of the similarities of an instance.

    $$\frac1n \sum_i H\Bigl(\operatorname{softmax}_{j \ne i}
    \frac{\cos(z_i, z_j)}{T}\Bigr)$$

    High where an instance has many neighbours as near as each other. It needs no labels
    and looks at the target alone, so it orders sources, or states of one network, for a
    target without labels; it says nothing about fine-tuning with labels. It grows with
    the number of instances: compare equal numbers.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances, or their
            probabilities, as published.
        weights: multiplicity of every instance; uniform by default.
        temperature: T.
        num_samples: instances looked at, evenly spaced in their order.

    Returns:
        Nats, in `[0, log(n - 1)]`; larger means more transferable. NaN for a single
        instance.

    Raises:
        TypeError, ValueError: features that are not finite, a setting out of range,
            nothing left to score.

    Reference:
        Saito, Kim, Teterwak, Sclaroff, Darrell and Saenko, "Tune it the Right Way:
        Unsupervised Validation of Domain Adaptation via Soft Neighborhood Density",
        ICCV 2021, Equations 1 to 3.
    """
    as_real("temperature", temperature, above=0)
    check_limit(num_samples)
    rows, _ = thinned(
        unlabelled_rows("features", features, weights=weights), num_samples
    )
    return neighbourhood_density_core(rows.features, rows.weights, temperature)


@jax.jit
def neighbourhood_density_core(
    features: Features, weights: Weights, temperature: float | Float[Array, ""] = 0.05
) -> Float[Array, ""]:
    """Return the density; rows of weight 0 count for nothing."""
    # Directions do not know the size of a row, whose square may leave the range.
    features = features * factor_of(features.T, by_column=True).T
    squares = jnp.sum(jnp.square(features), axis=1, keepdims=True)
    unit = safe_divide(features, jnp.sqrt(jnp.where(squares > 0, squares, 1)))
    place = jnp.arange(len(weights))

    def entropy(parts: tuple[Array, Array]) -> Float[Array, ""]:
        row, index = parts
        logits = dot(unit, row) / temperature
        # Copies of an instance are neighbours of each other, not of themselves.
        held = jnp.maximum(weights - (place == index), 0)
        top = lax.stop_gradient(jnp.max(jnp.where(held > 0, logits, -jnp.inf)))
        shifted = jnp.where(held > 0, logits - top, 0)
        mass = held * jnp.exp(shifted)
        total = mass.sum()
        return jnp.log(total) - jnp.sum(mass * shifted) / total

    values = lax.map(entropy, (unit, place), batch_size=BLOCK)
    counted = jnp.where(weights > 0, weights * values, 0)
    return counted.sum() / weights.sum()


SPEC = ScoreSpec(
    name="neighbourhood_density",
    function=neighbourhood_density,
    inputs=("target_features",),
    title="Soft neighbourhood density",
    unit="nats",
    bounds=lambda labels, arrays: (0.0, float(np.log(max(labels.size - 1, 1)))),
    labels="none",
    laws=laws("rotation", "scale", "zero_feature"),
    rtol=1e-4,
)

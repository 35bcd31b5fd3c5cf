"""Energy of ETran: how much a source head knows the target instances."""

from __future__ import annotations

import functools
from collections.abc import Collection

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from trfjax.numbers import as_real
from trfjax.promotion import usual_promotion
from trfjax.scores.bounds import unbounded
from trfjax.scores.spec import ScoreSpec, laws
from trfjax.scores.unlabelled import unlabelled_rows
from trfjax.typing import IGNORE, ArrayInput, Weights


@usual_promotion
def energy(
    source_logits: ArrayInput,
    labels: ArrayInput | None = None,
    *,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    temperature: float = 1.0,
    fraction: float = 1.0,
) -> Float[Array, ""]:
    r"""Energy score: mean log-sum-exp of the source head's logits.

    $$\frac{1}{n} \sum_i T \log \sum_z e^{l_{iz} / T}$$

    over all instances, or over the `fraction` of them with the lowest values. High
    where the head knows what it sees. It needs no labels: those given only say which
    instances are ignored. It follows the scale of the logits, so heads are comparable
    where they were trained alike.

    Args:
        source_logits: `(n, z)` or `(b, h, w, z)` logits of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`; None counts every instance.
        weights: multiplicity of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        temperature: T, in units of the logits.
        fraction: of the instances, those of lowest energy, in `(0, 1]`; at least one
            instance.

    Returns:
        A number in units of the logits; larger means more transferable.

    Raises:
        TypeError, ValueError: arrays that do not fit, a temperature or fraction out of
            range, nothing left to score.

    Reference:
        Gholami, Akbari, Wang, Kamranian and Zhang, "ETran: Energy-Based Transferability
        Estimation", ICCV 2023, Equations 3 and 4. Published code takes the penultimate
        features for the logits and half a percent of the instances for half of them.
    """
    as_real("temperature", temperature, above=0)
    as_real("fraction", fraction, above=0, most=1)
    rows = unlabelled_rows(
        "source_logits", source_logits, labels=labels, weights=weights, ignore=ignore
    )
    return energy_core(
        rows.features, rows.weights, temperature, whole=fraction == 1, fraction=fraction
    )


@functools.partial(jax.jit, static_argnames="whole")
def energy_core(
    logits: Float[Array, "n z"],
    weights: Weights,
    temperature: float | Float[Array, ""] = 1.0,
    *,
    whole: bool = True,
    fraction: float | Float[Array, ""] = 1.0,
) -> Float[Array, ""]:
    """Return the mean energy; rows of weight 0 count for nothing."""
    values = temperature * jax.nn.logsumexp(logits / temperature, axis=1)
    if not whole:
        order = jnp.argsort(values)
        values, weights = values[order], weights[order]
        room = jnp.maximum(fraction * weights.sum(), 1)
        room = room - (jnp.cumsum(weights) - weights)
        weights = jnp.clip(room, 0, weights)
    return jnp.sum(weights * values) / weights.sum()


SPEC = ScoreSpec(
    name="energy",
    function=energy,
    inputs=("target_logits",),
    title="Energy",
    unit="logits",
    bounds=unbounded,
    labels="none",
    laws=laws("source_names", "duplicates"),
    space="logits",
)

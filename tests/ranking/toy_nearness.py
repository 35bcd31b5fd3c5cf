"""A score of both sides that is no transport: how near their mean features are."""

import jax.numpy as jnp
import numpy as np

from trfjax.scores.bounds import unbounded
from trfjax.scores.spec import OfSums, ScoreSpec


def nearness(source_features, target_features, *, weights=None):
    """Minus the squared distance of the mean features; it looks at no label."""
    x, y = (
        jnp.asarray(z).reshape(-1, np.shape(z)[-1])
        for z in (source_features, target_features)
    )
    w = jnp.ones(len(y)) if weights is None else jnp.asarray(weights).reshape(-1)
    return -jnp.sum((x.mean(axis=0) - w @ y / w.sum()) ** 2)


def nearness_of_moments(source, target, multiplicities):
    counts, sums, _ = source.pooled(np.ones((1, len(source.counts))))
    far = sums.sum(axis=1) / counts.sum(axis=1, keepdims=True)
    counts, sums, _ = target.pooled(multiplicities)
    near = sums.sum(axis=1) / counts.sum(axis=1, keepdims=True)
    return -((far - near) ** 2).sum(axis=1)


SPEC = ScoreSpec(
    name="nearness",
    function=nearness,
    inputs=("source_features", "target_features"),
    title="Nearness",
    unit="",
    bounds=unbounded,
    labels="none",
    laws=frozenset({"order", "duplicates", "rotation", "shift", "zero_feature"}),
    space="logits",
    of_sums=OfSums(
        tables=("source_moments", "target_moments"), replicates=nearness_of_moments
    ),
)

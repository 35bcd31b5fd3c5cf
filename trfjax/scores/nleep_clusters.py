"""The clusters of N-LEEP, and the score of resampled images with the clusters kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from trfjax.arrays import is_traced, labelled_rows
from trfjax.numbers import as_count, as_real
from trfjax.promotion import usual_promotion
from trfjax.scores.leep import leep
from trfjax.scores.mixture import fit_mixture, principal
from trfjax.statistics.resamples import Resamples
from trfjax.typing import IGNORE, ArrayInput, Count, Labels


@dataclasses.dataclass(frozen=True, eq=False)
class Clustered:
    """N-LEEP, and the clusters it was computed from."""

    score: Float[Array, ""]
    responsibilities: Float[Array, "m k"]  # of the instances that count
    labels: Labels  # of those
    held: Bool[np.ndarray, " all"]  # which instances count
    num_classes: int
    settled: bool


@usual_promotion
def clustered(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    components: int | None = None,
    variance: float = 0.8,
    covariance: str = "full",
    regularisation: float = 1e-6,
    tolerance: float = 1e-3,
    steps: int = 100,
    seed: int = 0,
) -> Clustered:
    """Return N-LEEP with the clusters; takes what `nleep` takes.

    Scores of resampled instances follow from it, with the clusters kept.
    """
    if not 0 < variance <= 1:
        raise ValueError(f"variance: {variance} is not in (0, 1]")
    if covariance not in ("full", "diagonal"):
        raise ValueError(f"covariance: {covariance!r} is neither 'full' nor 'diagonal'")
    as_real("regularisation", regularisation, above=0)
    as_count("steps", steps, least=2)
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    if is_traced(rows.features, rows.labels, rows.weights):
        raise ValueError("nleep: not defined under jit; call it on concrete arrays")
    counts = np.asarray(rows.weights)
    held = counts > 0
    if components is None:
        components = 5 * len(np.unique(np.asarray(rows.labels)[held]))
    if not 1 <= components < held.sum():
        raise ValueError(
            f"components: {components} for {held.sum()} instances; there must be fewer "
            "components than instances. Pass a smaller number, or label more."
        )
    # Seeds are drawn by place: sorted rows have the same seeds in any order.
    values = np.asarray(rows.features, np.float32)[held]
    # A mixture does not know the scale; its squares leave the range.
    values = np.ldexp(values, -np.frexp(np.abs(values).max())[1])
    order = np.lexsort(values.T)
    reduced = principal(values[order], counts[held][order], variance)
    mixture, resp = fit_mixture(
        jnp.asarray(reduced),
        jnp.asarray(counts[held][order], jnp.float32),
        jax.random.key(seed),
        components=components,
        covariance=covariance,
        regularisation=regularisation,
        tolerance=tolerance,
        steps=steps,
    )
    resp = resp[np.argsort(order)]
    score = leep(
        resp,
        rows.labels[held],
        num_classes=rows.num_classes,
        weights=rows.weights[held],
        ignore=-1,
    )
    return Clustered(
        score=score,
        responsibilities=resp,
        labels=rows.labels[held],
        held=held,
        num_classes=rows.num_classes,
        settled=int(mixture.steps) < steps,
    )


def resampled_clusters(
    result: Clustered,
    *,
    labels: np.ndarray,
    images: Int[np.ndarray, " n"],
    resamples: Resamples,
    seed: int,
) -> Float[np.ndarray, " b"]:
    """Return N-LEEP of every resample of the images, with the clusters kept."""
    del labels, seed
    place = jnp.asarray(images[result.held])

    @jax.jit
    def of(counts: Float[Array, "b i"]) -> Float[Array, " b"]:
        return lax.map(
            lambda count: leep(
                result.responsibilities,
                result.labels,
                num_classes=result.num_classes,
                weights=count[place],
                ignore=-1,
            ),
            counts,
            batch_size=8,
        )

    return np.asarray(of(jnp.asarray(resamples.rows)), np.float64)

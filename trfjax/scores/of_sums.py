"""Target-only scores of all pixels from sums over images, for many resamples at once.

Each function takes `multiplicities (b, i)`, how often every image counts, and returns
`(b,)`; rows of ones give the score itself. Larger is more transferable.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from trfjax.atoms.atoms import Atoms
from trfjax.atoms.moments import Moments
from trfjax.scores.hscore import default_rcond
from trfjax.scores.logme import Spectrum, best_evidence

TOGETHER = 16  # resamples worked on at a time


def nce_of_counts(
    counts: Float[np.ndarray, "i z c"], multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """NCE of the counts of predicted and given labels; exact.

    See `nce`. NaN for a resample without a pixel.
    """
    joint = np.tensordot(
        np.asarray(multiplicities, np.float64), counts.astype(np.float64), axes=1
    )
    total = joint.sum(axis=(1, 2))
    given = joint / np.where(joint > 0, joint.sum(axis=2, keepdims=True), 1)
    terms = joint * np.log(np.where(joint > 0, given, 1))
    return _over(terms.sum(axis=(1, 2)), total)


def leep_of_atoms(
    atoms: Atoms, multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """LEEP of atoms of probabilities.

    See `leep`. Every pixel stands where the mean of the pixels of its atom and label
    is: what this changes is of second order in the scatter within those.
    """
    probs = atoms.means.astype(np.float64)
    found = []
    for start in range(0, len(multiplicities), TOGETHER):
        mass = atoms.histograms(multiplicities[start : start + TOGETHER])
        mass = mass.astype(np.float64)  # (b, m, y)
        joint = np.einsum("bmy,myz->byz", mass, probs)
        share = joint.sum(axis=1, keepdims=True)
        given = joint / np.where(share > 0, share, 1)
        explained = np.einsum("byz,myz->bmy", given, probs)
        terms = mass * np.log(np.where(mass > 0, explained, 1))
        found.append(_over(terms.sum(axis=(1, 2)), mass.sum(axis=(1, 2))))
    return np.concatenate(found)


def h_score_of_moments(
    moments: Moments, multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """H-score of all pixels, in float64; see `h_score`."""
    cut = default_rcond(moments.sums.shape[2]) ** 2
    pooled = zip(*moments.pooled(multiplicities), strict=True)
    return np.array([_h_score(*parts, cut) for parts in pooled])


def _h_score(
    counts: np.ndarray, sums: np.ndarray, products: np.ndarray, cut: float
) -> float:
    total = counts.sum()
    if not total > 0:
        return float("nan")
    mean = sums.sum(axis=0) / total
    covariance = products / total - np.outer(mean, mean)
    present = counts > 0
    means = sums[present] / counts[present, None] - mean
    between = (means * (counts[present] / total)[:, None]).T @ means
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(values[-1], 0) * cut
    turned = vectors[:, kept]
    return float(np.sum((turned.T @ between * turned.T) / values[kept, None]))


def logme_of_moments(
    moments: Moments, multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """LogME of all pixels; the decomposition is in float64. See `logme`."""
    found = []
    for counts, sums, products in zip(*moments.pooled(multiplicities), strict=True):
        values, vectors = np.linalg.eigh(products)
        # Rounding fakes eigenvalues below this; their directions hold nothing.
        kept = values > max(values[-1], 0) * default_rcond(len(values)) ** 2
        values, turned = values[kept], sums @ vectors[:, kept]
        along = turned**2 / values
        rest = np.maximum(counts - along.sum(axis=1), 0)
        room = len(kept) - len(values)  # one shape for all resamples
        values = np.pad(values[::-1], (0, room))
        along = np.pad(along[:, ::-1], ((0, 0), (0, room)))
        found.append((values, along, rest, counts.sum(), counts > 0))
    if not found:
        return np.zeros(0)
    columns = [jnp.asarray(np.stack(part)) for part in zip(*found, strict=True)]
    return np.asarray(_evidence(*columns), np.float64)


@jax.jit
def _evidence(
    values: jax.Array,
    along: jax.Array,
    rest: jax.Array,
    n: jax.Array,
    present: jax.Array,
) -> jax.Array:
    def one(parts: tuple[jax.Array, ...]) -> jax.Array:
        *spectrum, present = parts
        value = best_evidence(Spectrum(*spectrum))
        return jnp.sum(jnp.where(present, value, 0)) / present.sum()

    return jax.lax.map(one, (values, along, rest, n, present), batch_size=TOGETHER)


def _over(value: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.where(total > 0, value / np.where(total > 0, total, 1), np.nan)

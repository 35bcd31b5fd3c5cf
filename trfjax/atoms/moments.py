"""Sums over the pixels of every image, from which moments of any resample follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from trfjax.atoms.groups import weighted_sums


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Counts, sums and sums of products of all features, by image; float64.

    Raises:
        ValueError: arrays that do not belong together, or values that are not finite.
    """

    counts: Float[np.ndarray, "i c"]  # pixels by label
    sums: Float[np.ndarray, "i c d"]  # of the features, by label
    products: Float[np.ndarray, "i d d"]  # of pairs of features

    def __post_init__(self) -> None:
        images, classes, d = self.sums.shape
        if self.counts.shape != (images, classes):
            raise ValueError(
                f"counts: shape {self.counts.shape}, not {images, classes}"
            )
        if self.products.shape != (images, d, d):
            raise ValueError(f"products: shape {self.products.shape}")
        for name in ("counts", "sums", "products"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name}: NaN or infinite values")

    def pooled(
        self, multiplicities: Float[np.ndarray, "b i"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return counts `(b, c)`, sums `(b, c, d)` and products `(b, d, d)`."""
        many = np.asarray(multiplicities, np.float64)
        parts = (self.counts, self.sums, self.products)
        counts, sums, products = (np.tensordot(many, part, axes=1) for part in parts)
        return counts, sums, products


def moments_of(features: np.ndarray, labels: np.ndarray, num_classes: int) -> Moments:
    """Return the moments of one image, `(n, d)` and `(n,)`; there may be no pixel."""
    exact = np.asarray(features, np.float64)
    counts = np.bincount(labels, minlength=num_classes).astype(np.float64)
    sums = weighted_sums(exact, np.ones(len(labels)), labels, num_classes)
    return Moments(counts[None], sums[None], (exact.T @ exact)[None])


def joined(parts: Sequence[Moments]) -> Moments:
    """Return the moments of all images."""
    fields = ("counts", "sums", "products")
    return Moments(*(np.concatenate([getattr(p, f) for p in parts]) for f in fields))

"""Resamples of images: what other images of the same place would have given."""

from __future__ import annotations

import dataclasses

import numpy as np


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

        Args:
            images: how many there are.
            replicates: how many resamples to draw.
            seed: of the drawing.
        """
        rng = np.random.default_rng([seed, 0x1A6E5])
        drawn = rng.multinomial(images, np.full(images, 1 / images), size=replicates)
        left_out = 1 - np.eye(images)
        return cls(np.concatenate([drawn, left_out]).astype(np.float32), replicates)

    def split(self, values: np.ndarray) -> dict[str, tuple[float, ...]]:
        """Return the scores of the rows: `replicates` and `left_out`."""
        numbers = [float(value) for value in values]
        return {
            "replicates": tuple(numbers[: self.replicates]),
            "left_out": tuple(numbers[self.replicates :]),
        }

"""Resamples of images: what other images of the same place would have given."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Resamples:
    """Counts of every image: in each resample, and with each unit left out.

    A unit is an image or, where its images belong together, a patient.
    """

    rows: np.ndarray  # (replicates + units, images) float32
    replicates: int

    @classmethod
    def draw(
        cls,
        images: int,
        replicates: int,
        *,
        units: np.ndarray | None = None,
        seed: int,
    ) -> Resamples:
        """Draw units with replacement.

        The same seed gives the same resamples, so that sources are compared on the
        same ones.

        Args:
            images: how many there are.
            replicates: how many resamples to draw.
            units: which unit every image belongs to, `(images,)` in 0, 1, ..., such
                as `Dataset.units`; None: each image is one.
            seed: of the drawing.

        Raises:
            ValueError: units of another number of images.
        """
        rng = np.random.default_rng([seed, 0x1A6E5])
        unit = np.arange(images) if units is None else units
        if len(unit) != images:
            raise ValueError(f"units: {len(unit)} for {images} images; give one each")
        count = int(unit.max()) + 1
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=replicates)
        rows = np.concatenate([drawn, 1 - np.eye(count)])[:, unit]
        return cls(rows.astype(np.float32), replicates)

    def split(self, values: np.ndarray) -> dict[str, tuple[float, ...]]:
        """Return the scores of the rows: `replicates` and `left_out`."""
        numbers = [float(value) for value in values]
        return {
            "replicates": tuple(numbers[: self.replicates]),
            "left_out": tuple(numbers[self.replicates :]),
        }

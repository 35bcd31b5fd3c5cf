"""What is done to an image before a network sees it."""

from __future__ import annotations

import dataclasses

import numpy as np

from trfjax.data.images import resize


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What is done to a uint8 RGB or grey image before a network sees it.

    The network gets `(image / scale - mean) / std` at `size`.
    """

    size: tuple[int, int] | None = None  # height, width; None: as the images are
    mean: tuple[float, ...] = (0.0,)  # one number, or one per channel
    std: tuple[float, ...] = (1.0,)
    scale: float = 255.0
    bgr: bool = False  # the network wants blue first; mean and std are in its order

    def __post_init__(self) -> None:
        if not self.scale > 0 or not all(value > 0 for value in self.std):
            raise ValueError("scale, std: every value must be positive")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size: {self.size} must be positive")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Prepare one image, `(h, w, c)` uint8 to float32.

        Raises:
            ValueError: another dtype or rank, or channels that do not fit.
        """
        if image.dtype != np.uint8 or image.ndim != 3:
            raise ValueError(
                f"image: {image.dtype} of shape {image.shape}, expected (h, w, c) uint8"
            )
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, image.shape[-1]):
                raise ValueError(
                    f"{name}: {len(getattr(self, name))} values for images of "
                    f"{image.shape[-1]} channels; load the data set with "
                    f"channels={len(getattr(self, name))}"
                )
        if self.size is not None:
            image, _ = resize(image, np.zeros((), np.int32), self.size)
        if self.bgr:
            image = image[..., ::-1]
        mean, std = (np.asarray(v, np.float32) for v in (self.mean, self.std))
        return (image / np.float32(self.scale) - mean) / std

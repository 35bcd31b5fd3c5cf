"""How volumes become images, as a value."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from trfjax.data.medical.intensity import Normalisation, check_normalisation
from trfjax.data.medical.volume import Axis

Keep = Literal["task", "mask", "all"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slicing:
    """The rule by which volumes become images."""

    axis: Axis = "axial"  # that the slices lie across
    spacing: float | tuple[float, float, float] | None = None
    """Millimetres between voxels along x, y and z; None: as stored."""
    normalisation: Normalisation = "percentile"  # see `to_grey`
    keep: Keep = "task"  # slices that show the task, any id of the mask, or all
    every: int = 1  # keep one in so many of these
    without: Literal["refuse", "leave out"] = "refuse"  # patients without such a slice

    def __post_init__(self) -> None:
        for name, known in (
            ("axis", get_args(Axis)),
            ("keep", get_args(Keep)),
            ("without", ("refuse", "leave out")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}: {getattr(self, name)!r} is none of {', '.join(known)}"
                )
        check_normalisation(self.normalisation)
        if self.every < 1:
            raise ValueError(f"every: {self.every} must be at least 1")
        if self.voxel is not None and not min(self.voxel) > 0:
            raise ValueError(f"spacing: {self.spacing} mm must be above 0")

    @property
    def voxel(self) -> tuple[float, float, float] | None:
        """The spacing along x, y and z."""
        if isinstance(self.spacing, (int, float)):
            return (self.spacing, self.spacing, self.spacing)
        return self.spacing

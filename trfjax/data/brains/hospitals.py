"""Invented hospitals: whom they see, and what their scanners make of it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Hospital:
    """The patients and the scanner of one institution."""

    name: str
    infants: bool = False
    tumour: float = 1.0  # factor on the sizes of tumours
    noise: float = 0.02  # of the receiver, as a share of white matter
    bias: float = 0.12  # deviation of the logarithm of the receiver's sensitivity
    blur: float = 0.5  # deviation of the point spread, mm
    gamma: float = 1.0  # exponent of the window: below 1 is bright and flat
    weighting: float = 1.0  # distance of tissues from their mean: above 1 is crisp
    field: float = 0.0  # -1: 1.0 T, grey and white alike on T1; 1: 3 T
    stripped: bool = False  # the skull removed, as BraTS and iSeg do

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the scanner delivers; infants get no contrast agent."""
        return ("T1", "T2") if self.infants else ("T1", "T1CE", "T2", "FLAIR")


HOSPITALS: tuple[Hospital, ...] = (
    Hospital("alder", noise=0.020, bias=0.10, blur=0.5, weighting=1.10, field=0.6),
    Hospital(
        "birch", noise=0.050, bias=0.22, blur=1.0, gamma=0.85, weighting=0.85,
        field=-0.8, tumour=1.15,
    ),
    Hospital(
        "cedar", noise=0.030, bias=0.15, blur=1.4, gamma=1.15, weighting=1.0,
        field=0.0, tumour=0.85,
    ),
    Hospital(
        "hazel", noise=0.040, bias=0.30, blur=0.7, gamma=1.0, weighting=1.2,
        field=1.0,
    ),
    Hospital("willow", infants=True, noise=0.030, bias=0.15, blur=0.8),
)  # fmt: skip

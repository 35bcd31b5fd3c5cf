"""Tumours that keep to anatomy: they push, and their oedema follows white matter."""

from __future__ import annotations

import dataclasses

import numpy as np

from trfjax.data.brains.anatomy import Head, radius
from trfjax.data.brains.fields import Coordinates, Field
from trfjax.data.brains.tissue import Tissue

_BRAIN = (Tissue.GM, Tissue.WM)


@dataclasses.dataclass(frozen=True)
class Tumour:
    """The place of a tumour and the size of its parts, in mm."""

    centre: tuple[float, float, float]
    stretch: tuple[float, float, float]  # of its three axes, about 1
    core: float  # radius of necrosis and enhancing rim together
    rim: float  # thickness of the enhancing rim; that of the core: solid
    oedema: float  # reach beyond the core
    push: float  # share of its volume that displaces tissue

    @classmethod
    def draw(cls, head: Head, size: float, rng: np.random.Generator) -> Tumour:
        """Draw a tumour in the white matter of one hemisphere.

        Args:
            head: the head it grows in.
            size: factor on its radii.
            rng: where it is drawn.
        """
        side = rng.choice([-1.0, 1.0])
        while True:
            centre = (
                side * rng.uniform(16, 46),
                rng.uniform(-56, 52),
                rng.uniform(-2, 36),
            )
            x, y, z = (np.full(1, c, np.float32) for c in centre)
            if radius(head, (x, y, z))[0] < 0.72:
                break
        core = size * rng.uniform(9, 19)
        return cls(
            centre=centre,
            stretch=tuple(rng.uniform(0.85, 1.2, 3).tolist()),
            core=core,
            rim=min(core, rng.uniform(2.8, 5.5)),
            oedema=size * rng.uniform(6, 20),
            push=rng.uniform(0.25, 0.6),
        )


def pushed(head: Head, tumour: Tumour, where: Coordinates) -> Coordinates:
    """Return where the tissue of every voxel lay before the tumour pushed it.

    An incompressible tissue moves so that a ball of volume V at the centre gains V:
    $s_0^3 = s^3 - p R^3$ for distances s now and s_0 before. The skull gives no way.
    """
    apart = [w - c for w, c in zip(where, tumour.centre, strict=True)]
    cube = np.maximum(sum(a * a for a in apart), 1e-3) ** 1.5
    volume = tumour.push * tumour.core**3
    before = np.clip(1 - volume / cube, 0.02, 1) ** (1 / 3)
    free = np.clip((1 - radius(head, where)) * head.width / 12, 0, 1)
    factor = 1 - (1 - before) * free * free * (3 - 2 * free)
    x, y, z = (c + a * factor for c, a in zip(tumour.centre, apart, strict=True))
    return x, y, z


def grow(
    tumour: Tumour, tissue: np.ndarray, where: Coordinates, rng: np.random.Generator
) -> np.ndarray:
    """Return the tissue map with the tumour in it.

    Args:
        tumour: its place and sizes.
        tissue: the map without it, from displaced coordinates.
        where: mm of every voxel, not displaced.
        rng: where its outlines are drawn.
    """
    apart = [
        (w - c) / s
        for w, c, s in zip(where, tumour.centre, tumour.stretch, strict=True)
    ]
    distance = np.sqrt(sum(a * a for a in apart))
    rough, slow = Field.draw(20.0, rng)(where), Field.draw(50.0, rng)(where)
    distance = distance + 0.14 * tumour.core * slow + 0.9 * rough
    same_side = np.sign(where[0]) == np.sign(tumour.centre[0])
    open_to = np.isin(tissue, _BRAIN) & same_side
    # Thin fluid inside the tumour is filled by it; ventricles and the midline are not.
    filled = (tissue == Tissue.CSF) & (distance < 0.6 * tumour.core) & same_side
    core = (distance < tumour.core) & (open_to | filled)
    thick = tumour.rim * np.clip(1 + 0.5 * Field.draw(26.0, rng)(where), 0.15, 2)
    grown = tissue.copy()
    fingers = 1 + 0.45 * Field.draw(28.0, rng)(where)
    reach = tumour.oedema * np.clip(fingers, 0.05, 2)
    resists = np.where(tissue == Tissue.GM, 0.25, 1.0)  # oedema follows white matter
    grown[(distance < tumour.core + reach * resists) & open_to] = Tissue.ED
    grown[core] = np.where(distance < tumour.core - thick, Tissue.NCR, Tissue.ET)[core]
    return grown

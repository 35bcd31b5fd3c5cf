"""What a voxel of an invented head can be; ids of the tumour are those of BraTS."""

from __future__ import annotations

import enum


class Tissue(enum.IntEnum):
    """A tissue, as the finest map stores it."""

    AIR = 0
    NCR = 1  # necrosis, in the middle of a tumour
    ED = 2  # oedema around it
    ET = 4  # enhancing rim
    CSF = 11
    GM = 12
    WM = 13
    SKULL = 14
    SCALP = 15
    MARROW = 16
    VEIN = 17  # the sinus at the back


TUMOUR = (Tissue.NCR, Tissue.ED, Tissue.ET)
AROUND = (Tissue.SKULL, Tissue.SCALP, Tissue.MARROW, Tissue.VEIN)  # has no label

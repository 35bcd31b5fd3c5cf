"""What a scanner makes of a tissue map: contrast, sensitivity, blur and noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from trfjax.data.brains.fields import cloud
from trfjax.data.brains.hospitals import Hospital
from trfjax.data.brains.tissue import AROUND, TUMOUR, Tissue

# Signal of every tissue, 1 the brightest: T1, T1 with contrast agent, T2, FLAIR. The
# order is that of adults at 1.5 T: fluid dark on T1 and FLAIR and bright on T2, white
# above grey on T1 and below it on T2, the rim above all with contrast agent.
_MODALITIES = ("T1", "T1CE", "T2", "FLAIR")
# fmt: off
_SIGNAL = {
    Tissue.CSF:    (.17, .17, .97, .10),
    Tissue.GM:     (.50, .48, .56, .58),
    Tissue.WM:     (.72, .69, .40, .47),
    Tissue.NCR:    (.28, .27, .86, .46),
    Tissue.ED:     (.46, .45, .76, .90),
    Tissue.ET:     (.47, .93, .62, .70),
    Tissue.SKULL:  (.06, .06, .04, .05),
    Tissue.MARROW: (.50, .50, .30, .32),
    Tissue.SCALP:  (.92, .90, .62, .66),
    Tissue.VEIN:   (.25, .95, .10, .10),
}
# At six months white matter has hardly any myelin: grey and white are alike on T1 and
# the other way round on T2 (Sun et al., "Multi-Site Infant Brain Segmentation
# Algorithms: The iSeg-2019 Challenge", IEEE TMI 2021). T1 and T2:
_INFANT = {Tissue.GM: (.50, .55), Tissue.WM: (.54, .67), Tissue.MARROW: (.30, .30)}
# fmt: on
# Deviation of the logarithm of the signal from patient to patient.
_VARIES = {
    Tissue.NCR: 0.12,
    Tissue.ED: 0.07,
    Tissue.ET: 0.09,
    Tissue.CSF: 0.05,
    Tissue.GM: 0.02,
    Tissue.WM: 0.02,
    Tissue.SCALP: 0.1,
}  # fmt: skip


def signal(modality: str, hospital: Hospital, rng: np.random.Generator) -> np.ndarray:
    """Return the brightness of every tissue id, as this scanner shows one patient."""
    values = np.zeros(max(Tissue) + 1)
    for kind, row in _SIGNAL.items():
        values[kind] = row[_MODALITIES.index(modality)]
    for kind, row in _INFANT.items() if hospital.infants else ():
        values[kind] = row[("T1", "T2").index(modality)]
    # A stronger field tells grey from white better.
    spread = hospital.weighting * (1 + 0.25 * hospital.field * (modality != "FLAIR"))
    both = [Tissue.GM, Tissue.WM]
    values[both] = values[both].mean() + (values[both] - values[both].mean()) * spread
    for kind, deviation in _VARIES.items():
        values[kind] *= np.exp(deviation * rng.standard_normal())
    return values


def acquire(
    tissue: np.ndarray,
    modality: str,
    hospital: Hospital,
    *,
    step: float,
    factor: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the image of a tissue map, `(slices, h, w)` uint8.

    Args:
        tissue: fine map, `(slices, factor * h, factor * w)`.
        modality: "T1", "T1CE", "T2" or "FLAIR".
        hospital: whose scanner it is.
        step: mm between two voxels of the fine map.
        factor: voxels of the fine map along a side of one of the image.
        rng: of contrast, texture, sensitivity and noise.
    """
    values = signal(modality, hospital, rng)
    if hospital.stripped:
        tissue = np.where(np.isin(tissue, AROUND), Tissue.AIR, tissue)
    bright = _with_soft_oedema(values, tissue, step)
    bright *= 1 + 0.035 * cloud(tissue.shape, (1.0, 3 / step, 3 / step), rng)
    bright *= 1 + 0.03 * cloud(tissue.shape, (0.5, 1.2 / step, 1.2 / step), rng)
    image = average(bright, factor)  # partial volume: a voxel holds several tissues
    image = ndimage.gaussian_filter(image, (0, *[hospital.blur / (step * factor)] * 2))
    wide = 45 / (step * factor)
    image *= np.exp(hospital.bias * cloud(image.shape, (4.0, wide, wide), rng))
    noise = hospital.noise * values[Tissue.WM] * rng.standard_normal((2, *image.shape))
    image = np.hypot(image + noise[0], noise[1])  # magnitude of a complex signal
    if hospital.stripped:
        image *= average((tissue != Tissue.AIR).astype(np.float32), factor) > 0.5
    return _windowed(image, hospital)


def _with_soft_oedema(
    values: np.ndarray, tissue: np.ndarray, step: float
) -> np.ndarray:
    """Paint tissues; oedema and necrosis fade into what lies around them."""
    bright = values[tissue].astype(np.float32)
    sigma = (0, 1.6 / step, 1.6 / step)
    wet = np.isin(tissue, TUMOUR)
    soft = ndimage.gaussian_filter(np.where(wet, bright, values[Tissue.WM]), sigma)
    edge = np.where((tissue == Tissue.ET) | (tissue == Tissue.NCR), 0.35, 0.8)
    return np.where(wet, edge * soft + (1 - edge) * bright, bright)


def average(fine: np.ndarray, factor: int) -> np.ndarray:
    """Return means of `factor` x `factor` blocks of every slice."""
    slices, height, width = fine.shape
    shape = (slices, height // factor, factor, width // factor, factor)
    return fine.reshape(shape).mean(axis=(2, 4))


def _windowed(image: np.ndarray, hospital: Hospital) -> np.ndarray:
    """Return uint8 grey, the brightest half percent of the volume cut off."""
    top = np.quantile(image[image > 0.05], 0.995)
    level = np.clip(image / top, 0, 1) ** hospital.gamma
    return np.round(255 * level).astype(np.uint8)

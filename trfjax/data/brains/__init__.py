"""Invented patients with brain tumours: labelled volumes that need no files.

Every patient is a head with a folded cortex, ventricles and deep nuclei. Adults have a
tumour that pushes tissue aside and whose oedema follows white matter; infants of six
months have none, and hardly any contrast between grey and white. Hospitals differ in
their scanners and in their patients, as institutions of a federation do.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import numpy as np

from trfjax.data.brains.hospitals import HOSPITALS, Hospital
from trfjax.data.brains.patient import Patient, draw_patient
from trfjax.data.brains.tissue import TUMOUR as TUMOUR_IDS
from trfjax.data.brains.tissue import Tissue
from trfjax.data.dataset import Dataset
from trfjax.data.labels import LabelMap
from trfjax.data.medical.tasks import TUMOUR, Task, parts, union
from trfjax.data.medical.views import View, views
from trfjax.files import digest
from trfjax.typing import IGNORE

VERSION = 1  # of the drawings; it grows when the same arguments give other bytes
SLICES = 4  # of every patient
_CACHED = 64  # patients, and volumes of one modality, that a data set keeps

_PARTS = {kind.name: int(kind) for kind in TUMOUR_IDS}
_TISSUES = {kind.name: int(kind) for kind in (Tissue.CSF, Tissue.GM, Tissue.WM)}
_IDS = (*_PARTS.values(), *_TISSUES.values())
BINARY: dict[str, Task] = {
    **TUMOUR,
    **{name: (tissue,) for name, tissue in _TISSUES.items()},
    "GMWM": (_TISSUES["GM"], _TISSUES["WM"]),
}
TASKS: dict[str, LabelMap] = {
    "tumour": parts(_PARTS, _IDS),
    "tissue": parts(_TISSUES, _IDS, ignored=_PARTS.values()),
    **{name: union(name, ids, _IDS) for name, ids in BINARY.items()},
}


def invented_brains(
    domain: str = "",
    labels: str | LabelMap | None = None,
    *,
    count: int = 8,
    size: tuple[int, int] = (96, 96),
    slices: int = SLICES,
    channels: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Return patients of some hospitals as a data set that draws them on reading.

    Args:
        domain: hospitals and modalities, such as `"alder/T2,birch/T1+FLAIR"`; see
            `trfjax.data.medical.views`. Empty: all hospitals, every modality an image.
        labels: one of `TASKS`, or your own map of their ids; `"tumour"` by default,
            `"tissue"` where there are infants.
        count: patients of every hospital.
        size: height and width in pixels, the same and at least 32.
        slices: axial slices of every patient.
        channels: 1 leaves a single modality grey; 3, the default, repeats it.
        seed: another seed is another set of patients.

    Returns:
        `count * slices` images of every hospital and modality. A patient is a group,
        and the unit of shots.

    Raises:
        ValueError: an argument out of range, or a task no patient of a hospital has.
    """
    side = _side(size)
    given = {"count": count, "slices": slices, "seed": seed}
    count, slices, seed = (_natural(name, v) for name, v in given.items())
    who = [(hospital, index) for hospital in HOSPITALS for index in range(count)]
    found = views(domain, [h.name for h, _ in who], [h.modalities for h, _ in who])
    label_map = _label_map(labels, found, [h.infants for h, _ in who])
    for view in found:
        _check(who[view.patient][0], view, label_map)
    repeat = 3 if channels in (None, 3) and len(found[0].modalities) == 1 else 1

    @functools.lru_cache(_CACHED)
    def patient(position: int) -> Patient:
        hospital, index = who[position]
        return draw_patient(hospital, index, slices=slices, side=side, seed=seed)

    @functools.lru_cache(_CACHED)
    def label(position: int) -> np.ndarray:
        return label_map(patient(position).label)

    @functools.lru_cache(_CACHED)
    def image(position: int, modality: str) -> np.ndarray:
        return patient(position).image(modality)

    places = [(view, level) for view in found for level in range(slices)]

    def read(position: int) -> tuple[np.ndarray, np.ndarray]:
        view, level = places[position]
        planes = [image(view.patient, name)[level] for name in view.modalities]
        pixels = np.repeat(np.stack(planes, axis=-1), repeat, axis=-1)
        return pixels, label(view.patient)[level].copy()

    names = [f"{hospital.name}/{index:04d}" for hospital, index in who]
    ids = tuple(f"{names[v.patient]}/{'+'.join(v.modalities)}/{k}" for v, k in places)
    return Dataset(
        name=f"brains:{domain}" if domain else "brains",
        labels=label_map,
        image_ids=ids,
        read=read,
        groups=tuple(names[view.patient] for view, _ in places),
        unit="patient",
        fingerprint=digest(
            f"brains-v{VERSION}",
            ids,
            label_map.names,
            sorted((label_map.ids or {}).items()),
            side,
            repeat,
            seed,
        ),
    )


def _side(size: tuple[int, int]) -> int:
    height, width = (operator.index(side) for side in size)
    if height != width or height < 32:
        raise ValueError(
            f"size: {(height, width)} must be the same number twice, at least 32"
        )
    return height


def _natural(name: str, value: int) -> int:
    value, least = operator.index(value), int(name != "seed")
    if value < least:
        raise ValueError(f"{name}: {value} is below {least}")
    return value


def _label_map(
    labels: str | LabelMap | None, found: Sequence[View], infants: Sequence[bool]
) -> LabelMap:
    if isinstance(labels, LabelMap):
        return labels
    if labels is None:
        labels = "tissue" if any(infants[v.patient] for v in found) else "tumour"
    if labels not in TASKS:
        raise ValueError(f"labels: no {labels!r} here; available: {', '.join(TASKS)}")
    return TASKS[labels]


def _check(hospital: Hospital, view: View, labels: LabelMap) -> None:
    """Refuse a modality or a task that a hospital does not have."""
    for modality in view.modalities:
        if modality not in hospital.modalities:
            raise ValueError(
                f"domain: {hospital.name} takes no {modality}; there is "
                f"{', '.join(hospital.modalities)}"
            )
    shown = {stored for stored, c in (labels.ids or {}).items() if c not in (0, IGNORE)}
    if hospital.infants and shown and shown <= set(_PARTS.values()):
        raise ValueError(
            f"labels: {', '.join(labels.names[1:])}: the infants of {hospital.name} "
            f"have no tumour; choose one of tissue, {', '.join(_TISSUES)}, GMWM"
        )


__all__ = ["BINARY", "HOSPITALS", "SLICES", "TASKS", "VERSION", "invented_brains"]

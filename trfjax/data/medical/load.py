"""Volumes of patients as a data set of slices."""

from __future__ import annotations

import dataclasses

import numpy as np

from trfjax.data.dataset import Dataset, spread
from trfjax.data.labels import LabelMap
from trfjax.data.medical.patients import Patient
from trfjax.data.medical.reader import Reader
from trfjax.data.medical.slicing import Slicing
from trfjax.data.medical.views import View, views
from trfjax.errors import DataError
from trfjax.files import digest


def load_volumes(
    name: str,
    patients: list[Patient],
    labels: LabelMap,
    *,
    domain: str,
    slicing: Slicing,
    count: int | None = None,
    channels: int | None = None,
) -> Dataset:
    """Open volumes; the masks are read now, the images when they are asked for.

    Args:
        name: of the data set.
        patients: as found in a folder.
        labels: the task.
        domain: institutions and modalities; see `views`.
        slicing: how volumes become images.
        count: take this many patients, spread evenly.
        channels: 1 leaves a single modality grey; 3, the default, repeats it. Several
            modalities are as many channels.

    Returns:
        The slices, patient by patient. A patient is a group, and the unit of shots.

    Raises:
        DataError: a patient without a modality, volumes of a patient that do not lie
            on one another, a mask without the task, an unknown id.
        ValueError: settings that do not exist.
    """
    chosen = _chosen(patients, domain, count)
    reader = Reader(patients, labels, slicing)
    places: list[tuple[View, int]] = []
    for view in chosen:
        reader.check(view)
        places += [(view, int(level)) for level in reader.levels(view.patient)]
    if not places:
        raise DataError(
            patients[0].mask[0].parent,
            f"no patient has a slice with {', '.join(labels.names[1:])}. Choose "
            "other labels, or keep='all'.",
        )
    repeat = 3 if channels in (None, 3) and len(chosen[0].modalities) == 1 else 1

    def read(position: int) -> tuple[np.ndarray, np.ndarray]:
        view, level = places[position]
        images = [reader.image(view.patient, m)[level] for m in view.modalities]
        pixels = np.repeat(np.stack(images, axis=-1), repeat, axis=-1)
        return pixels, reader.label(view.patient)[level].copy()

    ids = [_identity(patients[v.patient], v, slicing, level) for v, level in places]
    used = [path for view in chosen for path in patients[view.patient].files]
    return Dataset(
        name=name,
        labels=labels,
        image_ids=tuple(ids),
        read=read,
        groups=tuple(_group(patients[view.patient]) for view, _ in places),
        unit="patient",
        fingerprint=digest(
            "volumes",
            ids,
            dataclasses.asdict(slicing),
            repeat,
            labels.names,
            sorted((labels.ids or {}).items()),
            labels.ignore,
            [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in used],
        ),
    )


def _chosen(patients: list[Patient], domain: str, count: int | None) -> list[View]:
    """Return the views asked for, of so many patients."""
    found = views(
        domain, [p.institution for p in patients], [sorted(p.images) for p in patients]
    )
    who = list(dict.fromkeys(view.patient for view in found))
    if count is None:
        return found
    if not 1 <= count <= len(who):
        raise ValueError(f"count: {count} patients asked, there are {len(who)}")
    kept = {who[i] for i in spread(len(who), count)}
    return [view for view in found if view.patient in kept]


def _group(patient: Patient) -> str:
    return f"{patient.institution}/{patient.name}".lstrip("/")


def _identity(patient: Patient, view: View, slicing: Slicing, level: int) -> str:
    shown = "+".join(view.modalities)
    return f"{_group(patient)}/{shown}/{slicing.axis}{level:04d}"

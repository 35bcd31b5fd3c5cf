"""Where known collections of volumes keep images and masks, and what ids mean.

Folders and files are named as published: FeTS 2021 and 2022, BraTS 2018 to 2021 and
2023, iSeg-2017 and iSeg-2019.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from trfjax.data.labels import LabelMap
from trfjax.data.medical.tasks import TUMOUR, parts, union


@dataclasses.dataclass(frozen=True)
class VolumeLayout:
    """The layout of a folder of patients.

    Templates are paths below the root with `{patient}`, `{modality}` and, where the
    patients lie in folders by institution, `{domain}`, each standing for part of one
    path element. With `{slice}` a volume is a folder of slices, PNG or JPEG.
    """

    images: tuple[str, ...]
    masks: tuple[str, ...]
    tasks: Mapping[str, LabelMap]  # the first is the default; empty: classes are given
    modalities: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What files call a modality -> its name; empty: as the files call it."""
    institutions: str = ""  # CSV with columns Partition_ID and Subject_ID


def _tumour_tasks(enhancing: int) -> dict[str, LabelMap]:
    """Return the tasks of BraTS where the enhancing tumour has this id."""
    known = (1, 2, enhancing)
    named = {"NCR": 1, "ED": 2, "ET": enhancing}
    tasks = {
        name: union(name, [enhancing if i == 4 else i for i in ids], known)
        for name, ids in TUMOUR.items()
    }
    return {"native": parts(named, known), **tasks}


def _tissue_tasks() -> dict[str, LabelMap]:
    """Return the tasks of iSeg; 2017 stored 10, 150 and 250, 2019 stores 1, 2 and 3."""
    known = (1, 2, 3, 10, 150, 250)
    pairs = {"CSF": (1, 10), "GM": (2, 150), "WM": (3, 250)}
    native = {i: k for k, ids in enumerate(pairs.values(), 1) for i in ids}
    return {
        "native": LabelMap(("background", *pairs), {0: 0, **native}),
        **{name: union(name, ids, known) for name, ids in pairs.items()},
        "GMWM": union("GMWM", (2, 150, 3, 250), known),
    }


_BRATS = {"t1": "T1", "t1ce": "T1CE", "t2": "T2", "flair": "FLAIR"}
_BRATS_2023 = {"t1n": "T1", "t1c": "T1CE", "t2w": "T2", "t2f": "FLAIR"}


def _named(stem: str, *folders: str) -> tuple[str, ...]:
    """Return templates of compressed and plain NIfTI in some folders."""
    endings = (".nii.gz", ".nii")
    return tuple(f"{folder}{stem}{ending}" for folder in folders for ending in endings)


VOLUME_LAYOUTS: dict[str, VolumeLayout] = {
    "fets": VolumeLayout(
        images=_named("{patient}_{modality}", "{patient}/"),
        masks=_named("{patient}_seg", "{patient}/"),
        tasks=_tumour_tasks(4),
        modalities=_BRATS,
        institutions="partitioning_1.csv",
    ),
    "brats": VolumeLayout(
        images=_named("{patient}_{modality}", "{patient}/", "{domain}/{patient}/"),
        masks=_named("{patient}_seg", "{patient}/", "{domain}/{patient}/"),
        tasks=_tumour_tasks(4),
        modalities=_BRATS,
    ),
    "brats2023": VolumeLayout(
        images=_named("{patient}-{modality}", "{patient}/"),
        masks=_named("{patient}-seg", "{patient}/"),
        tasks=_tumour_tasks(3),
        modalities=_BRATS_2023,
    ),
    "iseg": VolumeLayout(
        images=("{patient}-{modality}.hdr",),
        masks=("{patient}-label.hdr",),
        tasks=_tissue_tasks(),
        modalities={"T1": "T1", "T2": "T2"},
    ),
    "patients": VolumeLayout(
        images=(
            *_named("{modality}", "{patient}/", "{domain}/{patient}/"),
            "{patient}/{modality}/{slice}.png",
            "{domain}/{patient}/{modality}/{slice}.png",
        ),
        masks=(
            *_named("label", "{patient}/", "{domain}/{patient}/"),
            "{patient}/label/{slice}.png",
            "{domain}/{patient}/label/{slice}.png",
        ),
        tasks={},
    ),
}

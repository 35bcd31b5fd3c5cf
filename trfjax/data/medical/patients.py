"""Find the patients of a folder: every modality and the mask of each."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from trfjax.data.medical.layouts import VolumeLayout
from trfjax.data.paths import check_inside, existing_folder, natural, visible
from trfjax.errors import DataError
from trfjax.reading import read_lines

_FIELD = re.compile(r"\{(domain|patient|modality|slice)\}")
PICTURES = (".png", ".jpg", ".jpeg")
Files = tuple[Path, ...]  # one volume, or its slices in order
Key = tuple[str, str]  # folder of the institution, where there is one, and patient


@dataclasses.dataclass(frozen=True)
class Patient:
    """The files of one patient."""

    name: str
    institution: str
    images: dict[str, Files]  # modality -> its files
    mask: Files

    @property
    def files(self) -> Files:
        """Return every file of the patient, in one fixed order."""
        volumes = [*(self.images[name] for name in sorted(self.images)), self.mask]
        return tuple(path for volume in volumes for path in volume)


def find_patients(
    root: Path, layout: VolumeLayout, *, follow_links: bool = False
) -> list[Patient]:
    """List the patients below `root` by institution and name.

    Args:
        root: the folder.
        layout: where images and masks lie in it.
        follow_links: accept links that lead outside `root`.

    Raises:
        FileNotFoundError: no such folder.
        DataError: no patient, one without a mask, or a file that lies outside `root`.
    """
    root = existing_folder(root)
    images: dict[Key, dict[str, list[Path]]] = {}
    for path, key, stored in _matches(root, layout.images, layout):
        if stored != "label":  # the mask of a layout whose modalities are any
            modality = layout.modalities.get(stored, stored)
            images.setdefault(key, {}).setdefault(modality, []).append(path)
    masks: dict[Key, list[Path]] = {}
    for path, key, _ in _matches(root, layout.masks, layout):
        masks.setdefault(key, []).append(path)
    if not images:
        raise DataError(
            root,
            f"no volume matches {' or '.join(layout.images[:3])}. Check root= and the "
            "name of the layout.",
        )
    institutions = _institutions(root, layout)
    found = []
    for domain, name in sorted(images, key=lambda key: [natural(k) for k in key]):
        key = (domain, name)
        if key not in masks:
            first = next(iter(images[key].values()))[0]
            raise DataError(
                first.parent,
                f"patient {name!r} has images but no mask "
                f"({' or '.join(layout.masks[:2])}). Add it, or move the patient out.",
            )
        volumes = {m: _ordered(files) for m, files in images[key].items()}
        place = domain or institutions.get(name, "")
        found.append(Patient(name, place, volumes, _ordered(masks[key])))
    if not follow_links:
        check_inside(root, (path for patient in found for path in patient.files))
    return sorted(found, key=lambda p: (natural(p.institution), natural(p.name)))


def _ordered(files: list[Path]) -> Files:
    """Return the slices of a volume in order, or its one file."""
    files = sorted(files, key=lambda path: natural(path.as_posix()))
    if len(files) > 1 and files[0].suffix.lower() not in PICTURES:
        raise DataError(
            files[1], f"is the same volume as {files[0].name}. Keep one of them."
        )
    return tuple(files)


def _matches(
    root: Path, templates: tuple[str, ...], layout: VolumeLayout
) -> Iterator[tuple[Path, Key, str]]:
    """Yield every file that a template describes, its patient and its modality."""
    for template in templates:
        pattern = _pattern(template, layout)
        for path in visible(root, _FIELD.sub("*", template)):
            found = pattern.fullmatch(path.relative_to(root).as_posix())
            if found is not None and path.is_file():
                fields = found.groupdict()
                key = (fields.get("domain", ""), fields["patient"])
                yield path, key, fields.get("modality", "")


def _pattern(template: str, layout: VolumeLayout) -> re.Pattern[str]:
    """Return the expression of a template; a field that comes twice is one text."""
    any_text = "[^/.][^/]*?"  # no hidden file
    known = "|".join(map(re.escape, layout.modalities)) or any_text
    pieces, seen = [], set()
    for i, piece in enumerate(_FIELD.split(template)):
        if i % 2 == 0:
            pieces.append(re.escape(piece))
        elif piece in seen:
            pieces.append(f"(?P={piece})")
        else:
            seen.add(piece)
            text = known if piece == "modality" else any_text
            pieces.append(f"(?P<{piece}>{text})")
    return re.compile("".join(pieces))


def _institutions(root: Path, layout: VolumeLayout) -> dict[str, str]:
    """Return the institution of every patient that the published list names."""
    path = root / layout.institutions
    if not layout.institutions or not path.is_file():
        return {}
    check_inside(root, [path])
    rows = csv.DictReader(read_lines(path))
    if not {"Partition_ID", "Subject_ID"} <= set(rows.fieldnames or ()):
        raise DataError(
            path, "its first line must name 'Partition_ID' and 'Subject_ID'."
        )
    return {
        (row["Subject_ID"] or "").strip(): (row["Partition_ID"] or "").strip()
        for row in rows
    }

"""Find the images of a layout, pair each with its label, and choose among them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from glob import escape
from pathlib import Path, PurePosixPath, PureWindowsPath

from trfjax.data.layouts import LabelFiles, Layout
from trfjax.data.paths import (
    check_inside,
    choose,
    existing_folder,
    listed,
    natural,
    other_format,
    visible_files,
)
from trfjax.errors import DataError
from trfjax.reading import composed, read_lines

BLOCK = 10  # frames of a sequence that `Dataset.split` keeps together
_FIELD = re.compile(r"\{(split|domain|stem|ext)\}")

Key = tuple[str, str, str]  # split, domain and stem, as the path has them


@dataclasses.dataclass(frozen=True)
class Pair:
    """One image file with its label file."""

    image_id: str  # path below the root, without its ending
    image: Path
    label: Path
    split: str
    domain: str
    group: str


def find_pairs(
    root: Path,
    layout: Layout,
    *,
    split: str | None = None,
    domain: str = "",
    skip_unpaired: bool = False,
    follow_links: bool = False,
) -> tuple[list[Pair], LabelFiles]:
    """List the image-label pairs below `root`, frames in order of time.

    Returns:
        The pairs of the split and domains asked for, and the kind of labels found.

    Raises:
        FileNotFoundError: no such folder.
        DataError: no pairs, images without labels or the reverse, or a file that
            lies outside `root`.
        ValueError: a split or domain that does not exist.
    """
    root = existing_folder(root)
    images = _matches(root, layout.images, layout)
    if not images:
        raise DataError(
            root,
            f"no image matches {_looked_for(layout.images)}"
            + other_format(root, "images/**/*"),
        )
    kind, labels = _label_files(root, layout)
    domains = _domains(root, layout, {**images, **labels})
    chosen = _in_split(root, layout, images, labels, split)
    keys = sorted(images, key=lambda key: (domains[key], natural(key[2]), key))
    groups = _groups(layout, keys, domains)
    keys = [key for key in keys if key in chosen]
    keys = [keys[i] for i in choose([domains[key] for key in keys], domain)]
    wanted = {domains[key] for key in keys}
    extra = sorted(key for key in chosen - set(images) if domains[key] in wanted)
    keys = _paired(root, keys, images, labels, extra, skip_unpaired)
    if not follow_links:
        check_inside(root, (files[key] for key in keys for files in (images, labels)))
    pairs = [
        Pair(
            image_id=composed(images[key].relative_to(root).with_suffix("").as_posix()),
            image=images[key],
            label=labels[key],
            split=key[0],
            domain=domains[key],
            group=groups[key],
        )
        for key in keys
    ]
    return pairs, kind


def _looked_for(templates: Sequence[str]) -> str:
    shown = " or ".join(_FIELD.sub(r"<\1>", template) for template in templates)
    return f"{shown}. Check root= and the layout's name."


def _matches(root: Path, templates: Sequence[str], layout: Layout) -> dict[Key, Path]:
    """Return every file that a template describes, by its fields."""
    parts = {
        "split": "|".join(layout.splits) or "[^/]+",
        "domain": "[^/]+",
        "stem": "[^/]+",
        "ext": "(?i:png|jpe?g|jfif|jpe)",
    }
    files: dict[Key, Path] = {}
    for template in templates:
        pattern = "".join(
            f"(?P<{piece}>{parts[piece]})" if i % 2 else re.escape(piece)
            for i, piece in enumerate(_FIELD.split(template))
        )
        for path in visible_files(root, _FIELD.sub("*", template)):
            found = re.fullmatch(pattern, path.relative_to(root).as_posix())
            if found is None:
                continue
            fields = {k: composed(v) for k, v in found.groupdict().items()}
            key = (fields.get("split", ""), fields.get("domain", ""), fields["stem"])
            if key in files:
                raise DataError(path, f"has the same name as {files[key].name}.")
            files[key] = path
    return files


def _label_files(root: Path, layout: Layout) -> tuple[LabelFiles, dict[Key, Path]]:
    for kind in layout.labels:
        labels = _matches(root, kind.paths, layout)
        if labels:
            return kind, labels
    templates = [path for kind in layout.labels for path in kind.paths]
    raise DataError(root, f"no label matches {_looked_for(templates)}")


def _in_split(
    root: Path,
    layout: Layout,
    images: dict[Key, Path],
    labels: dict[Key, Path],
    split: str | None,
) -> set[Key]:
    """Return the keys of one split, named by their folder or by `<split>.txt`."""
    keys = set(images) | set(labels)
    if split is None:
        return keys
    if "{split}" in layout.images[0]:
        splits = {key[0] for key in images}
        if split not in splits:
            raise ValueError(f"split: no {split!r} here; {listed(splits)}")
        return {key for key in keys if key[0] == split}
    lists = {path.stem: path for path in visible_files(root, "*.txt")}
    lists.pop("classes", None)
    if split not in lists:
        raise ValueError(f"split: no list {split}.txt in {root}; {listed(lists)}")
    check_inside(root, [lists[split]])
    known = {key[2] for key in images}
    stems = set(_read_list(root, lists[split], known))
    missing = sorted(stems - known)
    if missing:
        raise DataError(
            lists[split],
            f"names {missing[0]!r}, which is not there ({len(missing)} such entries). "
            "Correct the list.",
        )
    return {key for key in keys if key[2] in stems}


def _read_list(root: Path, path: Path, known: set[str]) -> list[str]:
    """Return the stems a list file names, one file a line, on any system."""
    stems = []
    for entry in read_lines(path):
        windows, posix = PureWindowsPath(entry), PurePosixPath(entry)
        parts = {*windows.parts, *posix.parts}
        if windows.drive or windows.root or posix.is_absolute() or ".." in parts:
            raise DataError(
                path, f"entry {entry!r} leads outside {root}. Use paths below it."
            )
        names = (posix.name, posix.stem, windows.name, windows.stem)
        stems.append(next((n for n in names if n in known), windows.stem))
    return stems


def _domains(root: Path, layout: Layout, files: Iterable[Key]) -> dict[Key, str]:
    """Return the domain of every file: its folder, its stem, or `domains.tsv`."""
    table: dict[str, str] = {}
    path = root / "domains.tsv"
    if not layout.domain and "{domain}" not in layout.images[0] and path.is_file():
        check_inside(root, [path])
        header, *rows = (line.split("\t") for line in read_lines(path) or [""])
        if not {"name", "domain"} <= set(header):
            raise DataError(path, "its first line must name 'name' and 'domain'.")
        name, domain = header.index("name"), header.index("domain")
        for row in rows:
            if len(row) > len(header):
                raise DataError(path, f"row {row} has more columns than its header.")
            row += [""] * (len(header) - len(row))
        table = {row[name]: row[domain] for row in rows}

    def domain_of(key: Key) -> str:
        if layout.domain:
            found = re.search(layout.domain, key[2])
            return found[1] if found else ""
        return key[1] or table.get(key[2], "")

    return {key: domain_of(key) for key in files}


def _groups(layout: Layout, keys: list[Key], domains: dict[Key, str]) -> dict[Key, str]:
    """Name the scene of every image, so that neighbours in time stay together."""
    if layout.group == "image":
        return {key: "/".join(filter(None, key)) for key in keys}
    if layout.group == "scene":  # city and sequence number
        return {key: "_".join(key[2].split("_")[:2]) for key in keys}
    seen: dict[str, int] = {}
    groups = {}
    for key in keys:
        rank = seen[domains[key]] = seen.get(domains[key], -1) + 1
        groups[key] = f"{domains[key]}:{rank // BLOCK}"
    return groups


def _paired(
    root: Path,
    keys: list[Key],
    images: dict[Key, Path],
    labels: dict[Key, Path],
    extra: list[Key],
    skip_unpaired: bool,
) -> list[Key]:
    """Return the keys with both files; the others are an error unless skipped."""
    lone = [images[key] for key in keys if key not in labels]
    lone_labels = [labels[key] for key in extra]
    for files, is_a in ((lone, "image without a label"), (lone_labels, "label alone")):
        if files and not skip_unpaired:
            raise DataError(
                files[0],
                f"{is_a} ({len(files)} such files below {root}). Choose the split= or "
                "domain= that has both, or pass skip_unpaired=True."
                + other_format(root, f"**/{escape(files[0].stem)}.*"),
            )
    paired = [key for key in keys if key in labels]
    if not paired:
        raise DataError(root, "none of the images has a label.")
    return paired

"""Which patients are seen in which modalities: the part of a name after the colon."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from trfjax.data.paths import choose, listed


@dataclasses.dataclass(frozen=True)
class View:
    """One patient, seen in one modality or in several at once."""

    patient: int  # position
    modalities: tuple[str, ...]  # the channels, in order


def views(
    text: str, institutions: Sequence[str], modalities: Sequence[Sequence[str]]
) -> list[View]:
    """Return the views that `text` asks for, such as `"18/T2,20[:0.5]/T1+FLAIR"`.

    Every part names an institution, with an optional range of its patients, and after
    a stroke the modalities: `+` makes them channels of one image. Without them, every
    modality a patient has is an image of its own. An empty institution stands for all.

    Args:
        text: parts joined by commas.
        institutions: of every patient.
        modalities: that every patient has.

    Raises:
        ValueError: an institution or modality that does not exist, or different
            numbers of channels.
    """
    found: list[View] = []
    for part in text.split(","):
        place, _, wanted = part.strip().partition("/")
        chosen = choose(institutions, place)
        asked = tuple(name.strip() for name in wanted.split("+")) if wanted else ()
        _check(asked, [modalities[i] for i in chosen])
        if asked:
            found += [View(i, asked) for i in chosen]
        else:
            found += [View(i, (name,)) for i in chosen for name in modalities[i]]
    channels = sorted({len(view.modalities) for view in found})
    if len(channels) > 1:
        raise ValueError(
            f"domain: {text!r} asks for images of {channels} channels; give every part "
            "as many modalities joined by '+'"
        )
    return list(dict.fromkeys(found))


def _check(asked: tuple[str, ...], have: Sequence[Sequence[str]]) -> None:
    """Refuse modalities that no patient has; one that lacks some is told later."""
    if len(set(asked)) < len(asked):
        raise ValueError(f"domain: a modality repeats in {'+'.join(asked)!r}")
    known = {name for names in have for name in names}
    for name in asked:
        if name not in known:
            raise ValueError(f"domain: no modality {name!r} here; {listed(known)}")

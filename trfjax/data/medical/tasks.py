"""Tasks as unions of label ids, and how two of them are related."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from trfjax.data.labels import LabelMap
from trfjax.typing import IGNORE

BACKGROUND = "background"
Task = tuple[int, ...]  # the stored ids that are the foreground

# Ids as BraTS and FeTS store them: necrosis 1, oedema 2, enhancing tumour 4.
TUMOUR: dict[str, Task] = {
    "WT": (1, 2, 4),
    "TC": (1, 4),
    "ET": (4,),
    "ED": (2,),
    "NCR": (1,),
}

Relation = Literal[
    "same", "smaller", "bigger", "complementary", "exclusive", "overlapping"
]


def union(name: str, ids: Iterable[int], known: Iterable[int]) -> LabelMap:
    """Return the label map of one structure against everything else.

    Args:
        name: of the structure, such as "WT".
        ids: stored ids that belong to it.
        known: all ids a mask may hold; the others become background.

    Raises:
        ValueError: no id, or one that is not among those known.
    """
    chosen, every = tuple(ids), {0, *known}
    if not chosen or not set(chosen) <= every - {0}:
        raise ValueError(
            f"ids: {chosen} of {name!r} must be some of {sorted(every - {0})}"
        )
    return LabelMap((BACKGROUND, name), {i: int(i in chosen) for i in sorted(every)})


def parts(
    names: Mapping[str, int], known: Iterable[int], *, ignored: Iterable[int] = ()
) -> LabelMap:
    """Return the label map of several structures, one id each.

    Args:
        names: name -> stored id, in the order of the classes after the background.
        known: all ids a mask may hold; those without a name become background.
        ignored: ids that count for nothing.
    """
    ids = dict.fromkeys({0, *known}, 0) | dict.fromkeys(ignored, IGNORE)
    ids |= {stored: i for i, stored in enumerate(names.values(), 1)}
    return LabelMap((BACKGROUND, *names), ids)


def relation(source: Task, target: Task, wholes: Iterable[Task]) -> Relation:
    """Say how a source task is related to a target task.

    Args:
        source: ids of its foreground.
        target: ids of its foreground.
        wholes: the tasks that have a name.

    Returns:
        `"same"` ids; `"smaller"`: the source is part of the target; `"bigger"`: the
        reverse; `"complementary"`: without a common id, and together a task that has
        a name; `"exclusive"`: without a common id otherwise; `"overlapping"`.
    """
    a, b = frozenset(source), frozenset(target)
    if a == b:
        return "same"
    if a < b:
        return "smaller"
    if a > b:
        return "bigger"
    if a & b:
        return "overlapping"
    named = {frozenset(whole) for whole in wholes}
    return "complementary" if a | b in named else "exclusive"

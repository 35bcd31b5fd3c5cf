"""Masks of two classes, whatever two ids they are stored with."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trfjax.data.dataset import spread
from trfjax.data.images import read_label
from trfjax.data.labels import LabelMap
from trfjax.errors import DataError, DataWarning

LOOKED_AT = 256  # label files, spread over the set, until the second class is seen


def binary(label_map: LabelMap, files: Sequence[Path]) -> LabelMap:
    """Return the map of two classes whose masks are not stored as 0 and 1.

    Most tools write masks as 0 and 255, and 255 is also what marks pixels to ignore. A
    file with the id 1 settles that ids are classes; where there is none and the files
    hold 0 and one more id, that one is the second class, with a warning. A file found
    later that has another id is an error, so that nothing is dropped in silence.

    Args:
        label_map: the names of the classes.
        files: all label files.

    Returns:
        The map as it is, or with `ids` from 0 and the other id to the classes.

    Raises:
        DataError: more than two ids, so that it cannot be said what they are.
    """
    if len(label_map) != 2 or label_map.ids is not None:
        return label_map
    seen: set[int] = set()
    for i in spread(len(files), min(LOOKED_AT, len(files))):
        try:
            seen |= {int(value) for value in np.unique(read_label(files[i]))}
        except (DataError, FileNotFoundError):
            continue  # told when it is asked for
        if 1 in seen:
            return label_map
    marks = sorted(seen - {0})
    if len(seen) > 2 and label_map.ignore in seen:
        raise DataError(
            files[0].parent,
            f"holds the ids {sorted(seen)[:8]} for the classes 0 and 1: neither labels "
            f"nor masks of two values. Save masks as 0 and 1 (ignored pixels "
            f"{label_map.ignore}), or pass labels=LabelMap(names, ids={{...}}).",
        )
    if len(marks) != 1 or 0 not in seen:
        return label_map
    zero, one = label_map.names
    warnings.warn(
        f"{files[0].parent}: masks of 0 and {marks[0]}; 0 is read as {zero!r} and "
        f"{marks[0]} as {one!r}. Where {marks[0]} marks pixels to ignore, pass "
        f"labels=LabelMap({label_map.names!r}, ids={{0: 0, {marks[0]}: "
        f"{label_map.ignore}}}).",
        DataWarning,
        stacklevel=2,
    )
    return dataclasses.replace(label_map, ids={0: 0, marks[0]: 1})

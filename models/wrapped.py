"""Checkpoints as they come: wrapped in dictionaries, and their names in prefixes."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trfjax.errors import DataError
from trfjax.npy import may_unpack_to
from trfjax.reading import regular_size

# Keys under which training code keeps weights, the first where there are several.
WEIGHTS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network"),
    *("module", "params", "weights", "backbone", "model_weights", "net_state_dict"),
    *("student", "generator", "segmentor", "online", "params_ema", "state_dict_ema"),
    *("model_ema", "ema_state_dict", "ema_model", "ema", "shadow", "teacher"),
)
_NO_WEIGHTS = re.compile(r"optim|sched|scaler|amp|rng|loss|criterion|callbacks", re.I)
_DEPTH = 5
# What compilers and sharding put between the names of modules, anywhere.
_WRAPPERS = re.compile(
    r"(^|\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_fpw_module"
    r"|_forward_module)\."
)


def unwrapped(name: str) -> str:
    """Return the name of a tensor without what wrappers put into it."""
    while (plain := _WRAPPERS.sub(r"\1", name)) != name:
        name = plain
    return name


def prefixes(
    expected: Sequence[str | None], stored: Mapping[str, Any]
) -> Iterator[tuple[str, int]]:
    """Yield what may stand before the expected names, and how many it leads to.

    Args:
        expected: names of the network's arrays; None where there is none.
        stored: names in the checkpoint.
    """
    counts: Counter[str] = Counter()
    for name in {name for name in expected if name is not None}:
        counts[""] += name in stored
    wanted = {name for name in expected if name is not None}
    for name in stored:
        parts = name.split(".")
        for depth in range(1, min(len(parts), _DEPTH)):
            if ".".join(parts[depth:]) in wanted:
                counts[".".join(parts[:depth]) + "."] += 1
    yield from counts.items()


def find_tensors(path: Path, stored: Any, kind: type) -> Mapping[str, Any]:
    """Return the names and tensors of a network in what a checkpoint holds.

    Raises:
        DataError: no tensors, or several networks; the message names the keys.
    """
    found = list(_mappings(stored, kind, ()))
    most = max((len(tensors) for _, tensors in found), default=0)
    large = [(keys, t) for keys, t in found if 2 * len(t) >= most]
    ranks = [_rank(keys) for keys, _ in large]
    best = [i for i, rank in enumerate(ranks) if rank == min(ranks)]
    if len(best) == 1:
        return large[best[0]][1]
    if isinstance(stored, Mapping):
        keys = ", ".join(map(str, list(stored)[:12])) or "none"
        problem = f"holds no tensors where a network has them; its keys are: {keys}"
    else:
        problem = f"holds a {type(stored).__name__}, no state dict (names and tensors)"
    if best:
        names = ["/".join(map(str, large[i][0])) for i in best]
        problem = f"holds several networks: {', '.join(names)}"
    raise DataError(path, f"{problem}. Save the state dict that is meant on its own.")


def _mappings(
    stored: Any, kind: type, keys: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    if not isinstance(stored, Mapping) or len(keys) > _DEPTH:
        return
    tensors = {str(k): v for k, v in stored.items() if isinstance(v, kind)}
    if tensors:
        yield keys, tensors
    for key, value in stored.items():
        if isinstance(key, str) and not _NO_WEIGHTS.search(key):
            yield from _mappings(value, kind, (*keys, key))


def _rank(keys: tuple[Any, ...]) -> tuple[int, int]:
    """Return how far behind a place is: by its least known key, and its depth."""
    ranks = [WEIGHTS.index(k) if k in WEIGHTS else len(WEIGHTS) for k in keys]
    return max(ranks, default=-1), len(keys)


def check_packed(path: Path) -> None:
    """Refuse a zip archive that unpacks to more than it should."""
    size = regular_size(path)
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(path, f"damaged ({error}). Copy it again.") from error
    if total > may_unpack_to(size, limit=1 << 40):
        raise DataError(
            path, f"unpacks to {total} bytes, far more than its {size}. Copy it again."
        )

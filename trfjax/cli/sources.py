"""What commands that begin with a trained network ask of their options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from trfjax.data.dataset import Dataset
from trfjax.errors import DataError
from trfjax.studies.runs import training_data
from trfjax.studies.specs import DataSpec


def given(config: Any, *names: str) -> dict[str, Any]:
    """Return those of some options that were given; the others have their defaults."""
    values = {name: getattr(config, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def check_network(option: str, path: str, *, of: str = "trfjax train") -> None:
    """Refuse a network that is not there.

    Args:
        option: that names it, such as "--source".
        path: what was named.
        of: the commands that make one.

    Raises:
        FileNotFoundError: no such file or folder.
    """
    if not Path(path).exists():
        raise FileNotFoundError(
            f"{option}: {path}: no such file or folder; name a run folder of {of}. "
            "To make one: trfjax train --data synthetic:arden --out runs/arden"
        )


def load_source_data(config: Any, size: tuple[int, int], *, why: str) -> Dataset:
    """Return labelled images of what the source was trained on, or those named.

    Args:
        config: with `source`, `source_data`, `source_root`, `root` and `labels`.
        size: of the images.
        why: who needs them, and the remedy.

    Raises:
        DataError: the source does not say, and none are named.
    """
    if config.source_data is not None:
        root = config.source_root or config.root
        spec = DataSpec(name=config.source_data, root=root, labels=config.labels)
    else:
        known = training_data(config.source)
        if known is None:
            problem = f"does not say what it was trained on, and {why}"
            raise DataError(config.source, problem)
        spec = known
    return msgspec.structs.replace(spec, size=size).load()

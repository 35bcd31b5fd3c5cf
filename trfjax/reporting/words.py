"""What scores and measured quantities are called in pictures and pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from trfjax.files import strict
from trfjax.scores import SCORES, score_named

# Measured transfer by name: what a table calls it, and what an axis says.
QUANTITIES = {
    "accuracy": ("accuracy", "pixel accuracy after transfer"),
    "miou": ("mean IoU", "mean IoU after transfer"),
    "log_likelihood": ("log-likelihood", "log-likelihood after transfer (nats)"),
}


def title(name: str) -> str:
    """Return what a score or a measured quantity is called; others keep their name."""
    if name.partition("@")[0] in SCORES:
        return score_named(name).title
    return QUANTITIES[name][0] if name in QUANTITIES else name


def axis_label(name: str) -> str:
    """Return what an axis says of a score or a measured quantity, with its unit."""
    if name.partition("@")[0] in SCORES:
        return score_named(name).label
    return QUANTITIES[name][1] if name in QUANTITIES else plain(name)


def percent(share: float | None) -> str:
    """Return a share as text; only 0 and 1 themselves are called 0% and 100%."""
    if share is None or not np.isfinite(share):
        return "–"
    if 0 < share < 1 and f"{share:.0%}" in ("0%", "100%"):
        return "<1%" if share < 0.5 else ">99%"
    return f"{share:.0%}"


def plain(name: str, length: int = 24) -> str:
    """Return a name as it is drawn: short, and a dollar sign opens no formula."""
    name = " ".join(name.split())
    if len(name) > length:  # names of one family differ at both ends
        name = f"{name[: length - 9]}…{name[-8:]}"
    return name.replace("$", r"\$")


def number(value: Any, digits: int = 3) -> str:
    """Return a number as text; a dash where there is none."""
    if value is None or not np.isfinite(value):
        return "–"
    if value and abs(value) < 10**-digits:
        return f"{value:.0e}".replace("e-0", "e-").replace("-", "−")
    return f"{value:.{digits}f}".replace("-", "−")


def seconds(value: float) -> str:
    """Return a duration as text."""
    if value >= 100:
        return f"{int(value) // 60} min {int(value) % 60:02d} s"
    return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"


def text_of(value: Any) -> str:
    """Return a setting as one line."""
    value = strict(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {text_of(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(text_of, value))
    return value if isinstance(value, str) else json.dumps(value)

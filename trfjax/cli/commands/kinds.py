"""The kinds of options; one typed struct of a command serves flags and YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import tyro

Strategy = Literal["uniform", "balanced", "boundary", "per_image"]
Space = Literal["probs", "logits", "penultimate"]
Combined = Literal["ranks", "standardised", "range"]


def _option(kind: Any, metavar: str) -> Any:
    """Return the type of an option that may be left out, as the help shows it."""
    arg = tyro.conf.arg(metavar=metavar, help_behavior_hint="")
    return Annotated[kind | None, arg]


if TYPE_CHECKING:
    Text = Folder = File = str | None
    Number = int | None
    Real = float | None
    Size = tuple[int, int] | None
    Ends = tuple[float, float] | None
    Layer = Space | None
    Combination = Combined | None
    Pixels = int | Literal["all"] | None
else:
    Text, Folder, File = (_option(str, name) for name in ("NAME", "FOLDER", "FILE"))
    Number, Real = _option(int, "INT"), _option(float, "FLOAT")
    Size = _option(tuple[int, int], "HEIGHT WIDTH")
    Ends = _option(tuple[float, float], "LOW HIGH")
    Layer = _option(Space, "{probs,logits,penultimate}")
    Combination = _option(Combined, "{ranks,standardised,range}")
    Pixels = _option(int | Literal["all"], "INT|all")
Pair = Annotated[tuple[int, int], tyro.conf.arg(metavar="HEIGHT WIDTH")]


class Options(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Options of a command."""

"""The kinds of options; one typed struct of a command serves flags and YAML.

msgspec holds values to the ranges (see `options.check_options`), tyro shows the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import tyro

Strategy = Literal["uniform", "balanced", "boundary", "per_image"]
Space = Literal["probs", "logits", "penultimate"]
Combined = Literal["ranks", "standardised", "range"]

if TYPE_CHECKING:
    Text = Folder = File = str | None
    Name = str
    Count = Whole = Resamples = Seed = Classes = Pictures = int
    Number = Base = int | None
    Positive = Share = Half = float
    Real = Weight = float | None
    Pair = tuple[int, int]
    Size = Pair | None
    Ends = tuple[float, float] | None
    Layer = Space | None
    Combination = Combined | None
    Pixels = int | Literal["all"]
    Draws = Pixels | None
    Names = tuple[str, ...]
    Spaces = tuple[Space, ...]
    Seeds = tuple[int, ...]
else:

    def _within(kind: Any, **bounds: Any) -> Any:
        return Annotated[kind, msgspec.Meta(**bounds)]

    def _optional(kind: Any, metavar: str) -> Any:
        """Return the type of an option that may be left out, as the help shows it."""
        arg = tyro.conf.arg(metavar=metavar, help_behavior_hint="")
        return Annotated[kind | None, arg]

    # Above what is of use, and below what would fill a memory before it is refused.
    Count = _within(int, ge=1, le=10**9)
    Whole = _within(int, ge=0, le=10**9)
    Resamples = _within(int, ge=0, le=10**5)
    Pictures = _within(int, ge=1, le=1000)
    Classes = _within(int, ge=1, le=2**16)
    _width = _within(int, ge=1, le=4096)
    Seed = _within(int, ge=0, le=2**32 - 1)  # what a key of JAX holds
    Positive = _within(float, gt=0)
    Share = _within(float, ge=0, le=1)
    Half = _within(float, ge=0, le=0.5)
    Name = _within(str, min_length=1, max_length=4096)
    _side = _within(int, ge=1, le=2**14)
    _pair = tuple[_side, _side]

    Text, Folder, File = (_optional(Name, word) for word in ("NAME", "FOLDER", "FILE"))
    Number, Base = _optional(Count, "INT"), _optional(_width, "INT")
    Real = _optional(Positive, "FLOAT")
    Weight = _optional(_within(float, ge=0), "FLOAT")
    Pair = Annotated[_pair, tyro.conf.arg(metavar="HEIGHT WIDTH")]
    Size = _optional(_pair, "HEIGHT WIDTH")
    Ends = _optional(tuple[float, float], "LOW HIGH")
    Layer = _optional(Space, "{probs,logits,penultimate}")
    Combination = _optional(Combined, "{ranks,standardised,range}")
    Pixels = Count | Literal["all"]
    Draws = _optional(Pixels, "INT|all")
    Names = _within(tuple[Name, ...], min_length=1)
    Spaces = _within(tuple[Space, ...], min_length=1)
    Seeds = _within(tuple[Seed, ...], min_length=1)

Sources = Annotated[tuple[Name, ...], tyro.conf.arg(metavar="RUN ...")]
Photographs = Annotated[Names, tyro.conf.arg(metavar="FOLDER|FILE ...")]


class Options(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Options of a command."""

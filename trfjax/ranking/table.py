"""The table of a ranking as plain text, for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from trfjax.ranking.cell import Cell
from trfjax.ranking.forecast import Forecast
from trfjax.ranking.verdict import Verdict, percent

WIDTH = 80
HEAD = ("", "source", "estimate", "90% interval", "explains", "P(best)")


def table_text(
    target: str,
    columns: Mapping[str, Sequence[Cell]],
    chances: Mapping[str, float],
    verdict: Verdict,
    warnings: Sequence[str] = (),
) -> str:
    """Return verdict and table: the first score in full, the others below.

    Args:
        target: what was ranked for.
        columns: cells by score, each best first; the first score orders.
        chances: probability of being best by source, where that is known.
        verdict: on the first score.
        warnings: shown below it.
    """
    first, *others = columns
    scored = [cell for cell in columns[first] if np.isfinite(cell.score)]
    lines = [f"Ranking of {len(scored)} sources for {target}"]
    for text in (verdict.sentence, *(f"warning: {text}" for text in warnings)):
        lines += textwrap.wrap(text, WIDTH, break_on_hyphens=False)
    places = enumerate(scored, start=1)
    lines += _aligned(
        [[*HEAD, first], *(row_of(place, cell, chances) for place, cell in places)]
    )
    if verdict.floor is not None:
        lines.append(f"A source that knows nothing gets {verdict.floor:.4f}.")
    if any(cell.left_out and cell.smooth for cell in scored):
        lines += textwrap.wrap(
            f"{first} is the score itself; the estimate is the score without the bias "
            "of few images. Order, interval and P(best) are those of the estimate.",
            WIDTH,
        )
    lines += textwrap.wrap("; ".join(_without_interval(scored)), WIDTH)
    for start in range(0, len(others), 4):
        names = others[start : start + 4]
        known = {(c.source, name): c for name in names for c in columns[name]}
        rows = [
            [
                str(place),
                c.source,
                *(number_of(known.get((c.source, n))) for n in names),
            ]
            for place, c in enumerate(scored, start=1)
        ]
        lines += ["", *_aligned([["", "source", *names], *rows])]
    failures = [_failure(c) for c in columns[first] if not np.isfinite(c.score)]
    return "\n".join([*lines, *(["not ranked:", *failures] if failures else [])])


def forecast_lines(forecasts: Sequence[Forecast]) -> list[str]:
    """Return what earlier transfers say, best source first; nothing without any."""
    if not forecasts:
        return []
    measured = forecasts[0].measured
    head = ["source", measured, "90% interval", "P(best)", "P(within 0.01)"]
    rows = [
        [
            found.source,
            f"{found.mean:.3f}",
            f"{found.low:.3f} .. {found.high:.3f}",
            f"{found.best:.2f}",
            f"{found.within:.2f}",
        ]
        for found in forecasts
    ]
    table = [["", *row] for row in (head, *rows)]
    return ["", f"{measured} after fine-tuning, by the history:", *_aligned(table)]


def row_of(place: int, cell: Cell, chances: Mapping[str, float]) -> list[str]:
    """Return the columns of `HEAD` and the score of a cell that has one.

    Args:
        place: in the ranking.
        cell: of the first score.
        chances: probability of being best by source, where that is known.
    """
    low, high = cell.interval()
    share, chance = cell.explains(), chances.get(cell.source)
    return [
        str(place),
        cell.source,
        f"{cell.estimate:.4f}",
        "" if np.isnan(low) else f"{low:.3f} .. {high:.3f}",
        "" if share is None else f"{percent(share.value)}%",
        "" if chance is None else f"{chance:.2f}",
        f"{cell.score:.4f}",
    ]


def _without_interval(cells: Sequence[Cell]) -> list[str]:
    """Return why scores have no interval, every reason once."""
    bare = [cell for cell in cells if np.isnan(cell.interval()[0])]
    texts = (text for cell in bare for text in cell.warnings if "interval" in text)
    return list(dict.fromkeys(texts))


def _failure(cell: Cell) -> str:
    if cell.status == "failed":
        return f"  {cell.source}: {cell.error}"
    reason = "; ".join(cell.warnings) or "the score has no value here"
    return f"  {cell.source}: undefined ({reason})"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows under each other; the second column, names, stands left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if i == 1 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
            if width or i == 0
        ).rstrip()
        for row in rows
    ]


def number_of(cell: Cell | None) -> str:
    """Return the score of a cell, or a dash where there is none."""
    if cell is None or not np.isfinite(cell.score):
        return "-"
    return f"{cell.score:.4f}"

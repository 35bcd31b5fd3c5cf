"""The table of a ranking as a notebook shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from trfjax.ranking.cell import Cell
from trfjax.ranking.table import HEAD, number_of, row_of
from trfjax.ranking.verdict import Verdict


def table_html(
    target: str,
    columns: Mapping[str, Sequence[Cell]],
    chances: Mapping[str, float],
    verdict: Verdict,
) -> str:
    """Return verdict and table as HTML; names from files are escaped.

    Args:
        target: what was ranked for.
        columns: cells by score, each best first; the first score orders.
        chances: probability of being best by source, where that is known.
        verdict: on the first score.
    """
    first, *others = columns
    known = {(c.source, name): c for name in others for c in columns[name]}
    titles = [*HEAD, *columns]
    rows = [
        _row(place, cell, chances)
        + [number_of(known.get((cell.source, name))) for name in others]
        for place, cell in enumerate(columns[first], start=1)
    ]
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>"
        for row in rows
    )
    return (
        f"<p>{escape(target)}: {escape(verdict.sentence)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _row(place: int, cell: Cell, chances: Mapping[str, float]) -> list[str]:
    if np.isfinite(cell.score):
        return row_of(place, cell, chances)
    return ["", cell.source, cell.error or "undefined", "", "", "", "-"]

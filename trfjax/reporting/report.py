"""The ranking as one HTML file that opens offline: no network, no fonts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from trfjax.files import atomic_path, write_text
from trfjax.ranking.cell import Cell
from trfjax.ranking.result import Ranking
from trfjax.reporting.pictures import picture
from trfjax.reporting.plot_joint import plot_joint
from trfjax.reporting.plots import plot, plot_agreement
from trfjax.reporting.report_measured import Measured, measured_transfer
from trfjax.reporting.words import number, percent, seconds, text_of, title


def report(
    ranking: Ranking,
    path: str | Path,
    *,
    measured: Measured | None = None,
    notes: Sequence[str] = (),
    timings: Mapping[str, float] | None = None,
    maps: Mapping[str, Any] | None = None,
) -> Path:
    """Write a ranking as a self-contained HTML file, whole or not at all.

    Args:
        ranking: what `rank` returned.
        path: of the file.
        measured: measured transfer, by source and quantity ("accuracy", "miou",
            "log_likelihood" or another name, larger is better): one value a seed. The
            first quantity is the main one.
        notes: sentences for the reader, shown at the top.
        timings: seconds by step.
        maps: what `maps_section` returned, for a section with maps of the sources; it
            needs scripts, which the rest of the page does without.

    Returns:
        The path.

    Raises:
        ValueError: measurements of a source that is not in the ranking.
        WriteError: a path that cannot be written; what was there stays.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    html = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    html.filters |= {"number": number, "percent": percent, "seconds": seconds}
    html.filters["name"] = title
    text = html.get_template("report.html").render(
        ranking=ranking,
        headline=_headline(ranking),
        rows=_rows(ranking),
        joints=_joints(ranking),
        measured=measured_transfer(ranking, measured) if measured else None,
        warnings=_warnings(ranking),
        settings={key: text_of(value) for key, value in ranking.settings.items()},
        timings={**(timings or {}), "ranking, all sources": ranking.seconds},
        notes=notes,
        maps=maps,
        **_figures(ranking),
    )
    write_text(path, text)
    return Path(path)


def write_results(ranking: Ranking, folder: Path, **parts: Any) -> Path:
    """Write plot and report beside the tables; return the path of the report."""
    figure, _ = plot(ranking)
    with atomic_path(folder / "ranking.png") as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return report(ranking, folder / "report.html", **parts)


def _headline(ranking: Ranking) -> dict[str, Any]:
    """Return the verdict and what stands beside it."""
    verdict = ranking.verdict
    scored = [c for c in ranking.column() if np.isfinite(c.score)]
    facts: dict[str, Any] = {"verdict": verdict, "metric": ranking.metrics[0]}
    facts |= {"scored": len(scored), "asked": len(ranking.sources)}
    facts["unlike"] = ranking.unlike
    facts["best"] = scored[0] if scored else None
    facts["images"] = scored[0].details.get("images") if scored else None
    facts["chance"] = ranking.probability_best().get(verdict.leader or "")
    winners = {m: _best(ranking, m) for m in ranking.metrics[1:]}
    facts["agree"] = [m for m, name in winners.items() if name == verdict.leader]
    facts["differ"] = {m: n for m, n in winners.items() if n and n != verdict.leader}
    return facts


def _best(ranking: Ranking, metric: str) -> str | None:
    first = ranking.column(metric)[:1]
    return first[0].source if first and np.isfinite(first[0].score) else None


def _rows(ranking: Ranking) -> list[dict[str, Any]]:
    """Return one row a source, in the order of the first metric."""
    cells = {(c.source, c.metric): c for c in ranking.cells}
    chances = {m: ranking.probability_best(m) for m in ranking.metrics}
    winners = {m: _best(ranking, m) for m in ranking.metrics}
    rows = []
    for place, first in enumerate(ranking.column(), start=1):
        values = [
            {
                "metric": metric,
                "cell": cell,
                "interval": cell.interval() if cell else None,
                "explains": cell.explains() if cell else None,
                "chance": chances[metric].get(first.source),
                "best": winners[metric] == first.source,
            }
            for metric in ranking.metrics
            for cell in [cells.get((first.source, metric))]
        ]
        rank = place if np.isfinite(first.score) else None
        rows.append({"rank": rank, "source": first.source, "values": values})
    return rows


def _figures(ranking: Ranking) -> dict[str, Any]:
    """Return the intervals of every metric, and how the metrics agree."""
    intervals = {}
    for metric in ranking.metrics:
        alt = f"{title(metric)} of every source with its interval"
        intervals[metric] = picture(plot(ranking, metric=metric)[0], alt)
    agreement = None
    if len(ranking.metrics) > 1:
        alt = "Spearman correlation between the metrics"
        agreement = picture(plot_agreement(ranking)[0], alt)
    return {"intervals": intervals, "agreement": agreement}


def _joints(ranking: Ranking) -> list[dict[str, Any]]:
    """Return the label joints of the first metric that has them, best source first."""
    for metric in ranking.metrics:
        cells = [c for c in ranking.column(metric) if c.details.get("label_joint")]
        if cells:
            return [_joint(ranking, cell) for cell in cells]
    return []


def _joint(ranking: Ranking, cell: Cell) -> dict[str, Any]:
    rows, columns = np.shape(cell.details["label_joint"])
    sources = _fit(ranking.source_classes.get(cell.source, ()), rows)
    targets = _fit(ranking.target_classes, columns)
    alt = f"Target classes that the source classes of {cell.source} are matched with"
    figure, _ = plot_joint(cell, sources, targets)
    return {"cell": cell, "picture": picture(figure, alt)}


def _fit(names: Sequence[str], length: int) -> Sequence[str]:
    """Return that many names; numbers where the names are not known."""
    return names if len(names) == length else [f"class {i}" for i in range(length)]


def _warnings(ranking: Ranking) -> list[dict[str, Any]]:
    """Return every failure and warning once, with the metrics it concerns."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for cell in ranking.cells:
        said = [("warning", text) for text in cell.warnings]
        if not np.isfinite(cell.score):
            word = "failed" if cell.status == "failed" else "undefined"
            said.append((word, cell.error or "no score, and no reason was given"))
        elif cell.details.get("converged") is False and not cell.warnings:
            said.append(("warning", "the coupling has not converged"))
        for kind, text in said:
            found.setdefault((cell.source, kind, text), []).append(cell.metric)
    return [
        {"source": source, "kind": kind, "text": text, "metrics": metrics}
        for (source, kind, text), metrics in found.items()
    ]

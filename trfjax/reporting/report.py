"""The ranking as one HTML file that opens offline: no script, no network, no fonts."""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy.stats import rankdata

from trfjax.files import atomic_path, strict, write_text
from trfjax.ranking.cell import Cell
from trfjax.ranking.result import Ranking
from trfjax.reporting import plots
from trfjax.reporting.words import percent, title
from trfjax.statistics.correlation import pearson, spearman

Measured = Mapping[str, Mapping[str, Any]]


def report(
    ranking: Ranking,
    path: str | Path,
    *,
    measured: Measured | None = None,
    notes: Sequence[str] = (),
    timings: Mapping[str, float] | None = None,
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

    Returns:
        The path.

    Raises:
        ValueError: measurements of a source that is not in the ranking.
        OSError: a path that cannot be written; what was there stays.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    html = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    html.filters |= {"number": _number, "percent": percent, "seconds": _seconds}
    html.filters["name"] = title
    text = html.get_template("report.html").render(
        ranking=ranking,
        headline=_headline(ranking),
        rows=_rows(ranking),
        joints=_joints(ranking),
        measured=_measured(ranking, measured) if measured else None,
        warnings=_warnings(ranking),
        settings={key: _text(value) for key, value in ranking.settings.items()},
        timings={**(timings or {}), "ranking, all sources": ranking.seconds},
        notes=notes,
        **_figures(ranking),
    )
    path = Path(path)
    try:
        write_text(path, text)
    except OSError as error:
        reason = f"the report cannot be written here ({error.strerror})"
        raise type(error)(error.errno, reason, str(path)) from error
    return path


def write_results(ranking: Ranking, folder: Path, **parts: Any) -> Path:
    """Write plot and report beside the tables; return the path of the report."""
    figure, _ = plots.plot(ranking)
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
        intervals[metric] = _picture(plots.plot(ranking, metric=metric)[0], alt)
    agreement = None
    if len(ranking.metrics) > 1:
        alt = "Spearman correlation between the metrics"
        agreement = _picture(plots.plot_agreement(ranking)[0], alt)
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
    picture = _picture(plots.plot_joint(cell, sources, targets)[0], alt)
    return {"cell": cell, "picture": picture}


def _fit(names: Sequence[str], length: int) -> Sequence[str]:
    """Return that many names; numbers where the names are not known."""
    return names if len(names) == length else [f"class {i}" for i in range(length)]


def _measured(ranking: Ranking, measured: Measured) -> dict[str, Any]:
    """Put measured transfer against every metric."""
    unknown = [name for name in measured if name not in ranking.sources]
    if unknown:
        raise ValueError(
            f"measured: {unknown[0]!r} is not a source of the ranking; there are "
            f"{', '.join(ranking.sources)}"
        )
    names = dict.fromkeys(name for found in measured.values() for name in found)
    quantities = []
    for name in names:
        seeds = {
            source: np.atleast_1d(np.asarray(measured[source][name], float))
            for source in [c.source for c in ranking.column()]
            if name in measured.get(source, ())
        }
        quantities.append(_quantity(ranking, name, seeds))
    return {"quantities": quantities, "sources": list(quantities[0]["mean"])}


def _quantity(
    ranking: Ranking, name: str, seeds: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return one measured quantity: how repeatable, and how well predicted."""
    mean = {source: float(values.mean()) for source, values in seeds.items()}
    spread = {s: float(v.std(ddof=1)) for s, v in seeds.items() if len(v) > 1}
    scores = {
        metric: {c.source: c for c in ranking.column(metric) if np.isfinite(c.score)}
        for metric in ranking.metrics
    }
    correlations = []
    for metric, cells in scores.items():
        both = [source for source in cells if np.isfinite(mean.get(source, np.nan))]
        x = np.array([cells[source].estimate for source in both])
        y = np.array([mean[source] for source in both])
        found = {"pearson": pearson(x, y), "spearman": spearman(x, y)}
        found |= {"word": _word(found["spearman"]), "luck": _luck(x, y)}
        correlations.append({"metric": metric, "sources": len(both), **found})
    first = scores[ranking.metrics[0]]
    ranked = [source for source in first if source in mean]
    drawn, _ = plots.plot_transfer(
        {source: cell.estimate for source, cell in first.items()},
        mean,
        intervals={source: cell.interval() for source, cell in first.items()},
        spread=spread,
        score=ranking.metrics[0],
        quantity=name,
    )
    alt = f"{title(name)} after transfer against the score"
    return {
        "name": name, "mean": mean, "spread": spread, "correlations": correlations,
        "repeat": _repeat(seeds),
        "chosen": ranked[0] if ranked else None,
        "best": max(mean, key=lambda source: np.nan_to_num(mean[source], nan=-np.inf)),
        "picture": _picture(drawn, alt),
    }  # fmt: skip


def _repeat(seeds: dict[str, np.ndarray]) -> float:
    """Return the mean Spearman correlation of two seeds, NaN when there is one."""
    count = min(map(len, seeds.values()))
    table = np.array([values[:count] for values in seeds.values()])
    table = table[np.isfinite(table).all(axis=1)]
    pairs = [spearman(a, b) for a, b in itertools.combinations(table.T, 2)]
    return float(np.mean(pairs)) if pairs else float("nan")


def _word(correlation: float) -> str:
    """Name a rank correlation for what it is."""
    if np.isnan(correlation):
        return "undefined"
    words = {0.8: "strong", 0.5: "moderate", 0.2: "weak", -0.2: "none"}
    return next((w for c, w in words.items() if round(correlation, 2) >= c), "reversed")


def _luck(x: np.ndarray, y: np.ndarray) -> float:
    """Return how often a random order correlates at least as well."""
    observed = spearman(x, y)
    if np.isnan(observed):
        return observed
    rng = np.random.default_rng(0)
    few = len(x) <= 7
    orders = (
        itertools.permutations(y) if few else (rng.permutation(y) for _ in range(5000))
    )
    drawn = np.array([order for order in orders])
    ranks, order = rankdata(x), rankdata(drawn, axis=1)
    return float(np.mean(order @ ranks >= rankdata(y) @ ranks - 1e-9))


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


def _picture(figure: Figure, alt: str) -> dict[str, Any]:
    """Return a figure as a data address.

    An image of its own, so that nothing in it runs and its ids meet no others.
    """
    file = io.BytesIO()
    # Fixed ids and no date: the same ranking gives the same bytes.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "trfjax"}):
        figure.savefig(
            file, format="svg", bbox_inches="tight", pad_inches=0.04, transparent=True,
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )  # fmt: skip
    data = base64.b64encode(file.getvalue()).decode()
    width = round(115 * figure.get_figwidth())
    return {"src": f"data:image/svg+xml;base64,{data}", "alt": alt, "width": width}


def _number(value: Any, digits: int = 3) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    if value and abs(value) < 10**-digits:
        return f"{value:.0e}".replace("e-0", "e-").replace("-", "−")
    return f"{value:.{digits}f}".replace("-", "−")


def _seconds(value: float) -> str:
    if value >= 100:
        return f"{int(value) // 60} min {int(value) % 60:02d} s"
    return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"


def _text(value: Any) -> str:
    """Return a setting as one line."""
    value = strict(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value)

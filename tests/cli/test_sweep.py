"""`trfjax sweep`, called in this process, on networks that learn next to nothing."""

import csv
import json

import numpy as np
import pytest
import yaml

from tests.studies.sweep.made import asked
from trfjax.cli import FAILED_CELLS, USAGE, run
from trfjax.data import load_dataset
from trfjax.ranking.rank import Source, rank
from trfjax.studies.runs import open_model
from trfjax.studies.sweep.sweep import read_sweep
from trfjax.studies.sweep.work import Worker
from trfjax.training import step as stepping

SMALL = asked(
    scores=["leep", "nce", "h_score@levels"],
    methods=[{"mode": "full", "steps": 2, "batch_size": 2}, "unchanged"],
    seeds=[0],
    pixels=100,
    repeats=1,
    sources=asked()["sources"][:2],
    targets=asked()["targets"][1:],
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A sweep of two sources and one target, and how often a step was compiled."""
    folder = tmp_path_factory.mktemp("sweep")
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    before = stepping.step._cache_size()
    assert run(["sweep", str(path), "--out", str(folder / "out")]) == 0
    return path, folder / "out", stepping.step._cache_size() - before


def test_it_writes_tables(done):
    _, out, _ = done
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert [(r["source"], r["method"]) for r in rows] == [
        ("arden", "full"), ("arden", "unchanged"),
        ("corvale", "full"), ("corvale", "unchanged"),
    ]  # fmt: skip
    assert all(r["status"] == "ok" and 0 <= float(r["miou"]) < 1 for r in rows)
    assert all(float(r["leep"]) < 0 for r in rows)
    assert {int(r["source_images"]) for r in rows} == {6}
    assert (out / "transfer-full.parquet").is_file()
    assert yaml.safe_load((out / "sweep.yaml").read_text())["seeds"] == [0]


def test_sources_of_one_architecture_share_their_programs(done):
    """One program trains, one fine-tunes."""
    assert done[2] == 2


def test_the_scores_are_those_of_a_ranking(done):
    """Though all sources of a sweep see their own images once."""
    _, out, _ = done
    table = read_sweep(out).table()
    pool, _ = load_dataset("synthetic:ilmar", count=6, size=(32, 64)).split(0.5)
    shots = pool.shots(2, seed=0)
    for i, name in enumerate(("arden", "corvale")):
        (folder,) = (out / "sources").glob(f"{name}-*")
        data = load_dataset(f"synthetic:{name}", count=6, size=(32, 64))
        source = Source(name, open_model(folder), data)
        found = rank(
            [source], shots, metrics=("leep", "nce", "h_score@levels"), pixels=100,
            repeats=1, bootstrap=0, progress=False,
        )  # fmt: skip
        for cell in found.cells:
            assert table[cell.metric][i] == pytest.approx(cell.score, rel=1e-6)


def test_it_goes_on_with_what_is_missing(done, capsys):
    path, out, _ = done
    text = (out / "results.csv").read_text()
    cells = sorted((out / "cells").glob("*.json"))
    for cell in cells[::3]:
        cell.unlink()
    assert run(["sweep", str(path), "--out", str(out), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert f"{len(cells)} cells: " in printed and "by what was measured" in printed
    assert run(["sweep", str(path), "--out", str(out), "--format", "json"]) == 0
    found = capsys.readouterr()
    assert f"[{len(cells[::3])}/{len(cells[::3])}]" in found.err
    before = list(csv.DictReader(text.splitlines()))
    for old, new in zip(before, json.loads(found.out), strict=True):
        for name in ("leep", "nce", "h_score@levels", "miou", "accuracy"):
            assert float(old[name]) == new[name]  # bit for bit


def test_failed_cells_are_told(done, capsys, monkeypatch):
    path, out, _ = done
    failing = out.parent / "failing.yaml"
    failing.write_text(yaml.safe_dump({**SMALL, "scores": ["leep", "knn"]}))
    score = Worker._score

    def broken(worker, cell, network):
        if cell.name == "knn":
            raise RuntimeError("no neighbours")
        return score(worker, cell, network)

    monkeypatch.setattr(Worker, "_score", broken)
    assert run(["sweep", str(failing), "--out", str(out)]) == FAILED_CELLS
    found = capsys.readouterr()
    assert "arden to ilmar, seed 0: knn and 1 more: RuntimeError: no nei" in found.out
    assert "failed: RuntimeError: no neighbours" in found.err
    (row, *_) = csv.DictReader((out / "results.csv").read_text().splitlines())
    assert row["knn"] == "" and np.isfinite(float(row["leep"]))
    assert path.is_file()


def test_what_is_wrong_is_told_before_any_work(tmp_path, capsys):
    assert run(["sweep", str(tmp_path / "gone.yaml")]) == USAGE
    assert "gone.yaml: no such file; see docs/sweep.md" in capsys.readouterr().err
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(SMALL).replace("seeds:", "seed_s:"))
    assert run(["sweep", str(path), "--out", str(tmp_path / "out")]) == USAGE
    assert "seed_s: there is no such key; did you mean 'seeds'" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out" / "cells").exists()
    (tmp_path / "out" / "cells").mkdir(parents=True)
    path.write_text(yaml.safe_dump(SMALL))
    assert run(["sweep", str(path), "--out", str(tmp_path / "out")]) == USAGE
    assert "holds what trfjax rank wrote" in capsys.readouterr().err

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.studies.sweep.made import CELLS, asked, data, fakes
from tests.training.cases import network
from trfjax import files, fit_history, leave_one_target_out
from trfjax.errors import DataError
from trfjax.files import read_table
from trfjax.lock import locked
from trfjax.studies.sweep.preview import Preview
from trfjax.studies.sweep.sweep import preview_sweep, read_sweep, sweep

__all__ = ["fakes"]
ROOT = Path(__file__).parents[3]


class Killed(BaseException):
    """The end of the process, as far as files are concerned."""


def values(result):
    """Return the rows without what differs from run to run."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in result.rows()]


def test_every_cell_is_done_once(fakes, tmp_path):
    heard = []
    result = sweep(asked(), tmp_path, progress=heard.append)
    assert len(heard) == CELLS == len(result.records)
    # Weights drawn anew do not depend on the source: 5 pairs, but 2 targets.
    assert len(fakes.done) == CELLS - 2 * (5 - 2)
    assert [event.done for event in heard] == list(range(1, CELLS + 1))
    assert heard[-1].seconds_left == 0 and heard[0].total == CELLS
    assert fakes.trained == ["arden", "corvale", "delmira"]
    again = sweep(asked(), tmp_path, progress=heard.append)
    assert values(again) == values(result) == values(read_sweep(tmp_path))
    assert len(heard) == CELLS and len(fakes.trained) == 3
    assert not result.failed


def test_more_seeds_and_scores_are_added_to_what_is_there(fakes, tmp_path):
    first = sweep(asked(), tmp_path)
    fakes.done.clear()
    second = sweep(asked(scores=["leep", "logme", "otce"], seeds=[0, 1, 2]), tmp_path)
    added = 5 * (1 + 2) + 5 * 4 + 2  # otce; seed 2: leep, logme, facts, full, scratch
    assert len(fakes.done) == added
    for cell, record in first.records.items():
        assert second.records[cell].value == record.value
    fakes.done.clear()
    changed = asked(methods=[{"mode": "full", "steps": 7}])
    sweep(changed, tmp_path)
    assert {cell.kind for cell in fakes.done} == {"transfer"}
    assert len(fakes.done) == 10


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_sweep_that_is_killed_goes_on_as_if_nothing_was(
    fakes, tmp_path, monkeypatch, moment
):
    """At every single write, before and after the file has its name."""
    few = asked(seeds=[0], scores=["leep"])
    right = values(sweep(few, tmp_path / "whole"))
    replace, left = os.replace, [0]

    def counted(source, target):
        left[0] -= 1
        if left[0] == 0 and moment == "before":
            raise Killed
        replace(source, target)
        if left[0] == 0:
            raise Killed

    monkeypatch.setattr(files.os, "replace", counted)
    kills = 0
    while True:
        left[0] = 3 + kills // 3  # so many more files, then the end
        try:
            found = sweep(few, tmp_path / "killed")
            break
        except Killed:
            kills += 1
    assert kills > 10
    assert values(found) == right
    left[0] = -1
    assert values(sweep(few, tmp_path / "killed")) == right
    assert not list((tmp_path / "killed").rglob("*.tmp*"))


def test_a_full_disk_is_an_error_and_what_is_finished_stays(
    fakes, tmp_path, monkeypatch
):
    right = values(sweep(asked(), tmp_path / "whole"))
    fakes.done.clear()
    replace, room = os.replace, [12]

    def full(source, target):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        sweep(asked(), tmp_path / "small")
    room[0] = 10_000
    assert values(sweep(asked(), tmp_path / "small")) == right
    assert len(fakes.done) <= len(set(fakes.done)) + 1  # the one without room


def test_a_disk_that_is_full_while_a_source_is_trained(fakes, tmp_path):
    def train(worker, source):
        raise OSError(errno.ENOSPC, "No space left on device", "state")

    fakes.train, kept = train, fakes.train
    with pytest.raises(OSError, match="No space left"):
        sweep(asked(), tmp_path)
    assert not list((tmp_path / "cells").glob("*.json"))
    fakes.train = kept


def test_a_cell_that_fails_is_recorded_and_the_rest_go_on(fakes, tmp_path):
    fakes.broken = lambda cell: (cell.source, cell.name) == ("corvale", "logme")
    result = sweep(asked(), tmp_path)
    assert len(result.failed) == 4 and len(result.records) == CELLS
    assert set(result.failed.values()) == {"ValueError: no luck with corvale"}
    rows = [row for row in result.rows() if row["source"] == "corvale"]
    assert all(row["logme"] is None and row["leep"] is not None for row in rows)
    before = len(fakes.done)
    fakes.broken = lambda cell: False
    assert sweep(asked(), tmp_path).failed  # left as they are
    assert len(fakes.done) == before
    found = preview_sweep(asked(), tmp_path)
    assert len(found.failed) == 4 and not found.todo
    assert "4 failed (--retry-failed does them again)" in str(found)
    assert len(preview_sweep(asked(), tmp_path, retry_failed=True).todo) == 4
    assert not sweep(asked(), tmp_path, retry_failed=True).failed
    assert len(fakes.done) == before + 4


def test_a_source_that_cannot_be_trained_fails_alone(fakes, tmp_path):
    def train(worker, source):
        if source.name == "delmira":
            raise FloatingPointError("the loss is not finite")
        return network()

    fakes.train = train
    result = sweep(asked(), tmp_path)
    assert {cell.source for cell in result.failed} == {"delmira"}
    # Its transfers from fresh weights are those of the other sources, and fine.
    assert len(result.failed) == 2 * 2 * (2 + 1 + 1)
    assert "FloatingPointError: the loss is not finite" in result.failed.values()


def test_two_sweeps_cannot_write_to_one_folder(fakes, tmp_path):
    code = f"""if True:
        from trfjax.lock import locked
        import time
        with locked({str(tmp_path)!r}):
            print("mine", flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        with pytest.raises(DataError, match="is writing here"):
            sweep(asked(), tmp_path)
        holder.kill()
    with locked(tmp_path):
        sweep(asked(), tmp_path)


def test_a_preview_says_what_would_run_and_how_long(fakes, tmp_path):
    first = preview_sweep(asked(), tmp_path)
    assert isinstance(first, Preview)
    assert len(first.todo) == first.total == CELLS and first.finished == 0
    assert first.to_train == ("arden", "corvale", "delmira")
    assert "known when some cells are finished" in first.time
    assert "full: 10" in str(first) and not list(tmp_path.iterdir())
    sweep(asked(seeds=[0]), tmp_path)
    half = preview_sweep(asked(), tmp_path)
    assert len(half.todo) == CELLS // 2 and half.finished == CELLS // 2
    names = ("leep", "logme", "facts", "full", "scratch")
    took = {name: [] for name in names}
    for cell, record in read_sweep(tmp_path).records.items():
        took[cell.name].append(record.seconds)
    counts = {"leep": 5, "logme": 5, "facts": 5, "full": 5, "scratch": 2}
    expected = sum(counts[name] * np.mean(took[name]) for name in names)
    assert half.seconds == pytest.approx(expected)
    assert half.unmeasured == ("training",)  # nothing was trained in earnest


def test_the_table_is_what_a_history_is_fitted_to(fakes, tmp_path):
    sources = [{"name": c, "data": data(c)} for c in ("arden", "corvale", "delmira")]
    targets = [{"name": c, "data": data(c)} for c in ("ilmar", "kestry", "lumeo")]
    result = sweep(asked(sources=sources, targets=targets), tmp_path)
    table = result.table()
    rows = [r for r in result.rows() if r["method"] == "full"]
    for i, (source, target) in enumerate(
        zip(table["source"], table["target"], strict=True)
    ):
        mine = [r for r in rows if (r["source"], r["target"]) == (source, target)]
        assert len(mine) == 2
        for name in ("leep", "miou", "as_is"):
            assert table[name][i] == pytest.approx(np.mean([r[name] for r in mine]))
    history = fit_history(result, measured="miou", scores=("leep",))
    assert history.rows == 9
    for suffix in ("csv", "parquet"):
        path = tmp_path / f"transfer-full.{suffix}"
        same = fit_history(path, measured="miou", scores=("leep",))
        np.testing.assert_allclose(same.estimates, history.estimates, rtol=1e-9)
        assert read_table(tmp_path / f"results.{suffix}")["seed"] == [
            row["seed"] for row in result.rows()
        ]
    found = leave_one_target_out(result, measured="miou", scores=("leep",))
    assert len(found.mean) == 9
    with pytest.raises(ValueError, match=r"no 'head'; there are full, scratch"):
        result.table("head")


def test_a_panel_is_a_column_beside_the_scores(fakes, tmp_path):
    panels = [{"name": "both", "scores": ["leep", "logme"]}]
    result = sweep(asked(panels=panels), tmp_path)
    assert result.predictors[:3] == ("both", "leep", "logme")
    for target in ("arden", "ilmar"):
        rows = [r for r in result.rows() if (r["target"], r["seed"]) == (target, 1)]
        rows = [r for r in rows if r["method"] == "full"]
        ranks = [
            np.argsort(np.argsort([r[name] for r in rows])) + 0.5
            for name in ("leep", "logme")
        ]
        expected = np.mean(ranks, axis=0) / len(rows)
        np.testing.assert_allclose([r["both"] for r in rows], expected)


@pytest.mark.slow
def test_fifty_kills_lose_nothing(tmp_path):
    """kill -9 at random moments of real work; the same table at the end."""
    path = tmp_path / "sweep.yaml"
    few = asked(
        pixels=200, repeats=1, seeds=[0], methods=[{"mode": "full", "steps": 2}]
    )
    path.write_text(yaml.safe_dump(few))
    environment = {**os.environ, "TRFJAX_CACHE": str(tmp_path / "cache")}

    def start(out):
        words = [sys.executable, "-m", "trfjax", "sweep", str(path), "--out", str(out)]
        return subprocess.Popen(
            words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        )

    rng, kills = np.random.default_rng(0), 0
    while kills < 50:
        with start(tmp_path / "killed") as run:
            try:
                code = run.wait(rng.uniform(1, 12))
                assert code == 0
                # All is done: some of it is lost, as if it had never been.
                cells = sorted((tmp_path / "killed" / "cells").glob("*.json"))
                for cell in rng.choice(np.array(cells, object), 6, replace=False):
                    cell.unlink()
            except subprocess.TimeoutExpired:
                run.kill()
                kills += 1
        time.sleep(0.05)
    for name in ("killed", "whole"):
        with start(tmp_path / name) as run:
            assert run.wait(600) == 0
    killed, whole = (read_sweep(tmp_path / name) for name in ("killed", "whole"))
    assert values(killed) == values(whole) and not killed.failed

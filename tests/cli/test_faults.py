"""A disk that refuses one operation: said with path and remedy, nothing lost."""

import errno
import os
import shutil

import pytest

from tests.faults import failing
from tests.kills import kept, lost
from trfjax.cli import USAGE, run

SMALL = ["--size", "32", "64", "--count", "4", "--width", "2", "--batch-size", "2"]
TRAIN = ["train", *SMALL, "--steps", "2", "--checkpoint-every", "1", "--resume"]
RANK = [
    "--shots",
    "3",
    "--bootstrap",
    "5",
    "--pixels",
    "50",
    "--metrics",
    "leep",
    "nce",
]
REMEDIES = ("Make room", "Check ", "choose another", "Copy", "again", "Correct")
FAULTS = (errno.ENOSPC, errno.EIO)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources") / "arden"
    assert run([*TRAIN, "--out", str(folder)]) == 0
    return folder


def words_of(command, source, out):
    if command == "train":
        return [*TRAIN, "--out", str(out)]
    if command == "rank":
        return ["rank", "--sources", str(source), *RANK, "--out", str(out)]
    words = ["extract", "--model", str(source), "--shots", "3", "--pixels", "500"]
    return [*words, "--out", str(out / "features.safetensors")]


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """What every command comes to, and how many operations it takes."""
    root, found = tmp_path_factory.mktemp("whole"), {}
    for command in ("train", "extract", "rank"):
        out = root / command
        with failing(out, 0) as disk:
            assert run(words_of(command, source, out)) == 0
        found[command] = kept(out), len(disk.done)
    return found


def fail_at(command, at, number, *, source, whole, root, capsys):
    """Let one operation fail, then run again; return what was refused."""
    right, _ = whole[command]
    out = root / f"{command}-{at}-{number}"
    words = words_of(command, source, out)
    capsys.readouterr()
    with failing(out, at, number) as disk:
        code = run(words)
    said = capsys.readouterr().err
    told = (command, at, disk.done[-1:], said)
    refused = disk.done[at - 1]
    if code != 0:  # a reading that failed may have been made good
        assert code == USAGE and "Traceback" not in said, told
        assert str(out) in said and any(word in said for word in REMEDIES), told
    left = (
        [p.name for p in out.rglob(".*") if p.name != ".lock"] if out.exists() else []
    )
    assert not left, told
    before = kept(out)
    assert not lost(before, right), told
    assert run(words) == 0, told
    assert kept(out) == right, told
    shutil.rmtree(out)
    return refused


@pytest.mark.parametrize("command", ["train", "extract", "rank"])
def test_a_refused_operation_is_told_and_nothing_lost(
    command, source, whole, tmp_path, capsys
):
    """A few of all operations; the others are in the slow test."""
    _, count = whole[command]
    share = {"train": (0.6,), "extract": (0.1, 0.5, 0.9), "rank": (0.3, 0.95)}[command]
    for part in share:
        fail_at(
            command, max(1, round(part * count)), errno.ENOSPC,
            source=source, whole=whole, root=tmp_path, capsys=capsys,
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "extract", "rank"])
@pytest.mark.parametrize("number", FAULTS, ids=os.strerror)
def test_every_operation_may_be_refused(
    command, number, source, whole, tmp_path, capsys
):
    _, count = whole[command]
    seen = {
        fail_at(
            command, at, number,
            source=source, whole=whole, root=tmp_path, capsys=capsys,
        ).split()[0]
        for at in range(1, count + 1)
    }  # fmt: skip
    assert {"open", "fsync", "replace"} <= seen, (command, count)


def test_the_disk_of_the_tests_fails_once(tmp_path):
    with failing(tmp_path, 2) as disk, pytest.raises(OSError, match="No space left"):
        (tmp_path / "a").write_text("x")
    assert [word.split()[0] for word in disk.done] == ["open", "write"]
    (tmp_path / "a").write_text("x")

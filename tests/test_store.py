import json
import logging
import math
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from trfjax.store import Made, Store, file_name, read_record

ROOT = Path(__file__).parent.parent
KEY = {"source": "arden", "seed": 0, "rates": (0.1, 1e-300)}


class Work:
    """Work that counts how often it is done."""

    def __init__(self, **made):
        self.made, self.calls = made, 0

    def __call__(self):
        self.calls += 1
        return Made(**self.made)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells")


def test_work_is_done_once_and_read_back_the_same(store):
    value = {"score": -0.1 - 0.2, "tiny": 5e-324, "zero": -0.0, "n": 2**70, "t": (1,)}
    value["numpy"] = np.float32(0.1)
    work = Work(value=value)
    first, second = store.keep(KEY, work), Store(store.folder).keep(KEY, work)
    assert work.calls == 1
    assert first.value == second.value and first.seconds == second.seconds
    assert first.value["score"] == -0.1 - 0.2 and first.value["t"] == [1]
    assert math.copysign(1, second.value["zero"]) == -1
    assert second.value["numpy"] == float(np.float32(0.1))
    assert not first.failed and first.files == ()


def test_nan_is_none_now_as_later(store):
    work = Work(value=[float("nan"), math.inf, 1.0])
    assert store.keep(KEY, work).value == [None, None, 1.0]
    assert store.keep(KEY, work).value == [None, None, 1.0]


def test_a_record_is_readable_by_hand(store):
    store.keep(KEY, Work(value={"score": -1.5}), name="arden otce")
    (path,) = store.folder.glob("*.json")
    assert path.name.startswith("arden_otce")
    found = json.loads(path.read_text())
    assert found["key"] == {"source": "arden", "seed": 0, "rates": [0.1, 1e-300]}
    assert found["value"] == {"score": -1.5} and found["error"] == ""


def test_another_key_is_other_work(store):
    work = Work(value=1)
    for change in ({}, {"seed": 1}, {"seed": 0.0}, {"more": None}):
        store.keep(KEY | change, work)
    assert work.calls == 4 and len(list(store.records())) == 4
    named = Work(value=2)
    for change in ({}, {"seed": 1}, {}):  # a name holds one record
        store.keep(KEY | change, named, name="arden")
    assert named.calls == 3 and len(list(store.records())) == 5


def test_the_order_of_a_key_does_not_matter(store):
    work = Work(value=1)
    store.keep({"a": 1, "b": 2}, work)
    store.keep({"b": 2, "a": 1}, work)
    assert work.calls == 1


def test_arrays_lie_beside(store, rng):
    arrays = {"w": rng.normal(size=(3, 2)).astype(np.float32), "i": np.arange(4)}
    work = Work(value="net", arrays=arrays)
    first, second = (store.keep(KEY, work, name="arden") for _ in range(2))
    assert work.calls == 1 and second.files == ("arden.safetensors",)
    for name, array in arrays.items():
        np.testing.assert_array_equal(second.arrays[name], array)
        np.testing.assert_array_equal(first.arrays[name], array)
        assert second.arrays[name].dtype == array.dtype


def written(store):
    """Keep a record with arrays and a file of its own; return the work."""

    class Trained(Work):
        def __call__(self):
            path = store.folder / "net" / "model.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"weights of a network")
            return super().__call__()

    work = Trained(
        value={"score": 1.25}, arrays={"a": np.ones(3)}, files=("net/model.bin",)
    )
    store.keep(KEY, work, name="arden")
    return work


@pytest.mark.parametrize("file", ["arden.json", "arden.safetensors", "net/model.bin"])
def test_every_flipped_bit_that_changes_the_content_is_noticed(store, file, caplog):
    work = written(store)
    path = store.folder / file
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    right = {"score": 1.25}
    for place in rng.choice(len(whole), 60):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        found = store.get(KEY, name="arden")
        # What is read is right; only blanks of the JSON may differ.
        assert found is None or (file == "arden.json" and found.value == right)
    assert "computed again" in caplog.text
    assert store.keep(KEY, work, name="arden").value == right
    assert work.calls == 2
    assert read_record(store.folder / "arden.json").value == right


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"a"', "{}", '{"store": 1}', "\xff", "[" * 100_000],
    ids=range(9),
)
def test_damage_of_any_kind_is_computed_again(store, text, caplog):
    work = written(store)
    (store.folder / "arden.json").write_text(text, encoding="latin-1")
    with caplog.at_level(logging.WARNING, "trfjax"):
        assert store.keep(KEY, work, name="arden").value == {"score": 1.25}
    assert work.calls == 2 and "arden.json" in caplog.text


@pytest.mark.parametrize("file", ["arden.safetensors", "net/model.bin"])
def test_a_file_that_is_gone_is_made_again(store, file):
    work = written(store)
    (store.folder / file).unlink()
    assert store.get(KEY, name="arden") is None
    store.keep(KEY, work, name="arden")
    assert work.calls == 2 and (store.folder / file).is_file()


def test_records_of_a_folder(store, caplog):
    for seed in range(3):
        store.keep(KEY | {"seed": seed}, Work(value=seed), name=f"seed-{seed}")
    (store.folder / "seed-1.json").write_text("{")
    (store.folder / ".seed-9.x.tmp.json").write_text("{")  # left by a kill -9
    found = list(store.records())
    assert [record.value for record in found] == [0, 2]
    assert found[1].name == "seed-2" and found[1].key["seed"] == 2
    assert "seed-1.json" in caplog.text and "seed-9" not in caplog.text
    assert list(Store(store.folder / "none").records()) == []


def test_failures_are_kept_and_tried_again_when_asked(store):
    def fails():
        raise FloatingPointError("the loss is not finite")

    with pytest.raises(FloatingPointError):
        store.keep(KEY, fails)
    assert store.get(KEY) is None
    record = store.keep(KEY, fails, catch=(FloatingPointError,))
    assert record.failed and record.value is None
    assert record.error == "FloatingPointError: the loss is not finite"
    good = Work(value=3)
    assert store.keep(KEY, good).failed and good.calls == 0
    assert store.keep(KEY, good, retry_failed=True).value == 3
    again = Work(value=4)
    assert store.keep(KEY, again, retry_failed=True).value == 3 and not again.calls


def test_what_is_not_plain_is_refused(store):
    with pytest.raises(TypeError, match="JSON"):
        store.keep(KEY, Work(value=object()))
    assert not list(store.folder.glob("*"))


def test_a_write_that_fails_leaves_the_old_record(store, monkeypatch):
    store.put(KEY, Made(value=1), name="arden")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="space"):
        store.put(KEY | {"seed": 1}, Made(value=2), name="arden")
    assert store.get(KEY, name="arden").value == 1
    assert [path.name for path in store.folder.iterdir()] == ["arden.json"]


def test_names_stay_apart():
    names = ["a", "a b", "a/b", "a:b", "../a", ".a", "ä", "a" * 300, "a" * 301]
    stems = [file_name(name) for name in names]
    assert len(set(stems)) == len(names) and stems[0] == "a"
    assert all("/" not in stem and stem[0] != "." for stem in stems)
    assert max(map(len, stems)) < 100


def python(code, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def test_kills_lose_nothing_and_change_nothing(tmp_path):
    """A process killed at any moment, started anew until it is through."""
    folder, cells = tmp_path / "cells", 24
    code = f"""
        import numpy as np
        from trfjax.store import Made, Store
        store = Store({str(folder)!r})
        def work(i):
            rng = np.random.default_rng(i)
            return Made(value=rng.normal(), arrays={{"a": rng.normal(size=50)}})
        for i in range({cells}):
            if store.get({{"cell": i}}, name=f"{{i:03}}") is None:
                print(i, flush=True)
            store.keep({{"cell": i}}, lambda i=i: work(i), name=f"{{i:03}}")
    """
    rng, kills, ended = np.random.default_rng(0), 0, False
    ended_with = None
    before: dict[str, float] = {}
    while not ended:
        with python(code) as process:
            assert process.stdout is not None
            # At least one cell a process, so that it ends on a busy machine too.
            begun = [process.stdout.readline() for _ in range(rng.integers(2, 6))]
            ended = begun[-1] == ""
            if not ended:
                time.sleep(rng.uniform(0, 0.004))  # anywhere within a cell
                process.kill()
                kills += 1
        now = {record.name: record.value for record in Store(folder).records()}
        assert before.items() <= now.items() and (ended or len(now) > len(before))
        before = now
        ended_with = process.returncode
    assert ended_with == 0 and kills >= 4
    found = {record.name: record for record in Store(folder).records()}
    assert len(found) == cells
    for i in range(cells):
        expected = np.random.default_rng(i)
        assert found[f"{i:03}"].value == expected.normal()
        np.testing.assert_array_equal(
            found[f"{i:03}"].arrays["a"], expected.normal(size=50)
        )

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.features.toy import colours, toy, trained
from trfjax.features.cache import cache_folder
from trfjax.features.extract import extract


class Counted:
    def __init__(self):
        self.calls = 0

    def __call__(self, images):
        self.calls += 1
        return colours(images)


def entries(folder):
    return sorted(folder.rglob("*.safetensors"))


def test_a_second_call_runs_nothing(tmp_path):
    net, settings = Counted(), {"digest": "1", "cache": tmp_path, "pixels": 50}
    one = extract(net, toy(3), **settings)
    other = extract(net, toy(3), **settings)
    assert net.calls == 1 and len(entries(tmp_path)) == 1
    np.testing.assert_array_equal(one.space("probs"), other.space("probs"))
    assert one.facts == other.facts and one.image_ids == other.image_ids


def test_whatever_changes_the_features_changes_the_entry(tmp_path):
    settings = {"digest": "1", "cache": tmp_path, "pixels": 50}
    changes = [
        *({}, {"pixels": 51}, {"seed": 1}, {"strategy": "balanced"}, {"digest": "2"}),
        *({"spaces": ("logits",)}, {"class_names": ("x", "y", "z")}, {"name": "n"}),
    ]
    for change in changes:
        extract(colours, toy(3), **{**settings, **change})
    extract(colours, toy(3, name="elsewhere"), **settings)
    assert len(entries(tmp_path)) == len(changes) + 1


def test_weights_are_part_of_the_key(tmp_path):
    found = [extract(trained(s), toy(2), pixels=9, cache=tmp_path) for s in (0, 1)]
    assert len(entries(tmp_path)) == 2
    assert not np.array_equal(found[0].space("probs"), found[1].space("probs"))


def test_what_has_no_identity_is_not_kept(tmp_path):
    extract(colours, toy(2), cache=tmp_path, pixels=9)
    assert entries(tmp_path) == []


@pytest.mark.parametrize("damage", [b"", b"\xff" * 100, None])
def test_a_damaged_entry_is_extracted_again(tmp_path, damage, caplog):
    net, settings = Counted(), {"digest": "1", "cache": tmp_path, "pixels": 50}
    extract(net, toy(3), **settings)
    (path,) = entries(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5] if damage is None else damage)
    with caplog.at_level(logging.WARNING, "trfjax"):
        extract(net, toy(3), **settings)
    assert net.calls == 2 and "computed again" in caplog.text
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_said(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    found = extract(
        colours, toy(2), digest="1", cache=tmp_path / "file" / "cache", pixels=9
    )
    assert len(found) == 9 and "going on without" in caplog.text


def test_two_may_write_at_once(tmp_path):
    def work(_):
        return extract(colours, toy(3), digest="1", cache=tmp_path, pixels=50)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(work, range(2))
    np.testing.assert_array_equal(one.space("probs"), other.space("probs"))
    assert len(list(tmp_path.rglob("*.*"))) == 2  # arrays and record


def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TRFJAX_CACHE", str(tmp_path))
    assert cache_folder(True) == tmp_path
    assert cache_folder(None) is None and cache_folder(False) is None
    assert cache_folder("kept") == Path("kept")
    monkeypatch.delenv("TRFJAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    if os.name == "posix" and os.uname().sysname == "Linux":
        assert cache_folder(True) == tmp_path / "x" / "trfjax"

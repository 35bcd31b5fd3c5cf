"""Files of ours: whole or absent, and every changed bit is noticed."""

import errno
import json
import os
import resource

import msgspec
import numpy as np
import pytest

from trfjax.errors import DataError
from trfjax.files import (
    atomic_path,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
    write_text,
)

VALUE = {"name": "a", "scores": [1.5, None, -0.0], "deep": {"count": 3}}
ARRAYS = {"b": np.arange(4, dtype=np.float32), "a": np.ones((2, 2), np.int32)}


class Kind(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    scores: list[float | None]
    deep: dict[str, int]


def test_json_comes_back_as_its_type(tmp_path):
    path = tmp_path / "new" / "a.json"
    write_json(path, {**VALUE, "scores": (1.5, float("nan"), -0.0)})
    assert read_json(path) == VALUE
    assert read_json(path, Kind) == Kind(**VALUE)
    assert "sha256" in json.loads(path.read_text())  # readable by hand
    with pytest.raises(DataError, match=r"Expected `int`, got `str`"):
        read_json(path, dict[str, int])


def flips(content):
    for place in range(0, len(content), 3):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        yield place, bytes(flipped)


def test_every_flipped_bit_of_a_record_is_noticed(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, VALUE)
    unnoticed = 0
    for _, flipped in flips(path.read_bytes()):
        path.write_bytes(flipped)
        try:
            found = read_json(path)
        except DataError as error:
            assert error.path == path
        else:
            assert found == VALUE  # white space between the values
            unnoticed += 1
    assert unnoticed < 5


def test_every_flipped_bit_of_arrays_is_noticed(tmp_path):
    path = tmp_path / "a.safetensors"
    write_arrays(path, ARRAYS, {"facts": VALUE})
    arrays, metadata = read_arrays(path)
    assert metadata == {"facts": VALUE}
    for place, flipped in flips(path.read_bytes()):
        path.write_bytes(flipped)
        try:
            found, facts = read_arrays(path)
        except DataError as error:
            assert error.path == path
        else:
            assert facts == metadata, place
            assert all((found[k] == arrays[k]).all() for k in arrays), place


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"name": "a"}', "it has no digest"),
        (b'{"name": "a", "sha256": "0"}', "its digest is another"),
        (b'{"name": "a", "sha256": [1]}', "its digest is another"),
        (b"[1]", "Expected `object`, got `array`"),
        (b"", "not valid JSON"),
    ],
)
def test_json_of_others_is_no_record(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_json(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        bytes(8),
        b"\xff" * 8,
        (10**12).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}" + b"x",
        (9).to_bytes(8, "little") + b'{"a": 1} ',
        (2000).to_bytes(8, "little") + b"[" * 2000,
        (70).to_bytes(8, "little")
        + b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}    ',
    ],
)
def test_a_bad_safetensors_file_is_a_data_error(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged") as caught:
        read_arrays(path)
    assert caught.value.path == path


def test_arrays_of_other_programs_have_no_metadata(tmp_path):
    from safetensors.numpy import save_file

    save_file(ARRAYS, tmp_path / "a.safetensors", metadata={"format": "pt"})
    arrays, metadata = read_arrays(tmp_path / "a.safetensors")
    assert set(arrays) == {"a", "b"} and metadata == {}


def test_files_follow_the_umask(tmp_path):
    old = os.umask(0o077)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_failing_call_leaves_the_old_file(tmp_path, monkeypatch, call, number):
    """The second fsync and open are of the folder: the new file is there then."""
    path = tmp_path / "a.json"
    write_json(path, {"n": 1})
    real, calls = getattr(os, call), []

    def fail(*args, **kwargs):
        calls.append(args)
        if len(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(os, call, fail)
    if call == "replace" and number == 2:
        return  # there is only one
    with pytest.raises(OSError, match="No space left") as caught:
        write_json(path, {"n": 2})
    assert caught.value.filename == str(path)
    assert names(tmp_path) == ["a.json"]
    assert read_json(path)["n"] in (1, 2)


def test_a_full_disk_is_said_with_the_path(tmp_path):
    """A limit on the size of files stands for a disk that is full."""
    path = tmp_path / "a.safetensors"
    write_arrays(path, ARRAYS)
    before = path.read_bytes()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(OSError, match=r"a\.safetensors"):
            write_arrays(path, {"a": np.zeros(10_000)})
        with pytest.raises(OSError, match=r"File too large.*b\.json"):
            write_json(tmp_path / "b.json", {"a": "x" * 10_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert names(tmp_path) == ["a.safetensors"] and path.read_bytes() == before


def test_an_exception_removes_the_temporary_file(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []

"""Small files: whole, bounded, regular, of the type that is due."""

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trfjax.errors import DataError
from trfjax.reading import (
    decode,
    parse_json,
    read_bytes,
    read_lines,
    read_yaml,
    regular_size,
)

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be")


def written(tmp_path, content, name="file"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_only_regular_files_are_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        regular_size(tmp_path / "absent")
    with pytest.raises(DataError, match="is a folder"):
        read_bytes(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="a pipe or a device"):
        read_bytes(tmp_path / "pipe")
    with pytest.raises(DataError, match="a pipe or a device"):
        read_bytes("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match=r"cannot be read \(Too many levels"):
        read_bytes(tmp_path / "loop")
    for name in ("a\0b", "n" * 300):
        with pytest.raises(DataError, match="cannot be read"):
            read_bytes(name)


def test_a_file_that_may_not_be_read_is_said_as_it_is(tmp_path, monkeypatch):
    path = written(tmp_path, b"{}")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match=r"Permission denied.*Check its permissions"):
        read_bytes(path)


def test_a_file_above_its_limit_is_not_read(tmp_path):
    path = written(tmp_path, b"12345")
    assert read_bytes(path, limit=5) == b"12345"
    with pytest.raises(DataError, match="5 bytes are above the limit of 4"):
        read_bytes(path, limit=4)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\n\n", " \t\r\n"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_list_is_read_however_it_was_saved(tmp_path, encoding, ending):
    names = ["road", "Straße", "sky"]
    text = ending.join(["", *names, ""])
    path = written(tmp_path, text.encode(encoding))
    assert read_lines(path) == names


def test_names_are_composed(tmp_path):
    path = written(tmp_path, "e\u0301\n\u00e9".encode())
    assert read_lines(path) == ["\u00e9", "\u00e9"]


def test_the_end_mark_of_dos_is_no_name(tmp_path):
    assert read_lines(written(tmp_path, b"a\r\nb\r\n\x1a")) == ["a", "b"]


@pytest.mark.parametrize("content", [b"caf\xe9\n", b"\xff\xfea", b"ok\nno\xff"])
def test_another_encoding_is_refused(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=r"not UTF-8 text.*Save it again as UTF-8"):
        read_lines(path)


class Kind(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    count: int = 1


BAD_JSON = [
    b"", b"{", b"nul", b"[1,]", b"{'a': 1}", b'{"name": "a"', b"[" * 10**5, b'"\\x"',
    b"NaN", b'{"name": "a", "count": Infinity}', b'{"name": "a", "name": "b"}',
    b'{"name": 1}', b'{"name": null}', b'{"count": 1}', b'{"name": "a", "count": "1"}',
    b'{"name": "a", "count": 1.5}', b'{"name": "a", "more": 1}', b"[]", b'"a"', b"1",
    b"\xff\xfe\xff", b"1" * 5000, b'{"name": "a"} x', b"\x80", b"\0\0\0\0",
]  # fmt: skip


@pytest.mark.parametrize("content", BAD_JSON, ids=lambda c: repr(c[:30]))
def test_bad_json_is_a_data_error(content):
    with pytest.raises(DataError, match="again") as caught:
        parse_json("x.json", content, Kind)
    assert caught.value.path.name == "x.json"


# Nine lists of ten references each to the one before: 10^9 values in 400 bytes.
UNFOLDING = b"a0: &x0 [1, 1]\n" + b"".join(
    b"a%d: &x%d [%s]\n" % (i, i, b", ".join([b"*x%d" % (i - 1)] * 10))
    for i in range(1, 10)
)
BAD_YAML = [
    b"{", b"a: [", b"name: a\nname: b\n", b"{name: a, name: b}", b"name: [1]",
    b"count: 2", b"name: a\ncount: two", b"name: a\nmore: 1", b"- a", b"a", b"",
    b"[" * 10**5, b"!!python/object/apply:os.system ['true']", b"!!int ''", b"\t- a",
    b"!!timestamp x", b"!!bool maybe", b"2001-99-99", b"name: \x80", b"&a [*a]",
    UNFOLDING,
    b"#" * 10**6, b"? [a, b]\n: 1", b"<<: 1", b"name: !!binary x",
]  # fmt: skip


@pytest.mark.parametrize("content", BAD_YAML, ids=lambda c: repr(c[:30]))
def test_bad_yaml_is_a_data_error(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_yaml(path, Kind)
    assert caught.value.path == path


def test_good_files_are_of_their_type(tmp_path):
    assert parse_json("x", b'{"name": "a", "count": 3}', Kind) == Kind("a", 3)
    path = written(tmp_path, b"\xef\xbb\xbfname: a\r\ncount: 3\r\n")
    assert read_yaml(path, Kind) == Kind("a", 3)
    path = written(tmp_path, b"a: &x [1]\nb: *x")  # a reference, of modest size
    assert read_yaml(path) == {"a": [1], "b": [1]}


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_a_data_error(content):
    for read in (decode, parse_json):
        try:
            read("x", content)
        except DataError as error:
            assert str(error).startswith("x: ")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))))
def test_a_line_is_a_name(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("lines") / "list.txt"
    path.write_bytes("\n".join(["first", *names]).encode())
    found = read_lines(path)
    assert found[0] == "first" and len(found) <= len(names) + 1
    assert all(name == name.strip() and name for name in found)

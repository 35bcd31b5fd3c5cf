"""Arrays in `.npy` and `.npz`: what their headers say is not believed."""

import io
import struct
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trfjax.errors import DataError
from trfjax.npy import map_npy, read_npz, refuse_other


def npy(header, body=b"", version=1):
    text = header.encode() if isinstance(header, str) else header
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + length + text + body


def described(descr: Any = "<f4", shape: Any = (3,), fortran: Any = False):
    return repr({"descr": descr, "fortran_order": fortran, "shape": shape})


def zipped(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


BAD = {
    "empty": b"",
    "cut in the magic": b"\x93NUM",
    "version": npy(described(), bytes(12), 9),
    "cut in the header": npy(described())[:20],
    "parentheses": npy("(" * 5000),
    "unary": npy("-" * 5000 + "1"),
    "brackets": npy("(((("),
    "code": npy("__import__('os').getcwd()"),
    "bytes": npy(b"\xff\xfe"),
    "no dict": npy("[1]"),
    "other keys": npy("{'descr': '<f4'}"),
    "shape of floats": npy(described(shape=(3.0,)), bytes(12)),
    "shape of bools": npy(described(shape=(True,)), bytes(4)),
    "negative": npy(described(shape=(-3,)), bytes(12)),
    "no tuple": npy(described(shape=3), bytes(12)),
    "order": npy(described(fortran=1), bytes(12)),
    "dtype": npy(described(descr="<q9"), bytes(12)),
    "no dtype": npy(described(descr=7), bytes(12)),
    "objects": npy(described(descr="|O"), bytes(24)),
    "records": npy(described(descr=[("a", "<f4")]), bytes(12)),
    "times": npy(described(descr="<M8[s]"), bytes(24)),
    "10^12 values": npy(described(shape=(10**12,)), bytes(12)),
    "10^30 values": npy(described(shape=(10**10, 10**10, 10**10)), bytes(12)),
    "40 axes": npy(described(shape=(1,) * 40), bytes(4)),
    "short": npy(described(), bytes(11)),
    "long": npy(described(), bytes(13)),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_bad_npy_is_a_data_error(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        map_npy(path)
    assert caught.value.path == path
    with pytest.raises(DataError, match=r"member 'a\.npy'"):
        read_npz(zipped(tmp_path / "a.npz", [("a.npy", content)]))


def test_a_bad_npz_is_a_data_error(tmp_path):
    good = npy(described(), bytes(12))
    path = zipped(tmp_path / "a.npz", [("a", good)])
    with pytest.raises(DataError, match=r"member 'a' is no \.npy"):
        read_npz(path)
    with pytest.warns(UserWarning, match="Duplicate"):
        zipped(path, [("a.npy", good)] * 2)
    with pytest.raises(DataError, match="is there twice"):
        read_npz(path)
    zipped(path, [(f"{i}.npy", good) for i in range(1001)])
    with pytest.raises(DataError, match="1001 members"):
        read_npz(path)
    whole = zipped(path, [("a.npy", npy(described(), bytes(range(12))))]).read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="damaged"):
            read_npz(path)
    zipped(path, [("a.npy", npy(described(), bytes(range(12))))], zipfile.ZIP_STORED)
    flipped = bytearray(path.read_bytes())
    flipped[flipped.find(bytes(range(12))) + 5] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(DataError, match=r"damaged.*CRC"):
        read_npz(path)


def test_a_bomb_is_not_unpacked(tmp_path):
    many = 300 << 20
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(npy(described("|u1", (many,))))
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(DataError, match="above the limit of 268435456"):
        read_npz(tmp_path / "a.npz")


ARRAYS = hnp.arrays(
    st.sampled_from(["<f4", ">f8", "<f2", "<i4", ">u2", "|b1", "<U3"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(array=ARRAYS, order=st.sampled_from("CF"))
def test_arrays_come_back_as_numpy_reads_them(tmp_path, array, order):
    array = np.asarray(array, order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", a=array)
    for found in (map_npy(tmp_path / "a.npy"), read_npz(tmp_path / "a.npz")["a"]):
        assert found.dtype == array.dtype and found.shape == array.shape
        np.testing.assert_array_equal(found, array)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_changed_byte_is_a_data_error_or_an_array(tmp_path, data):
    stream = io.BytesIO()
    np.savez(stream, a=np.arange(6.0), labels=np.arange(3))
    content = bytearray(stream.getvalue())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    try:
        read_npz(path)
    except DataError as error:
        assert error.path == path


@pytest.mark.parametrize(
    ("name", "remedy"), [("a.npy", "numpy.savez"), ("a.pth", "trfjax.models.convert")]
)
def test_another_kind_of_file_says_what_to_do(name, remedy, tmp_path):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=rf"no .safetensors or .npz file.*{remedy}"):
        refuse_other(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        refuse_other(tmp_path / "missing.npy")
    refuse_other(tmp_path / "b.npz")

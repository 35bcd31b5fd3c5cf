"""Every reader on damaged files: a value or a DataError, nothing else, and no growth.

Quick here; five minutes a reader in `make test-slow`, or TRFJAX_FUZZ_SECONDS each.
"""

import os
import resource
import time
import warnings

import numpy as np
import pytest

from tests.fuzz.targets import TARGETS
from trfjax.errors import DataError

QUICK, LONG = 0.1, float(os.environ.get("TRFJAX_FUZZ_SECONDS", "300"))
GROWTH = 1 << 30  # bytes the process may grow by, as README says of damaged files
TOKENS = [
    b"\0", b"\xff" * 8, b"[", b"{", b"(",
    b'"', b"\x80", b"1e999", b"-1", b"NaN", b"null",
    b"9999999999999", b"\r", b"\xef\xbb\xbf", b"\xff\xfe", b"../", b"\\", b"&a ", b"*a",
    (2**31 - 1).to_bytes(4, "little"), (2**40).to_bytes(8, "little"), b"\x1b[31m",
]  # fmt: skip


def damaged(content, rng):
    """Return the bytes of a file after one to four accidents."""
    found = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(0, len(found) + 1))
        end = min(place + int(rng.integers(1, 17)), len(found))
        kind = rng.integers(0, 6)
        if kind == 0 and place < len(found):
            found[place] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del found[place:end]
        elif kind == 2:
            found[place:place] = found[place:end] * int(rng.integers(1, 200))
        elif kind == 3:
            found[place:place] = TOKENS[rng.integers(len(TOKENS))]
        elif kind == 4:
            token = TOKENS[rng.integers(len(TOKENS))]
            found[place : place + len(token)] = token
        else:
            del found[place:]
    return bytes(found)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fuzz(make, folder, seconds, seed):
    path, read = make(folder)
    content, before = path.read_bytes(), peak()
    rng = np.random.default_rng(seed)
    count, end = 0, time.process_time() + seconds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while time.process_time() < end:
            changed = damaged(content, rng)
            path.write_bytes(changed)
            try:
                read(path)
            except DataError as error:
                assert str(error.path) in str(error)
            except ValueError as error:  # of a whole file that says something else
                assert type(error) is ValueError, (seed, count, changed[:200])
            except Exception as error:
                raise AssertionError((seed, count, changed[:2000])) from error
            count += 1
    assert peak() - before < GROWTH
    return count


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_told(tmp_path, name):
    fuzz(TARGETS[name], tmp_path, QUICK, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_told_for_long(tmp_path, name):
    count = fuzz(TARGETS[name], tmp_path, LONG, seed=time.time_ns())
    print(f"{name}: {count} files")

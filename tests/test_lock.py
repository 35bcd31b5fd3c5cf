import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from trfjax.errors import DataError
from trfjax.lock import LOCK, locked

ROOT = Path(__file__).parent.parent


def python(code, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def test_two_writers_are_refused_until_the_first_is_killed(tmp_path):
    code = f"""
        import time
        from trfjax.lock import locked
        with locked({str(tmp_path)!r}):
            print("mine", flush=True)
            time.sleep(60)
    """
    with python(code) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "mine\n"
        refusal = rf"process {holder.pid} on .*another --out"
        with pytest.raises(DataError, match=refusal), locked(tmp_path, "--out"):
            pass
        holder.kill()
    with locked(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / LOCK).read_text()


def test_the_same_thread_may_lock_again_another_not(tmp_path):
    refused = []

    def other():
        try:
            with locked(tmp_path):
                pass
        except DataError as error:
            refused.append(error)

    with locked(tmp_path), locked(tmp_path / ".." / tmp_path.name):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1
    with locked(tmp_path):
        pass

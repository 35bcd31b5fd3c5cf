import os

import pytest

from trfjax.studies.processes import alone, peak_memory


@pytest.mark.slow
def test_another_process_has_a_memory_of_its_own():
    ballast = bytearray(b"x" * 2**30)
    assert peak_memory() > 1
    assert alone(peak_memory) < 1
    assert alone(os.getpid) != os.getpid() and len(ballast)

import jax
import numpy as np
import pytest


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Forget compiled programs after each file of tests.

    Each keeps memory mapped; with thousands of them the compiler crashes at the limit
    of maps of a process (65,530 on Linux).
    """
    yield
    jax.clear_caches()


@pytest.fixture
def x64():
    """Run one test in float64, for comparisons against references."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)

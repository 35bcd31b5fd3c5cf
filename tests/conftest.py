import jax
import numpy as np
import pytest


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

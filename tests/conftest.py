import os

import jax
import jaxlib
import numpy as np
import pytest

# Most of the time of the tests is compiling, so code is compiled quickly, not to be
# quick; in subprocesses too. What is set outside goes first: for code as users run it,
# `JAX_DISABLE_MOST_OPTIMIZATIONS=0 XLA_FLAGS= make test`.
if "JAX_DISABLE_MOST_OPTIMIZATIONS" not in os.environ:
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    jax.config.update("jax_disable_most_optimizations", True)
if jaxlib.__version__.startswith("0.10."):  # a flag that is not known ends the process
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")


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

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport import reference
from tests.transport.test_joint import problem_of
from trfjax.transport.joint import couple_many
from trfjax.transport.sharded import start_distributed

ROOT = Path(__file__).parents[2]


def batch(count=5):
    problems = [
        problem_of(*reference.labelled_clouds(seed, 48, 40)) for seed in range(count)
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *problems)


SCRIPT = """
    import sys
    import jax
    import numpy as np
    from jax.sharding import Mesh
    from tests.transport.test_sharded import batch
    from trfjax.transport.sharded import couple_sharded

    count = int(sys.argv[1])
    assert jax.device_count() == count
    # Two devices by default, four as two hosts of two.
    grid = Mesh(np.array(jax.devices()).reshape(2, -1), ("hosts", "devices"))
    mesh = grid if count == 4 else None
    found = couple_sharded(batch(), epsilon=0.3, mesh=mesh)
    parts = {"joint": found.joint, "shares": found.shares, "cost": found.cost,
             "iterations": found.iterations, "converged": found.converged}
    np.savez(sys.argv[2], **parts)
"""


@pytest.mark.parametrize("devices", [2, 4])
def test_the_numbers_are_those_of_one_device(devices, tmp_path):
    file = tmp_path / "found.npz"
    flags = os.environ.get("XLA_FLAGS", "")
    flags += f" --xla_force_host_platform_device_count={devices}"
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(devices), str(file)],
        check=True, cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    alone = jax.jit(lambda p: couple_many(p, epsilon=0.3))(batch())
    with np.load(file) as found:
        # Roundoff only: a smaller batch may be summed in another order, and where the
        # error stands at the tolerance, that decides about one more iteration.
        np.testing.assert_allclose(found["iterations"], alone.iterations, atol=1)
        np.testing.assert_array_equal(found["converged"], alone.converged)
        for name in ("joint", "shares", "cost"):
            np.testing.assert_allclose(
                found[name], getattr(alone, name), rtol=1e-4, atol=1e-6
            )


def test_the_start_says_what_to_look_for(monkeypatch):
    with pytest.raises(ValueError, match="give all three, or none"):
        start_distributed("localhost:1234", num_processes=2)

    def refuse(*_):
        raise ValueError("no coordinator")

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    with pytest.raises(RuntimeError, match=r"no coordinator[\s\S]*--gpus-per-task"):
        start_distributed()

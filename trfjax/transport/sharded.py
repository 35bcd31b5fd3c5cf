"""Many problems on many devices, and the start of a program on many hosts."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array

from trfjax.transport.joint import Transport, couple_many
from trfjax.transport.problem import Problem, Settings


def couple_sharded(
    problems: Problem,
    *,
    epsilon: Array | float,
    settings: Settings | None = None,
    mesh: Mesh | None = None,
) -> Transport:
    """Couple a batch of equal-shaped problems, shared out over devices.

    Every device runs `couple_many` on its part of the batch and no numbers pass
    between them; where the batch does not divide evenly, the last problem is repeated
    and the copies are cut off again. The numbers are those of one device.

    Args:
        problems: a batch, given with a leading axis.
        epsilon: entropic regularisation, in units of the squared distance.
        settings: when to stop; the defaults otherwise.
        mesh: devices; all of its axes share the batch. All devices if None. In a
            program on many hosts every process passes the same batch.

    Returns:
        What `couple_many` returns for the batch, laid out over the devices.
    """
    if mesh is None:
        mesh = Mesh(np.array(jax.devices()), ("problems",))
    mesh = Mesh(mesh.devices, mesh.axis_names)  # without explicit axis types
    return _sharded(
        problems, jnp.asarray(epsilon), settings=settings or Settings(), mesh=mesh
    )


@functools.partial(jax.jit, static_argnames=("settings", "mesh"))
def _sharded(
    problems: Problem, epsilon: Array, *, settings: Settings, mesh: Mesh
) -> Transport:
    count = len(problems.source)
    missing = -count % mesh.size
    over_all = PartitionSpec(mesh.axis_names)

    def pad(field: Array) -> Array:
        return jnp.concatenate([field, jnp.repeat(field[-1:], missing, axis=0)])

    run = jax.shard_map(
        lambda part, epsilon: couple_many(part, epsilon=epsilon, settings=settings),
        mesh=mesh,
        in_specs=(over_all, PartitionSpec()),
        out_specs=over_all,
        check_vma=False,  # the carries of the solver's loops start as constants
    )
    found = run(jax.tree.map(pad, problems), epsilon)
    return jax.tree.map(lambda field: field[:count], found)


def start_distributed(
    coordinator: str | None = None,
    *,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Join the processes of one program on many hosts; never called by itself.

    To be called before anything else touches JAX. Without arguments, JAX finds them
    from SLURM, Open MPI or a cloud TPU.

    Args:
        coordinator: `"host:port"` of process 0.
        num_processes: how many processes there are.
        process_id: which one this is.

    Raises:
        ValueError: only some of the three are given.
        RuntimeError: the processes did not find each other, or JAX is running
            already; the message says what to look for under SLURM.

    Reference:
        `jax.distributed.initialize`, of which this is a thin wrapper.
    """
    given = [value is not None for value in (coordinator, num_processes, process_id)]
    if any(given) and not all(given):
        raise ValueError(
            "coordinator, num_processes, process_id: give all three, or none of them "
            f"to have them found; got {coordinator!r}, {num_processes}, {process_id}"
        )
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id)
    except Exception as error:
        raise RuntimeError(
            f"the processes could not be joined: {error}\n"
            "Call start_distributed() before any other use of JAX. Under SLURM, look "
            "for: --gpus-per-task (it hides the other devices of a node; use "
            "--gpus-per-node with one process per device); partial nodes (every node "
            "of the job must run the same number of tasks: --ntasks-per-node); "
            "variables left over from another job or an interactive shell (SLURM_*, "
            "OMPI_*, JAX_COORDINATOR_ADDRESS), in which case pass coordinator, "
            "num_processes and process_id."
        ) from error

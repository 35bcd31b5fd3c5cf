"""Where the jobs of a sweep run: in this process, or on a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from trfjax.errors import missing_extra
from trfjax.studies.sweep.cells import Job, SweepCell, jobs_of
from trfjax.studies.sweep.opened import Opened, open_sweep
from trfjax.studies.sweep.spec import Sweep
from trfjax.studies.sweep.work import Done, Worker

# (sweep, folder, cells to do, whether failed ones are done again)
Engine = Callable[[Opened, Path, Sequence[SweepCell], bool], Iterator[Done]]


def serial(
    opened: Opened, folder: Path, cells: Sequence[SweepCell], retry_failed: bool
) -> Iterator[Done]:
    """Do the jobs one after the other, those of a source together."""
    worker = Worker(opened, folder, retry_failed=retry_failed)
    for first, later in jobs_of(list(cells)):
        for job in (first, *later):
            yield from worker.do(job)


def on_ray(
    opened: Opened, folder: Path, cells: Sequence[SweepCell], retry_failed: bool
) -> Iterator[Done]:
    """Do the jobs as tasks of Ray; the folder must be the same on all machines.

    A running cluster is used where there is one (`RAY_ADDRESS`), else one is started
    here. Transfers of a source wait for its scoring, which trains its network.
    """
    try:
        import ray
    except ImportError as error:
        raise missing_extra("engine='ray'", "ray") from error
    mine = not ray.is_initialized()
    if mine:
        ray.init(log_to_driver=False, include_dashboard=False)
    try:
        asked = msgspec.json.encode(opened.sweep), str(folder.resolve())
        remote = ray.remote(_task).options(max_retries=3)
        waiting = {}
        for first, later in jobs_of(list(cells)):
            waiting[remote.remote(*asked, first, retry_failed)] = later
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            later = waiting.pop(ready)
            yield from ray.get(ready)
            for job in later:
                waiting[remote.remote(*asked, job, retry_failed)] = ()
    finally:
        if mine:
            ray.shutdown()


def _task(sweep: bytes, folder: str, job: Job, retry_failed: bool) -> list[Done]:
    """Do one job in a process of Ray, which keeps data and network for the next."""
    return list(_worker(sweep, folder, retry_failed).do(job))


@functools.lru_cache(maxsize=1)
def _worker(sweep: bytes, folder: str, retry_failed: bool) -> Worker:
    opened = open_sweep(msgspec.json.decode(sweep, type=Sweep))
    return Worker(opened, Path(folder), retry_failed=retry_failed)


ENGINES: dict[str, Engine] = {"serial": serial, "ray": on_ray}


def engine_named(name: str) -> Engine:
    """Return an engine by its name.

    Raises:
        ValueError: an unknown name.
    """
    if name not in ENGINES:
        raise ValueError(f"engine: unknown {name!r}; available: {', '.join(ENGINES)}")
    return ENGINES[name]

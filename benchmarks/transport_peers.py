"""Who solves a problem of the transport benchmark: peers, ours among them, timed.

Same problem everywhere: squared distance, epsilon times the KL divergence. geomloss
halves the distance, so its blur is sqrt(epsilon / 2); debias=False, scaling=0.9 (it
makes one pass of annealing: the same plan only as scaling goes to 1). POT and OTT take
epsilon as it is.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from transport_draws import draw, entropy_of, joint_of, one_hot

NEEDS = {"emd": "ot", "pot-log": "ot", "geomloss": "geomloss"}
EXACT = ("emd", "assignment")
PEERS = ("emd", "assignment", "pot-log", "geomloss", "ott", "ott-map", "ours")


def solve(job: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Time a peer on a batch of draws; the first call is counted apart."""
    if job["peer"] in ("ours", "ott", "ott-map"):
        return jitted(job, arrays)
    peer = {
        "emd": emd, "assignment": assignment, "pot-log": pot_log, "geomloss": geomloss,
    }[job["peer"]]  # fmt: skip
    count = min(len(arrays["x"]), job.get("sample") or len(arrays["x"]))
    seconds, values, steps, began = [], [], [], time.perf_counter()
    for k in range(count):
        x, ys, y, yt, _, _ = draw(arrays, k)
        start = time.perf_counter()
        joint, iterations = peer(x, ys, y, yt, job)
        seconds.append(time.perf_counter() - start)
        values.append(entropy_of(joint))
        steps.append(iterations)
        if time.perf_counter() - began > job["limit"] / 6:
            break
    middle = statistics.mean if job.get("sample") else statistics.median
    return {
        "draws": len(seconds), "seconds": middle(seconds), "wt": values,
        "iterations": None if None in steps else statistics.median(steps),
    }  # fmt: skip


def emd(x: Any, ys: Any, y: Any, yt: Any, job: dict[str, Any]) -> tuple[Any, None]:
    import ot

    a, b = (np.full(len(z), 1 / len(z)) for z in (x, y))
    plan = ot.emd(a, b, ot.dist(x.astype(float), y.astype(float)), numItermax=10**7)
    return joint_of(plan, ys, yt, job), None


def assignment(
    x: Any, ys: Any, y: Any, yt: Any, job: dict[str, Any]
) -> tuple[Any, None]:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    rows, columns = linear_sum_assignment(cdist(x, y, "sqeuclidean"))
    joint = np.zeros(job["classes"])
    np.add.at(joint, (ys[rows], yt[columns]), 1 / len(x))
    return joint, None


def pot_log(x: Any, ys: Any, y: Any, yt: Any, job: dict[str, Any]) -> tuple[Any, Any]:
    import ot

    a, b = (np.full(len(z), 1 / len(z)) for z in (x, y))
    plan, log = ot.sinkhorn(
        a, b, ot.dist(x.astype(float), y.astype(float)), job["epsilon"],
        method="sinkhorn_log", stopThr=1e-6, numItermax=1000, log=True, warn=False,
    )  # fmt: skip
    return joint_of(plan, ys, yt, job), int(log["niter"])


def geomloss(x: Any, ys: Any, y: Any, yt: Any, job: dict[str, Any]) -> tuple[Any, Any]:
    import torch
    from geomloss import SamplesLoss

    blur = (job["epsilon"] / 2) ** 0.5  # its cost is half the squared distance
    loss = SamplesLoss(
        "sinkhorn", p=2, blur=blur, scaling=0.9, debias=False, potentials=True,
        backend="tensorized",
    )  # fmt: skip
    with torch.no_grad():
        left, right = torch.from_numpy(x), torch.from_numpy(y)
        f, g = (part.reshape(-1) for part in loss(left, right))
        cost = torch.cdist(left, right).square_().div_(2)
        plan = cost.neg_().add_(f[:, None]).add_(g).div_(blur**2).exp_()
        plan /= len(x) * len(y)
        labels = torch.from_numpy(one_hot(yt, job["classes"][1], np.float32))
        moved = (plan @ labels).numpy()
    span = np.linalg.norm(
        np.maximum(x.max(0), y.max(0)) - np.minimum(x.min(0), y.min(0))
    )
    steps = 2 + max(0, int(np.ceil(np.log(blur / span) / np.log(0.9))))
    return one_hot(ys, job["classes"][0]).T @ moved, steps


def problems_of(job: dict[str, Any], arrays: dict[str, np.ndarray], dtype: Any) -> Any:
    import jax
    import jax.numpy as jnp

    from trfjax.transport.problem import Problem

    sources, targets = job["classes"]
    x, y, a, b = (jnp.asarray(arrays[name], dtype) for name in ("x", "y", "a", "b"))
    left = jax.nn.one_hot(arrays["ys"], sources, dtype=dtype)
    right = jax.nn.one_hot(arrays["yt"], targets, dtype=dtype)
    return jax.block_until_ready(Problem(x, y, a, b, left, right))


def jitted(job: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Time ours or OTT's: all draws in one jitted call."""
    import jax

    given = len(arrays["x"])
    arrays = {name: part[: job.get("draws", given)] for name, part in arrays.items()}
    problems = problems_of(job, arrays, np.float32)
    if job["peer"] != "ours":
        run = jax.jit(plain_ott(job, job["peer"] == "ott"))
    else:  # sizes of a map are read on the host
        run = ours(job) if job.get("sample") else jax.jit(ours(job))
    began = time.perf_counter()
    found = jax.block_until_ready(run(problems))
    first = time.perf_counter() - began
    seconds: list[float] = []
    while len(seconds) < 5 and (
        not seconds or time.perf_counter() - began + seconds[-1] < job["limit"] / 2
    ):
        start = time.perf_counter()
        found = jax.block_until_ready(run(problems))
        seconds.append(time.perf_counter() - start)
    found = jax.tree.map(np.asarray, found)
    count = len(arrays["x"])
    stats = jax.devices()[0].memory_stats() or {}
    peak = stats.get("peak_bytes_in_use")
    return {
        "draws": count, "seconds": statistics.median(seconds) / count,
        "first_call": first, "wt": [entropy_of(joint) for joint in found["joint"][:64]],
        "iterations": float(np.mean(found["iterations"])),
        "marginal_error": float(np.max(found["error"])),
        "converged": f"{int(np.sum(found['converged']))}/{count}",
        "note": f"device memory {peak / 1e9:.2f} GB" if peak else fewer(count, given),
        "finite": bool(np.isfinite(found["joint"]).all()),
    }  # fmt: skip


def fewer(count: int, given: int) -> str:
    """Say so where not all draws were solved."""
    return f"{count} of {given} draws: more do not fit" if count < given else ""


def ott_draws(n: int, draws: int) -> int:
    """Return how many draws OTT can solve together in 60 % of the memory.

    Ten vmapped draws of 10,000 x 10,000 ask for 76 GB, so 76 bytes for every pair.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(draws, int(0.6 * memory / 76 / n**2)))


def ours(job: dict[str, Any]) -> Callable[[Any], dict[str, Any]]:
    from trfjax.transport.joint import couple_many
    from trfjax.transport.ragged import couple_ragged

    solve = couple_ragged if job.get("sample") else couple_many

    def run(problems: Any) -> dict[str, Any]:
        found = solve(problems, epsilon=job["epsilon"])
        return {
            "joint": found.joint, "iterations": found.iterations,
            "error": found.marginal_error, "converged": found.converged,
        }  # fmt: skip

    return run


def plain_ott(job: dict[str, Any], together: bool) -> Callable[[Any], dict[str, Any]]:
    """OTT's Sinkhorn as its documentation has it, default settings."""
    import jax
    from ott.geometry import pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    def one(problem: Any) -> dict[str, Any]:
        geometry = pointcloud.PointCloud(
            problem.source, problem.target, epsilon=job["epsilon"]
        )
        a, b = problem.source_weights, problem.target_weights
        out = sinkhorn.Sinkhorn()(linear_problem.LinearProblem(geometry, a, b))
        moved = out.apply(problem.target_labels.T, axis=1)  # (t, n)
        return {
            "joint": problem.source_labels.T @ moved.T, "iterations": out.n_iters,
            "error": abs(out.apply(a * 0 + 1, axis=0) - b).sum(),
            "converged": out.converged,
        }  # fmt: skip

    if together:
        return jax.vmap(one)
    return lambda problems: jax.lax.map(one, problems)

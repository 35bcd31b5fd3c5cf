"""How fast and how exact the transport solver is, next to its peers.

    python benchmarks/transport.py --quick                  # a minute or two
    python benchmarks/transport.py --out transport.csv      # everything
    python benchmarks/transport.py --only probs-10000 map --device gpu
    python benchmarks/transport.py --features source.safetensors target.safetensors

All peers get the same float32 arrays: pixels of two synthetic cities as one trained
network sees them, or files of `trfjax extract`. Each peer runs in a process of its own,
whose peak memory is its own, under a time limit. W_T errors are against a float64
solution, its plan formed and its marginals verified in NumPy to 1e-6 (first draw; kept
in --work). Exact peers solve another problem, so they have no W_T error.

Same problem everywhere: squared distance, epsilon times the KL divergence. geomloss
halves the distance, so its blur is sqrt(epsilon / 2); debias=False, scaling=0.9 (it
makes one pass of annealing: the same plan only as scaling goes to 1). POT and OTT take
epsilon as it is.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (64, 128)
STEPS = 150
POOL = 120_000  # pixels extracted of each city
SPACES = ("probs", "logits", "penultimate")
NEEDS = {"emd": "ot", "pot-log": "ot", "geomloss": "geomloss"}
EXACT = ("emd", "assignment")
PEERS = ("emd", "assignment", "pot-log", "geomloss", "ott", "ott-map", "ours")
COLUMNS = (
    "peer", "problem", "d", "draws", "seconds", "first_call", "times_emd", "times_ott",
    "wt", "wt_error", "memory_gb", "iterations", "marginal_error", "converged", "note",
)  # fmt: skip
EXTRAPOLATED = 64  # problems of a map that are solved one by one


# --- the child: one peer on one problem ---------------------------------------------


def child(job: dict[str, Any]) -> dict[str, Any]:
    """Run one job; the arrays are in its file."""
    with np.load(job["file"]) as file:
        arrays = {name: file[name] for name in file.files}
    kinds: dict[str, Callable[..., dict[str, Any]]] = {
        "solve": solve, "reference": reference, "gradient": gradient,
        "bandwidth": bandwidth,
    }  # fmt: skip
    found = kinds[job["kind"]](job, arrays)
    return {**found, "memory_gb": peak_memory() / 1e9}


def peak_memory() -> float:
    """Return the peak resident memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of Linux includes what the parent had when forking
        lines = status.read_text().splitlines()
        return 1024.0 * int(next(v for v in lines if "VmHWM" in v).split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1.0 if sys.platform == "darwin" else 1024.0)


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


def draw(arrays: dict[str, np.ndarray], k: int) -> tuple[np.ndarray, ...]:
    """Return one draw without its padding, and its weights."""
    a, b = arrays["a"][k], arrays["b"][k]
    left, right = a > 0, b > 0
    return (
        arrays["x"][k][left], arrays["ys"][k][left],
        arrays["y"][k][right], arrays["yt"][k][right], a[left], b[right],
    )  # fmt: skip


def entropy_of(joint: np.ndarray) -> float:
    """Return H(column | row) by the definition."""
    joint = np.asarray(joint, np.float64) / np.sum(joint, dtype=np.float64)
    rows = np.broadcast_to(joint.sum(1, keepdims=True), joint.shape)
    kept = joint > 0
    return float(-np.sum(joint[kept] * np.log(joint[kept] / rows[kept])))


def one_hot(labels: np.ndarray, classes: int, dtype: Any = np.float64) -> np.ndarray:
    return np.eye(classes, dtype=dtype)[labels]


def joint_of(plan: Any, ys: np.ndarray, yt: np.ndarray, job: dict[str, Any]) -> Any:
    sources, targets = job["classes"]
    return one_hot(ys, sources).T @ (plan @ one_hot(yt, targets))


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


def reference(job: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Solve in float64 to 1e-7 and verify the marginals of the plan in NumPy."""
    import jax
    import jax.numpy as jnp

    from trfjax.transport.gradient import solve_with_gradient
    from trfjax.transport.problem import Problem, Settings

    settings = Settings(tolerance=1e-7, joint_tolerance=1e-8, max_iterations=200_000)
    sources, targets = job["classes"]
    values, errors = [], []
    for k in range(min(len(arrays["x"]), job.get("check", 1))):
        x, ys, y, yt, a, b = draw(arrays, k)
        x, y, a, b = (part.astype(np.float64) for part in (x, y, a, b))
        a, b = a / a.sum(), b / b.sum()
        x, y = x - a @ x, y - b @ y
        problem = Problem(
            x, y, a, b, one_hot(ys, sources), one_hot(yt, targets)
        )  # fmt: skip
        problem = jax.tree.map(jnp.asarray, problem)
        found = jax.jit(solve_with_gradient, static_argnums=2)(
            problem, jnp.asarray(job["epsilon"]), settings
        )
        scale, offset = np.asarray(found.log_scale), np.asarray(found.log_offset)
        joint, columns, error = np.zeros((sources, targets)), np.zeros(len(y)), 0.0
        for start in range(0, len(x), 512):
            part = slice(start, start + 512)
            plan = np.exp(
                2 / job["epsilon"] * x[part] @ y.T + scale[part, None] + offset
            )
            error += np.abs(plan.sum(1) - a[part]).sum()
            columns += plan.sum(0)
            joint += joint_of(plan, ys[part], yt, job)
        errors.append(error + np.abs(columns - b).sum())
        values.append(entropy_of(joint))
    return {"wt": values, "marginal_error": max(errors)}


def gradient(job: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Time the gradient of W_T in both clouds; compare with finite differences."""
    import jax
    import jax.numpy as jnp

    from trfjax.transport.conditional import entropy_given_rows
    from trfjax.transport.joint import couple
    from trfjax.transport.problem import Problem, Settings

    settings = Settings(tolerance=1e-12, joint_tolerance=1e-12, max_iterations=50_000)

    def loss(clouds: Any, rest: Any, exactly: bool = False) -> Any:
        found = couple(
            Problem(*clouds, *rest), epsilon=job["epsilon"],
            settings=settings if exactly else None,
        )  # fmt: skip
        return entropy_given_rows(found.joint)

    def parts(dtype: Any) -> tuple[Any, Any]:
        batch = problems_of(job, arrays, dtype)
        leaves = [leaf[0] for leaf in jax.tree.leaves(batch)]
        return tuple(leaves[:2]), tuple(leaves[2:])

    def timed(call: Callable[..., Any], *values: Any) -> tuple[float, Any]:
        found = jax.block_until_ready(call(*values))
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            found = jax.block_until_ready(call(*values))
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds), found

    with jax.enable_x64(False):
        clouds, rest = parts(np.float32)
        forward, _ = timed(jax.jit(loss), clouds, rest)
        both, single = timed(jax.jit(jax.grad(loss)), clouds, rest)
    with jax.enable_x64(True):
        clouds, rest = parts(np.float64)
        value = jax.jit(lambda c: loss(c, rest, True))
        double = jax.jit(jax.grad(lambda c: loss(c, rest, True)))(clouds)
        # At points that carry no weight in the plan only noise would be compared.
        rng = np.random.default_rng(0)
        wrong = []
        for _ in range(3):
            way = [jnp.asarray(rng.normal(size=c.shape)) for c in clouds]
            size = float(jnp.sqrt(jnp.asarray(sum(jnp.sum(w**2) for w in way))))
            step = 1e-3 * float(jnp.std(clouds[0]))
            moved = [
                value(tuple(c + s * step * w for c, w in zip(clouds, way, strict=True)))
                for s in (-2, -1, 1, 2)
            ]
            finite = (
                float(moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]) / 12 / step
            )
            slope = sum(float(jnp.sum(d * w)) for d, w in zip(double, way, strict=True))
            length = np.sqrt(sum(float(jnp.sum(d**2)) for d in double))
            # Relative to the size a slope has in such a direction.
            wrong.append(abs(slope - finite) / (length * size / np.sqrt(way[0].size)))
    far = np.sqrt(
        sum(np.sum((np.asarray(s, float) - np.asarray(d)) ** 2)
            for s, d in zip(single, double, strict=True))
        / sum(np.sum(np.asarray(d) ** 2) for d in double)
    )  # fmt: skip
    return {
        "draws": 1, "seconds": both, "first_call": None, "wt_error": max(wrong),
        "note": f"forward {forward:.3f} s, with gradient {both:.3f} s, "
        f"{both / forward:.1f} times; error: x64 against finite differences "
        f"{max(wrong):.1e}, float32 against x64 {far:.1e} relative",
    }  # fmt: skip


def bandwidth(job: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Measure how fast memory is copied, in bytes read and written a second."""
    import jax
    import jax.numpy as jnp

    cells = job["cells"]
    copy = jax.jit(lambda v: v + 1)
    value = jax.block_until_ready(copy(jnp.zeros(cells, jnp.float32)))
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        jax.block_until_ready(copy(value))
        seconds.append(time.perf_counter() - start)
    device = jax.devices()[0]
    return {
        "bytes_a_second": 8 * cells / statistics.median(seconds),
        "device": f"{device.platform} {device.device_kind}",
    }


# --- the parent: problems, jobs, table ----------------------------------------------


def features(options: argparse.Namespace) -> tuple[Any, Any, str]:
    """Return source and target features, and where they are from."""
    from trfjax.features.featureset import FeatureSet

    if options.features:
        paths = [Path(p) for p in options.features]
        note = f"features of {paths[0].name} and {paths[1].name}"
    else:
        name = f"{options.width}-{STEPS}"
        paths = [options.work / f"{c}-{name}.safetensors" for c in ("arden", "other")]
        if not all(path.exists() for path in paths):
            train_and_extract(options.width, paths)
        note = f"U-Net of width {options.width}, {STEPS} steps on a synthetic city"
    source, target = (FeatureSet.load(path) for path in paths)
    return source, target, note


def train_and_extract(width: int, paths: list[Path]) -> None:
    """Train a small U-Net on one synthetic city; extract pixels of it and another."""
    import jax

    from trfjax.data.synthetic import CITIES, synthetic_city
    from trfjax.features.extract import extract
    from trfjax.models import create_model
    from trfjax.state import ModelCard
    from trfjax.transfer.recipe import Recipe
    from trfjax.transfer.train import train

    names = list(CITIES)
    cities = [synthetic_city(names[i], 24, size=SIZE, seed=i) for i in (0, 1)]
    config = {"num_classes": cities[0].num_classes, "width": width}
    card = ModelCard(
        name="benchmark", architecture="unet", config=config,
        class_names=cities[0].class_names, input_size=SIZE,
    )  # fmt: skip
    model = create_model("unet", key=jax.random.key(0), **config)
    recipe = Recipe(steps=STEPS, batch_size=4)
    trained = train(model, cities[0], card=card, recipe=recipe).trained
    for city, path in zip(cities, paths, strict=True):
        spaces = ("probs", "logits", "penultimate")
        extract(trained, city, spaces=spaces, pixels=POOL).save(path)


def write_draws(
    path: Path, source: Any, target: Any, space: str, n: int, count: int
) -> dict[str, Any]:
    """Draw pixels of both sides and write them; return what a job has to know."""
    rng = np.random.default_rng(n)
    sides = []
    for side in (source, target):
        values, labels = side.space(space), side.labels
        index = np.stack(
            [rng.permutation(len(labels))[:n] for _ in range(count)]
        )  # fmt: skip
        sides.append((values[index].astype(np.float32), labels[index]))
    (x, ys), (y, yt) = sides
    a, b = (np.full(z.shape[:2], 1 / z.shape[1], np.float32) for z in (x, y))
    return write(path, x, ys, y, yt, a, b)


def write_map(path: Path, source: Any, target: Any, count: int) -> dict[str, Any]:
    """Draw the problems of a map: 64 to 256 points each, padded to 256."""
    rng = np.random.default_rng(0)
    sides = []
    for side in (source, target):
        index = rng.integers(0, len(side.labels), (count, 256))
        sizes = rng.integers(64, 257, count)
        weights = (np.arange(256) < sizes[:, None]) / sizes[:, None]
        values = side.space("probs")[index].astype(np.float32)
        sides.append((values, side.labels[index], weights.astype(np.float32)))
    (x, ys, a), (y, yt, b) = sides
    return write(path, x, ys, y, yt, a, b)


def write(path: Path, *arrays: np.ndarray) -> dict[str, Any]:
    names = ("x", "ys", "y", "yt", "a", "b")
    np.savez(path, **dict(zip(names, arrays, strict=True)))  # pyright: ignore
    x, ys, _, yt = arrays[:4]
    classes = [int(labels.max()) + 1 for labels in (ys, yt)]
    digest = hashlib.sha256(b"".join(part.tobytes() for part in arrays)).hexdigest()
    return {
        "file": str(path), "classes": classes, "d": int(x.shape[-1]),
        "count": len(x), "n": x.shape[1],
        "digest": digest[:16],
    }  # fmt: skip


def run(
    job: dict[str, Any], options: argparse.Namespace, *, x64: bool = False
) -> dict[str, Any]:
    """Run a job in a process of its own; say so if it did not end well."""
    platform_name = "cuda" if options.device == "gpu" else "cpu"
    if job["kind"] == "reference":
        platform_name = "cpu"
    env = {
        **os.environ, "JAX_PLATFORMS": platform_name, "PYTHONWARNINGS": "ignore",
        "JAX_ENABLE_X64": "1" if x64 else "0",
    }  # fmt: skip
    limit = job["limit"]
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--job", json.dumps(job)],
            env=env, capture_output=True, text=True, timeout=limit,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"note": f"timed out after {limit:g} s", "timed_out": True}
    if done.returncode < 0:
        return {"note": f"killed by signal {-done.returncode} (memory?)"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"note": f"failed: {last[:120]}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def reference_of(job: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return the float64 values of a problem, solved once."""
    kept = options.work / f"reference-{job['digest']}-{job['epsilon']:g}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    found = run(
        {**job, "kind": "reference", "limit": options.reference_limit}, options,
        x64=True,
    )  # fmt: skip
    if "wt" in found and found["marginal_error"] < 1e-6:
        kept.write_text(json.dumps(found))
    return found


class Table:
    """Rows printed as they come, and written to a CSV file each time."""

    def __init__(self, out: Path | None) -> None:
        self.out, self.rows = out, []
        widths = zip(COLUMNS[:-1], WIDTHS, strict=True)
        print("  ".join(f"{name:>{w}}" for name, w in widths) + "  note")

    def add(self, *rows: dict[str, Any]) -> None:
        """Print rows, and write all rows so far."""
        self.rows.extend(rows)
        for row in rows:
            cells = zip(COLUMNS[:-1], WIDTHS, strict=True)
            line = "  ".join(f"{shown(row.get(name)):>{w}}" for name, w in cells)
            print(f"{line}  {row.get('note') or ''}".rstrip(), flush=True)
        if self.out:
            with self.out.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(self.rows)


WIDTHS = (10, 18, 3, 5, 8, 10, 9, 9, 8, 8, 9, 10, 14, 9)


def shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"
    return str(value)


def compare(
    name: str,
    job: dict[str, Any],
    table: Table,
    options: argparse.Namespace,
    slow: dict[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Run every peer on one problem; add their rows to the table.

    A peer in `slow` ran past the limit on the smaller problem named there, and is
    left out; those that run past it now are added.
    """
    slow = {} if slow is None else slow
    truth = reference_of(job, options)
    if "wt" not in truth:
        print(f"# {name}: no reference, {truth['note']}")
    elif truth["marginal_error"] > 1e-6:
        print(f"# {name}: reference has marginal error {truth['marginal_error']:.1e}")
    found = {}
    for peer in chosen(PEERS, options.peers):
        module = NEEDS.get(peer)
        if module and importlib.util.find_spec(module) is None:
            found[peer] = {"note": "absent: not installed"}
        elif job.get("sample") and peer not in ("emd", "ott", "ours"):
            continue
        elif peer in slow:
            found[peer] = {"note": f"left out: {slow[peer]}", "timed_out": True}
        else:
            mine = {**job, "kind": "solve", "peer": peer}
            if peer in ("ott", "ott-map") and options.device == "cpu":
                mine["draws"] = ott_draws(job["n"], job["count"])
            found[peer] = run(mine, options)
            if found[peer].get("timed_out"):
                slow[peer] = f"{found[peer]['note']} on {name}"
    for peer, row in found.items():
        row.update(peer=peer, problem=name, d=job["d"])
        values = row.pop("wt", None)
        if values:
            row["wt"] = values[0]
            if peer not in EXACT and "wt" in truth:
                pairs = zip(values, truth["wt"], strict=False)
                row["wt_error"] = max(abs(v - w) for v, w in pairs)
            elif peer in EXACT:
                row["note"] = "unregularised plan"
        if job.get("sample") and peer == "emd" and "seconds" in row:
            row["note"] = f"loop, extrapolated from {row['draws']} problems"
        for other in ("emd", "ott"):
            row[f"times_{other}"] = times(row, found.get(other), job["limit"])
    table.add(*found.values())
    return found


def times(
    row: dict[str, Any], other: dict[str, Any] | None, limit: float
) -> str | float | None:
    """Return how many times faster a peer is; a lower bound where one timed out."""
    if other is None or not row.get("seconds"):
        return None
    if other.get("seconds"):
        return other["seconds"] / row["seconds"]
    if other.get("timed_out"):
        return f">{limit / row['seconds']:.3g}"  # not even one draw
    return None


def chosen(names: Any, wanted: list[str] | None) -> list[str]:
    return [n for n in names if not wanted or n in wanted]


def machine(options: argparse.Namespace, device: str) -> str:
    """Return machine and versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if "model name" in line]
        cpu = names[0] if names else cpu
    versions = []
    for name in ("jax", "ott-jax", "numpy", "scipy", "POT", "torch", "geomloss"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} absent")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return (
        f"# {cpu}, {cores or os.cpu_count()} cores, device {device}, load "
        f"{os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"{', '.join(versions)}"
    )


def main(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    source, target, note = features(options)
    scratch = options.work / "draws.npz"
    base = {"epsilon": options.epsilon, "limit": options.limit}
    first = write_draws(scratch, source, target, "probs", 16, 1)
    cells = 2**24 if options.quick or options.device == "cpu" else 2**28
    speed = run({**base, **first, "kind": "bandwidth", "cells": cells}, options)
    print(machine(options, speed.get("device", speed.get("note", "?"))))
    print(
        f"# {note}; {options.draws} draws, epsilon {options.epsilon:g}, limit "
        f"{options.limit:g} s a peer; seconds per draw, compile in first_call\n"
    )
    table = Table(options.out)
    sizes = (1000,) if options.quick else (1000, 4000, 10_000)
    draws = min(options.draws, 3) if options.quick else options.draws
    problems = [f"{space}-{n}" for space in SPACES for n in sizes]
    slow: dict[str, dict[str, str]] = {space: {} for space in SPACES}
    for name in chosen(problems, options.only):
        space, n = name.rsplit("-", 1)
        if space not in (*source.spaces, "probs"):
            print(f"# {name}: the files hold no {space}")
            continue
        job = base | write_draws(scratch, source, target, space, int(n), draws)
        found = compare(name, job, table, options, slow[space])
        if options.device == "gpu":
            print(limit_line(found.get("ours", {}), int(n), speed))
    if not options.only or "map" in options.only:
        count = 512 if options.quick else 8192
        job = base | write_map(scratch, source, target, count)
        job |= {"sample": EXTRAPOLATED, "check": 8}
        found = compare(f"map-{count}", job, table, options)
    if not options.only or "scaling" in options.only:
        scaling(base, source, target, table, options)
    if not options.only or "gradient" in options.only:
        n = 300 if options.quick else 1000
        job = base | write_draws(scratch, source, target, "probs", n, 1)
        row = run({**job, "kind": "gradient"}, options)
        table.add({**row, "peer": "ours", "problem": f"gradient-{n}", "d": job["d"]})
    scratch.unlink(missing_ok=True)


def scaling(
    base: dict[str, Any],
    source: Any,
    target: Any,
    table: Table,
    options: argparse.Namespace,
) -> None:
    """Time one draw of growing size: seconds for every pair of pixels."""
    from trfjax.transport.nested import NESTED_ABOVE

    sizes = (1000, 2000, 5000, 10_000, 20_000, 50_000)[: 2 if options.quick else 6]
    for n in sizes:
        if n > min(len(source), len(target)):
            print(f"# scaling-{n}: only {min(len(source), len(target))} pixels")
            continue
        job = base | write_draws(
            options.work / "draws.npz", source, target, "probs", n, 1
        )
        row = run({**job, "kind": "solve", "peer": "ours"}, options)
        if "seconds" in row:
            row["wt"] = row["wt"][0]
            row["note"] = f"{row['seconds'] / n**2 * 1e9:.2f} ns per pixel pair" + (
                ", kernel streamed" if n**2 > NESTED_ABOVE else ""
            )
        table.add({**row, "peer": "ours", "problem": f"scaling-{n}", "d": job["d"]})


def limit_line(row: dict[str, Any], n: int, speed: dict[str, Any]) -> str:
    """Return how far from the limit of memory a draw is: a kernel read twice."""
    if "seconds" not in row or "bytes_a_second" not in speed:
        return "# bandwidth limit: not measured"
    limit = row["iterations"] * 2 * 4 * n**2 / speed["bytes_a_second"]
    return (
        f"# bandwidth limit: {row['iterations']:.0f} iterations, float32 kernel read "
        f"twice in each, {speed['bytes_a_second'] / 1e9:.0f} GB/s copied: {limit:.3g} "
        f"s a draw; measured {row['seconds'] / limit:.2f} times that"
    )


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--features", nargs=2, metavar=("SOURCE", "TARGET"), help=".safetensors files")
    add("--device", choices=("cpu", "gpu"), default="cpu")
    add("--quick", action="store_true", help="N = 1,000 only, 3 draws, a small map")
    add("--only", nargs="+", help="problems: probs-1000 ..., map, scaling, gradient")
    add("--peers", nargs="+", choices=PEERS)
    add("--draws", type=int, default=10)
    add("--epsilon", type=float, default=0.1)
    add("--limit", type=float, default=600, help="seconds a peer may take")
    add("--reference-limit", type=float, default=3600)
    add("--width", type=int, default=64, help="of the U-Net, and so of penultimate")
    add("--work", type=Path, default=Path("runs/benchmark-transport"))
    add("--out", type=Path, help="CSV file")
    add("--job", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parsed()
    if arguments.job:
        print(json.dumps(child(json.loads(arguments.job))))
    else:
        main(arguments)

"""How long the gradient takes next to the forward pass, and how exact it is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from transport_peers import problems_of


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

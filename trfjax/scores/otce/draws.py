"""Draw pixels of both sides, couple them, and average over the draws."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from trfjax.arrays import Rows, is_traced, labelled_rows
from trfjax.errors import ScoreWarning
from trfjax.numbers import as_count, as_key
from trfjax.scores.otce.result import (
    OtceDraws,
    OtceResult,
    Solver,
    average,
    not_converged,
)
from trfjax.scores.spec import Setting
from trfjax.scores.whitening import factor_of
from trfjax.simplex import check_probs, half_step
from trfjax.transport.conditional import entropy_given_rows
from trfjax.transport.exact import exact_joint
from trfjax.transport.joint import Transport, couple_many
from trfjax.transport.problem import Problem, Settings
from trfjax.typing import (
    FEATURE_SPACES,
    ArrayInput,
    Count,
    FeatureSpace,
    PRNGKeyArray,
)

# What a ranking says of drawing and coupling; see `Setting`.
SETTINGS: tuple[Setting, ...] = (
    "num_samples", "repeats", "epsilon", "relative_epsilon", "key", "feature_space",
    "solver",
)  # fmt: skip

# From a batch of problems to problems of another cost, and how much the squared
# distances of the new points exceed that cost in the mean, for every problem.
Ground: TypeAlias = Callable[[Problem], tuple[Problem, Float[Array, " k"]]]


def score_draws(
    source_side: tuple[ArrayInput, ArrayInput, Count | None],
    target_side: tuple[ArrayInput, ArrayInput, Count | None],
    *,
    num_samples: int,
    repeats: int,
    epsilon: Any,
    relative_epsilon: bool,
    key: PRNGKeyArray | int,
    feature_space: FeatureSpace,
    solver: Solver,
    ignore: int,
    settings: Settings | None,
    ground: Ground | None = None,
) -> OtceResult:
    """Draw, couple, and average: what all scores of this kind share.

    Args:
        source_side: features, labels and number of classes.
        target_side: likewise.
        num_samples: as in `otce`, and so the others.
        repeats: number of draws.
        epsilon: entropic regularisation.
        relative_epsilon: whether in units of the mean cost of the draw.
        key: a JAX key, or an int.
        feature_space: what the features are.
        solver: `"fast"`, `"ott"` or `"exact"`.
        ignore: the label that counts for nothing.
        settings: stopping rule.
        ground: makes another cost of the squared distance; None leaves it.
    """
    source, target = check_sides(
        source_side, target_side, feature_space=feature_space, ignore=ignore
    )
    repeats = as_count("repeats", repeats)
    counts = _check_numbers(source, target, num_samples, epsilon, solver)
    sides = [
        (rows.features, rows.labels, rows.weights, jnp.arange(len(rows.labels)))
        for rows in (source, target)
    ]
    if not is_traced(*jax.tree.leaves(sides), key):
        # Under jit the ignored rows cannot be dropped: there they are drawn last.
        sides = [_without_ignored(side) for side in sides]
        repeats = _useful_repeats(source, target, counts, repeats)
    problems, rows = draw_problems(
        sides[0], sides[1], as_key(key),
        counts=counts, repeats=repeats,
        classes=(source.num_classes, target.num_classes),
    )  # fmt: skip
    size = jnp.ones((), problems.source.dtype)
    if relative_epsilon and solver != "exact":
        problems, size = _sized(problems)
    surplus = None
    if ground is not None:
        problems, surplus = ground(problems)
    settings = dataclasses.replace(
        settings or Settings(), solver="ott" if solver == "ott" else "fast"
    )
    run = _exact_draws if solver == "exact" else _entropic_draws
    draws, used = run(
        problems, rows, surplus, epsilon, relative=relative_epsilon, settings=settings
    )
    away = draws.domain_difference / size / size
    draws, used = dataclasses.replace(draws, domain_difference=away), used / size / size
    result = average(
        draws, used, num_samples=counts, feature_space=feature_space, solver=solver,
        source_classes=source.classes, target_classes=target.classes,
    )  # fmt: skip
    if not is_traced(result.converged) and not result.converged:
        warnings.warn(not_converged(result), ScoreWarning, stacklevel=3)
    return result


def _sized(problems: Problem) -> tuple[Problem, Array]:
    """Scale both clouds to a size of about 1, so that no square leaves the range."""
    clouds = (problems.source, problems.target)
    largest = jnp.stack([jnp.max(jnp.abs(cloud)) for cloud in clouds])
    size = factor_of(largest[None], by_column=False)[0, 0]
    source, target = (cloud * size for cloud in clouds)
    return dataclasses.replace(problems, source=source, target=target), size


def _without_ignored(side: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(part[side[2] > 0] for part in side)


def check_sides(
    source: tuple[ArrayInput, ArrayInput, Count | None],
    target: tuple[ArrayInput, ArrayInput, Count | None],
    *,
    feature_space: FeatureSpace,
    ignore: int,
) -> tuple[Rows, Rows]:
    """Check the features and labels of both sides."""
    if feature_space not in FEATURE_SPACES:
        raise ValueError(
            f"feature_space: {feature_space!r} is none of {', '.join(FEATURE_SPACES)}"
        )
    sides = []
    for name, (features, labels, classes) in (("source", source), ("target", target)):
        rows = labelled_rows(
            (f"{name}_features", f"{name}_labels"), features, labels,
            num_classes=classes, ignore=ignore,
        )  # fmt: skip
        if feature_space == "probs":
            probs = check_probs(
                f"{name}_features",
                rows.features,
                rows.weights,
                instead="Apply a softmax, or say what they are with "
                "feature_space='logits' or 'penultimate'.",
                half=half_step(features),
            )
            rows = dataclasses.replace(rows, features=probs)
        sides.append(rows)
    widths = [rows.features.shape[1] for rows in sides]
    if widths[0] != widths[1]:
        raise ValueError(
            f"source_features, target_features: widths {widths[0]} and {widths[1]} "
            "differ; both must come from the same network and layer"
        )
    return sides[0], sides[1]


def _check_numbers(
    source: Rows,
    target: Rows,
    num_samples: int,
    epsilon: Any,
    solver: str,
) -> tuple[int, int]:
    """Check the settings; return how many instances each side gives to a draw."""
    num_samples = as_count("num_samples", num_samples)
    if not is_traced(epsilon) and not (np.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"epsilon: {epsilon!r} is not a positive number")
    if solver not in ("fast", "ott", "exact"):
        raise ValueError(f"solver: {solver!r} is none of 'fast', 'ott', 'exact'")

    def available(rows: Rows) -> int:
        if is_traced(rows.weights):
            return len(rows.weights)
        return int((np.asarray(rows.weights) > 0).sum())

    return min(num_samples, available(source)), min(num_samples, available(target))


def _useful_repeats(
    source: Rows, target: Rows, counts: tuple[int, int], repeats: int
) -> int:
    """Return 1 where a draw takes every instance, so that all draws are the same."""
    whole = [
        int((np.asarray(rows.weights) > 0).sum()) == count
        for rows, count in zip((source, target), counts, strict=True)
    ]
    return 1 if all(whole) else repeats


def _draw(
    key: PRNGKeyArray, side: tuple[Array, ...], count: int, repeats: int
) -> tuple[Array, ...]:
    """Draw rows without replacement, once per repeat; rows of weight 0 come last."""
    weights = side[2]

    def once(k: Array) -> Array:
        order = jax.random.uniform(jax.random.fold_in(key, k), weights.shape)
        return jnp.argsort(jnp.where(weights > 0, order, 2.0))[:count]

    index = lax.map(once, jnp.arange(repeats))
    return tuple(part[index] for part in side)


@functools.partial(jax.jit, static_argnames=("counts", "repeats", "classes"))
def draw_problems(
    source: Any,
    target: Any,
    key: PRNGKeyArray,
    *,
    counts: tuple[int, int],
    repeats: int,
    classes: tuple[int, int],
) -> tuple[Problem, Int[Array, "k m"]]:
    """Draw both sides; return a batch of problems and the target rows drawn."""
    keys = jax.random.split(key)
    drawn = [
        _draw(k, side, count, repeats)
        for k, side, count in zip(keys, (source, target), counts, strict=True)
    ]
    weights = [w / w.sum(axis=1, keepdims=True) for _, _, w, _ in drawn]
    labels = [
        jax.nn.one_hot(y, c, dtype=x.dtype)
        for (x, y, *_), c in zip(drawn, classes, strict=True)
    ]
    return Problem(drawn[0][0], drawn[1][0], *weights, *labels), drawn[1][3]


@functools.partial(jax.jit, static_argnames=("relative", "settings"))
def _entropic_draws(
    problems: Problem,
    rows: Int[Array, "k m"],
    surplus: Any,
    epsilon: Any,
    *,
    relative: bool,
    settings: Settings,
) -> tuple[OtceDraws, Array]:
    if relative:
        # Scaling both clouds by 1/sqrt(mean cost) is the same as scaling epsilon.
        size = jnp.sqrt(mean_cost(problems, surplus))
        scale = lax.stop_gradient(1 / size)[:, None, None]
        scaled = dataclasses.replace(
            problems, source=problems.source * scale, target=problems.target * scale
        )
        found = couple_many(scaled, epsilon=epsilon, settings=settings)
        found = dataclasses.replace(found, cost=found.cost * size**2)
        return _terms(found, rows, surplus), epsilon * jnp.mean(size**2)
    found = couple_many(problems, epsilon=epsilon, settings=settings)
    return _terms(found, rows, surplus), jnp.asarray(epsilon, found.cost.dtype)


def mean_cost(problems: Problem, surplus: Any = None) -> Float[Array, " k"]:
    """Return the mean cost between the clouds of every problem."""

    def moments(points: Array, weights: Array) -> tuple[Array, Array]:
        middle = jnp.einsum("kn,knd->kd", weights, points)
        spread = jnp.sum((points - middle[:, None]) ** 2, axis=2)
        return middle, jnp.sum(weights * spread, axis=1)

    x, spread_x = moments(problems.source, problems.source_weights)
    y, spread_y = moments(problems.target, problems.target_weights)
    cost = spread_x + spread_y + jnp.sum((x - y) ** 2, axis=1)
    cost = cost if surplus is None else cost - surplus
    return jnp.maximum(cost, jnp.finfo(cost.dtype).tiny ** 0.5)  # constant features


def _terms(found: Transport, rows: Int[Array, "k m"], surplus: Any) -> OtceDraws:
    # What little mass is missing at the marginal tolerance is divided out.
    joint = found.joint / found.joint.sum(axis=(1, 2), keepdims=True)
    cost = found.cost if surplus is None else found.cost - surplus
    return OtceDraws(
        jax.vmap(entropy_given_rows)(joint), cost, joint, found.shares, rows,
        found.marginal_error, found.joint_change, found.iterations, found.converged,
    )  # fmt: skip


def _exact_draws(
    problems: Problem,
    rows: Int[Array, "k m"],
    surplus: Any,
    epsilon: Any,
    *,
    relative: bool,
    settings: Settings,
) -> tuple[OtceDraws, Array]:
    del epsilon, relative, settings
    if is_traced(problems.source, problems.target):
        raise TypeError("solver='exact' runs on the host and cannot be traced by jit")
    parts = (
        problems.source, problems.source_labels,
        problems.target, problems.target_labels,
    )  # fmt: skip
    found = [exact_joint(*one) for one in zip(*map(np.asarray, parts), strict=True)]
    joints, shares, costs = (
        jnp.asarray(np.stack(part), problems.source.dtype)
        for part in zip(*found, strict=True)
    )
    repeats = len(costs)
    nothing = jnp.zeros(repeats, costs.dtype)
    solved = Transport(
        joints, shares, costs, nothing, nothing,
        jnp.zeros(repeats, jnp.int32), jnp.ones(repeats, bool),
    )  # fmt: skip
    return _terms(solved, rows, surplus), jnp.zeros(())

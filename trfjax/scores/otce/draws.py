"""Draw pixels of both sides, couple them, and average over the draws."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from trfjax.arrays import Rows, is_traced
from trfjax.errors import ScoreWarning
from trfjax.numbers import as_count, as_key, as_real
from trfjax.scores.otce.coupled import entropic_draws, exact_draws
from trfjax.scores.otce.result import (
    OtceResult,
    Solver,
    average,
    not_converged,
)
from trfjax.scores.otce.sampling import draw_problems
from trfjax.scores.otce.sides import Side, check_sides
from trfjax.scores.vocabulary import Setting
from trfjax.scores.whitening import factor_of
from trfjax.transport.problem import Problem, Settings
from trfjax.typing import (
    FeatureSpace,
    PRNGKeyArray,
)

# What a ranking says of drawing and coupling; see `Setting`.
SETTINGS: tuple[Setting, ...] = get_args(Setting)

# From a batch of problems to problems of another cost, and how much the squared
# distances of the new points exceed that cost in the mean, for every problem.
Ground: TypeAlias = Callable[[Problem], tuple[Problem, Float[Array, " k"]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """The options of `otce`: how instances are drawn, coupled and averaged."""

    num_samples: int
    repeats: int
    epsilon: Any
    relative_epsilon: bool
    key: PRNGKeyArray | int
    feature_space: FeatureSpace
    solver: Solver
    ignore: int
    settings: Settings | None = None

    def __post_init__(self) -> None:
        if not is_traced(self.epsilon):
            as_real("epsilon", self.epsilon, above=0)
        if self.solver not in get_args(Solver):
            known = ", ".join(map(repr, get_args(Solver)))
            raise ValueError(f"solver: {self.solver!r} is none of {known}")

    @property
    def rule(self) -> Settings:
        """When the entropic solver stops, and which it is."""
        entropic = "ott" if self.solver == "ott" else "fast"
        return dataclasses.replace(self.settings or Settings(), solver=entropic)


def score_draws(
    source_side: Side,
    target_side: Side,
    drawing: Drawing,
    *,
    ground: Ground | None = None,
) -> OtceResult:
    """Draw, couple, and average: what all scores of this kind share.

    Args:
        source_side: features, labels and number of classes.
        target_side: likewise.
        drawing: how.
        ground: makes another cost of the squared distance; None leaves it.
    """
    source, target = check_sides(
        source_side,
        target_side,
        feature_space=drawing.feature_space,
        ignore=drawing.ignore,
    )
    asked = as_count("num_samples", drawing.num_samples)
    counts = min(asked, _available(source)), min(asked, _available(target))
    problems, rows = _drawn(source, target, drawing, counts)
    size = jnp.ones((), problems.source.dtype)
    if drawing.relative_epsilon and drawing.solver != "exact":
        problems, size = _sized(problems)
    problems, surplus = (problems, None) if ground is None else ground(problems)
    if drawing.solver == "exact":
        draws, used = exact_draws(problems, rows, surplus), jnp.zeros(())
    else:
        draws, used = entropic_draws(
            problems,
            rows,
            surplus,
            drawing.epsilon,
            relative=drawing.relative_epsilon,
            settings=drawing.rule,
        )
    domain = draws.domain_difference / size / size
    result = average(
        dataclasses.replace(draws, domain_difference=domain),
        used / size / size,
        num_samples=counts,
        feature_space=drawing.feature_space,
        solver=drawing.solver,
        source_classes=source.classes,
        target_classes=target.classes,
    )
    if not is_traced(result.converged) and not result.converged:
        warnings.warn(not_converged(result), ScoreWarning, stacklevel=3)
    return result


def _drawn(
    source: Rows, target: Rows, drawing: Drawing, counts: tuple[int, int]
) -> tuple[Problem, Int[Array, "k m"]]:
    """Draw both sides; return a batch of problems and the target rows drawn."""
    sides = [
        (rows.features, rows.labels, rows.weights, jnp.arange(len(rows.labels)))
        for rows in (source, target)
    ]
    repeats = as_count("repeats", drawing.repeats)
    if not is_traced(*jax.tree.leaves(sides), drawing.key):
        # Under jit the ignored rows cannot be dropped: there they are drawn last.
        sides = [tuple(part[side[2] > 0] for part in side) for side in sides]
        # A draw that takes every instance is like all others.
        repeats = 1 if counts == tuple(len(side[1]) for side in sides) else repeats
    return draw_problems(
        *sides,
        as_key(drawing.key),
        counts=counts,
        repeats=repeats,
        classes=(source.num_classes, target.num_classes),
    )


def _available(rows: Rows) -> int:
    """Return how many instances of a side a draw can have."""
    if is_traced(rows.weights):
        return len(rows.weights)
    return int((np.asarray(rows.weights) > 0).sum())


def _sized(problems: Problem) -> tuple[Problem, Array]:
    """Scale both clouds to a size of about 1, so that no square leaves the range."""
    clouds = (problems.source, problems.target)
    largest = jnp.stack([jnp.max(jnp.abs(cloud)) for cloud in clouds])
    size = factor_of(largest[None], by_column=False)[0, 0]
    source, target = (cloud * size for cloud in clouds)
    return dataclasses.replace(problems, source=source, target=target), size

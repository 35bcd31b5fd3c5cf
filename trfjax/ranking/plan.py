"""What a ranking was asked for, as a value that is part of every cell's key."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from trfjax.errors import perhaps
from trfjax.numbers import as_count, as_real, as_seed
from trfjax.scores import SCORES, score_named
from trfjax.scores.spec import ScoreSpec
from trfjax.scores.vocabulary import Setting
from trfjax.typing import FEATURE_SPACES, FeatureSpace

DRAWN = 10_000  # pixels of a draw, as published
Pixels: TypeAlias = int | Literal["all"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything `rank` was asked for.

    `pixels` says of every score how many pixels a draw has, or `"all"` where the score
    is a function of sums over images and every pixel counts.
    """

    metrics: tuple[str, ...]
    pixels: dict[str, Pixels]
    atoms: int
    repeats: int
    epsilon: float
    relative_epsilon: bool
    features: dict[str, FeatureSpace]
    solver: str
    strategy: str
    bootstrap: int
    seed: int

    def __post_init__(self) -> None:
        if not self.metrics:
            raise ValueError(f"metrics: none given; available: {', '.join(SCORES)}")
        counts: list[tuple[str, Any]] = [("repeats", self.repeats)]
        counts += [("atoms", self.atoms)]
        counts += [("pixels", count) for count in self.pixels.values()]
        for name, value in counts:
            if value != "all":
                as_count(name, value)
        as_count("bootstrap", self.bootstrap, least=0)
        as_real("epsilon", self.epsilon, above=0)
        as_seed("seed", self.seed)

    @property
    def specs(self) -> tuple[ScoreSpec, ...]:
        """The scores asked for."""
        return tuple(score_named(name) for name in self.metrics)

    @property
    def whole(self) -> tuple[ScoreSpec, ...]:
        """The scores that take every pixel."""
        return tuple(s for s in self.specs if self.pixels[s.name] == "all")

    @property
    def drawn(self) -> tuple[ScoreSpec, ...]:
        """The scores that take draws of pixels."""
        return tuple(s for s in self.specs if self.pixels[s.name] != "all")

    @property
    def kept(self) -> int:
        """How many pixels of a side all draws take together."""
        counts = [n for n in self.pixels.values() if isinstance(n, int)]
        return self.repeats * max(counts, default=DRAWN)

    def drawing(self, name: str) -> Plan:
        """Return the plan in which one score takes draws."""
        return dataclasses.replace(self, pixels=self.pixels | {name: DRAWN})

    def settings(
        self, spec: ScoreSpec, names: Iterable[Setting], space: FeatureSpace
    ) -> dict[str, Any]:
        """Return the settings that a function of a score takes.

        Args:
            spec: of the score.
            names: what the function takes.
            space: of the features it is given.
        """
        known: dict[Setting, Any] = {
            "num_samples": self.pixels[spec.name],
            "repeats": self.repeats,
            "epsilon": self.epsilon,
            "relative_epsilon": self.relative_epsilon,
            "key": self.seed,
            "feature_space": space,
            "solver": self.solver,
        }
        return {name: known[name] for name in names}


def check_metrics(metrics: Sequence[str]) -> tuple[str, ...]:
    """Return the names of scores.

    `"name@space"` is a score in another feature space.

    Raises:
        ValueError: a name that is none.
    """
    for name in metrics:
        if name.partition("@")[0] not in SCORES:
            raise ValueError(
                f"metrics: {name!r} is not a score; available: {', '.join(SCORES)}"
                f"{perhaps(name, SCORES)}"
            )
        score_named(name)
    return tuple(metrics)


def pixels_of(
    metrics: Sequence[str],
    pixels: Pixels | None,
    *,
    solver: str,
    strategy: str,
    spaces: Mapping[str, FeatureSpace] | None = None,
) -> dict[str, Pixels]:
    """Return the pixels of every score: all of them unless something needs draws.

    Args:
        metrics: names of scores.
        pixels: what was asked for; None chooses for every score.
        solver: of the scores that take one; only `"fast"` works on all pixels.
        strategy: how pixels are drawn; all of them are taken uniformly.
        spaces: the feature space of every score, its own by default. Levels are
            standardised before they are scored, so they are drawn.

    Raises:
        ValueError: all pixels for what only draws can do.
    """
    if isinstance(pixels, str) and pixels != "all":
        raise ValueError(f"pixels: {pixels!r} is neither a number nor 'all'")
    if pixels == "all":
        _check_all(metrics, solver, strategy)
    chosen: dict[str, Pixels] = {}
    for name in metrics:
        spec = score_named(name)
        drawn = spec.of_sums is None or strategy != "uniform"
        drawn |= "solver" in spec.settings and solver != "fast"
        levels = (spaces or {}).get(name, spec.space) == "levels"
        if levels and pixels == "all":
            raise ValueError(
                f"metrics: {name!r} on levels needs draws of pixels, since levels are "
                "standardised first; give a number, or None to choose for every score"
            )
        drawn |= levels
        asked: Pixels = DRAWN if drawn else "all"
        chosen[name] = asked if pixels is None else pixels
    return chosen


def _check_all(metrics: Sequence[str], solver: str, strategy: str) -> None:
    """Refuse what only draws of pixels can do."""
    instead = f"pixels='all' takes every pixel; give a number, such as {DRAWN:_}"
    for name, value, only in (
        ("solver", solver, "fast"),
        ("strategy", strategy, "uniform"),
    ):
        if value != only:
            raise ValueError(f"{name}: {value!r} needs draws of pixels. {instead}")
    for name in metrics:
        if score_named(name).of_sums is None:
            raise ValueError(
                f"metrics: {name!r} is no sum over pixels. {instead}, or None to "
                "choose for every score"
            )


def spaces_of(
    metrics: Sequence[str], features: FeatureSpace | Mapping[str, FeatureSpace] | None
) -> dict[str, FeatureSpace]:
    """Return the feature space of every score.

    Args:
        metrics: names of scores.
        features: one for all scores that read features of any space, or by score.

    Raises:
        ValueError: a space or a score that is none, or a score that has its own space.
    """
    spaces: dict[str, FeatureSpace] = {
        name: score_named(name).space for name in metrics
    }
    if isinstance(features, str):
        asked = [n for n in metrics if "@" not in n and score_named(n).any_space]
        features = dict.fromkeys(asked, features)
    for name, space in (features or {}).items():
        if name not in metrics:
            raise ValueError(f"features: {name!r} is not among the metrics asked for")
        if space not in FEATURE_SPACES:
            raise ValueError(
                f"features: {space!r} is none of {', '.join(FEATURE_SPACES)}"
            )
        if space != spaces[name] and not score_named(name).any_space:
            raise ValueError(f"features: {name!r} reads {spaces[name]!r} and no other")
        spaces[name] = space
    return spaces

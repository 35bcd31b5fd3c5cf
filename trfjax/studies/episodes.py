"""What episodes in bulk save: all in one program, against one after the other."""

from __future__ import annotations

import dataclasses
import time

from trfjax.data.dataset import Dataset
from trfjax.episodes.bulk import fine_tune_episodes
from trfjax.episodes.draw import Episodes
from trfjax.state import TrainedModel
from trfjax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpisodeTiming:
    """Seconds of the same episodes in one program and in calls of their own."""

    episodes: int
    together: float
    together_first: float  # with compilation
    alone_first: float  # the first episode by itself, with compilation
    each: tuple[float, ...]


def time_episodes(
    source: TrainedModel,
    pool: Dataset,
    episodes: Episodes,
    recipe: Recipe,
    separate: int,
) -> EpisodeTiming:
    """Time all episodes in one program and some of them one by one.

    Both programs are compiled before, so that compilation is in neither figure.

    Args:
        source: the network.
        pool: the images of the episodes.
        episodes: those to run.
        recipe: of fine-tuning.
        separate: how many are also run by themselves.

    Returns:
        The seconds of each.
    """

    def seconds(part: Episodes) -> float:
        started = time.perf_counter()
        fine_tune_episodes(source, pool, part, recipe=recipe)
        return time.perf_counter() - started

    first, again = seconds(episodes), seconds(episodes)
    return EpisodeTiming(
        episodes=len(episodes),
        together=again,
        together_first=first,
        alone_first=seconds(episodes.select(slice(0, 1))),
        each=tuple(seconds(episodes.select([i])) for i in range(separate)),
    )

"""A structure in one modality at one institution, and which of them are related."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from trfjax.data.medical.tasks import Relation, Task, relation

NESTED: tuple[Relation, ...] = ("smaller", "bigger")
APART: tuple[Relation, ...] = ("complementary", "exclusive")


@dataclasses.dataclass(frozen=True)
class Problem:
    """One structure against the rest, in one modality, at one institution."""

    task: str
    institution: str
    modality: str

    @property
    def name(self) -> str:
        """Such as `ET-hazel-T2`."""
        return f"{self.task}-{self.institution}-{self.modality}"


def named(name: str) -> Problem:
    """Return the problem of a name such as `ET-hazel-T2`.

    Raises:
        ValueError: a name without three parts.
    """
    parts = name.split("-")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"name: {name!r} is not task-institution-modality")
    return Problem(*parts)


@dataclasses.dataclass(frozen=True)
class Pair:
    """A source problem seen from a target problem."""

    relation: Relation  # of the tasks
    same_modality: bool

    @property
    def related(self) -> bool:
        """The filter F: what a source must be to be tried.

        A task that is the same, nested or complementary, in the target's modality; or
        the same task in another modality. Tasks that exclude each other without making
        a whole, and sources that differ in both respects, are left out.
        """
        if self.relation == "same":
            return True
        return self.same_modality and self.relation in (*NESTED, "complementary")


def pair(source: Problem, target: Problem, tasks: Mapping[str, Task]) -> Pair:
    """Return how a source is related to a target.

    Args:
        source: what a network was trained for.
        target: what one is wanted for.
        tasks: name -> stored ids of the foreground; those named are the wholes.

    Raises:
        ValueError: a task without a name.
    """
    for problem in (source, target):
        if problem.task not in tasks:
            raise ValueError(
                f"tasks: no {problem.task!r} of {problem.name}; there are "
                f"{', '.join(tasks)}"
            )
    how = relation(tasks[source.task], tasks[target.task], tasks.values())
    return Pair(how, source.modality == target.modality)

"""Print the lowest versions that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

EXTRAS = ("test",)
BOUND = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?>=([\w.]+)$")


def constraints(project: dict) -> Iterator[str]:
    """Yield `name==version` for every dependency and those of the tests."""
    asked = list(project["dependencies"])
    for extra in EXTRAS:
        asked += project["optional-dependencies"][extra]
    for requirement in asked:
        found = BOUND.match(requirement.replace(" ", ""))
        if found is None:
            raise ValueError(f"{requirement!r}: expected a name and a lower bound, >=")
        yield f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    print(*dict.fromkeys(constraints(tomllib.loads(text)["project"])), sep="\n")

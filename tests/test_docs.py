"""The Python blocks of the documentation run as they stand."""

import importlib.util
import re
from pathlib import Path

import pytest

from trfjax.adaptation import METHODS
from trfjax.models import REGISTRY
from trfjax.scores import SCORES

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```python *\n(.*?)^```", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"# needs: (.+)\n")


def blocks(page):
    """Yield line number and code; a fence that says `python skip` is not one."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield text.count("\n", 0, found.start(1)), found[1]


def needed(code):
    """Return the optional packages of a block, from its first line."""
    found = NEEDS.match(code)
    return [name.strip() for name in found[1].split(",")] if found else []


CASES = [
    pytest.param(
        page, line, code, id=f"{page.relative_to(ROOT / 'docs').as_posix()}:{line + 1}"
    )
    for page in PAGES
    for line, code in blocks(page)
]


@pytest.fixture(autouse=True)
def lists_as_they_were():
    """Take away the scores, networks and methods that a page adds."""
    lists = (SCORES, REGISTRY, METHODS)
    before = [set(known) for known in lists]
    yield
    for known, names in zip(lists, before, strict=True):
        for name in set(known) - names:
            del known[name]


@pytest.mark.parametrize(("page", "line", "code"), CASES)
def test_block_runs(page, line, code, tmp_path, monkeypatch):
    missing = [name for name in needed(code) if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    monkeypatch.chdir(tmp_path)
    # The empty lines make tracebacks point into the page.
    exec(compile("\n" * line + code, str(page), "exec"), {"__name__": "__main__"})


def test_every_fence_is_understood():
    """A misspelt mark would leave a block out without a word."""
    marks = {
        mark
        for page in PAGES
        for mark in re.findall(r"^```(\S.*)$", page.read_text(encoding="utf-8"), re.M)
    }
    known = {"python", "python skip", "bash", "text", "yaml", "json", "{toctree}"}
    assert marks <= known


def test_the_first_line_says_what_a_block_needs():
    assert needed("# needs: torch, timm\nimport torch\n") == ["torch", "timm"]
    assert needed("import torch  # needs: torch\n") == []

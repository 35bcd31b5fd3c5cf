"""The layout and the direction of data, kept true."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BASE = {"typing", "errors", "files", "arrays", "trees"}
ALLOWED = {
    "typing": set(),
    "errors": set(),
    "files": {"errors"},
    "arrays": {"typing", "errors"},
    "trees": {"files"},
    "state": BASE,
    "data": BASE,
    "transport": BASE,
    "atoms": BASE,
    "models": BASE | {"state"},
    "features": BASE | {"state", "data", "atoms"},
    "scores": BASE | {"transport", "atoms"},
    "ranking": BASE | {"state", "data", "features", "scores", "transport", "atoms"},
    "transfer": BASE | {"state", "data", "features", "transport"},
}
ONLY = {"ott": "trfjax/transport", "optax": "trfjax/transfer"}


def modules():
    for folder in ("trfjax", "models"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if (ROOT / "trfjax" / "models") not in path.parents:
                yield path


def part_of(path):
    if path.is_relative_to(ROOT / "models"):
        return "models"
    return path.relative_to(ROOT / "trfjax").parts[0].removesuffix(".py")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            if node.module == "trfjax":
                yield from (f"trfjax.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize(
    "path", list(modules()), ids=lambda p: str(p.relative_to(ROOT))
)
def test_imports_follow_the_direction_of_data(path):
    part = part_of(path)
    for name in imported(path):
        top = name.split(".")[0]
        if top in ONLY:
            assert path.is_relative_to(ROOT / ONLY[top]), f"{path} imports {top}"
        if (
            top != "trfjax"
            or name == "trfjax"
            or part in ("__init__", "__main__", "cli")
        ):
            continue
        other = name.split(".")[1]
        assert other == part or other in ALLOWED[part], f"{part} imports {name}"


def test_every_package_is_listed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(listed["tool"]["setuptools"]["packages"])
    found = {"trfjax", "trfjax.models"} | {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in modules()
        if path.name == "__init__.py" and "models" not in path.parts
    }
    assert listed == found


def test_the_models_folder_is_linked_into_the_package():
    link = ROOT / "trfjax" / "models"
    assert link.is_symlink() and link.readlink() == Path("../models")


def test_import_is_light():
    heavy = {"jax", "ott", "tensorflow_datasets", "matplotlib", "flax"}
    code = f"import sys, trfjax, trfjax.cli; print({heavy} & set(sys.modules))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "set()"

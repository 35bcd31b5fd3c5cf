"""The layout and the direction of data, kept true."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The rooms in the order of data: a file imports rooms of its own floor or below.
FLOORS = (
    {"typing", "errors", "lazy", "promotion", "numbers", "shapes", "simplex"}
    | {"reading", "npy", "files", "arrays", "trees", "state", "store", "lock"},
    {"data"},
    {"models"},
    {"atoms", "transport", "statistics"},
    {"features", "training"},
    {"scores"},
    {"maps"},
    {"transfer", "adaptation", "episodes"},
    {"ranking"},
    {"studies"},
    {"reporting"},
    {"cli"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
DIFFERENTIATE = ("value_and_grad", "apply_updates")
STEPPING = (
    "training/loop.py",
    "training/many_step.py",
    "transfer/alignment.py",
    "episodes/descend.py",
    "adaptation/run.py",
)
ONLY = {"ott": ("transport",), "optax": ("training", "adaptation")}


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
        top, *rest = name.split(".")
        if top in ONLY:
            assert part in ONLY[top], f"{path} imports {top}"
        if top == "trfjax" and rest and part not in ("__init__", "__main__"):
            assert FLOOR[rest[0]] <= FLOOR[part], f"{part} imports {name}"


def test_rooms_import_each_other_in_no_circle():
    """Rooms of one floor may use each other, one way only."""
    arrows = {
        (part_of(path), name.split(".")[1])
        for path in modules()
        for name in imported(path)
        if name.startswith("trfjax.")
    }
    both = {(a, b) for a, b in arrows if a < b and (b, a) in arrows}
    assert not both


def test_there_is_one_step():
    """Gradients of a loss are followed in `training/step.py` and nowhere else."""
    differ = {
        str(path.relative_to(ROOT))
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
        and (getattr(node, "attr", None) or getattr(node, "id", "")) in DIFFERENTIATE
    }
    assert differ <= {"trfjax/training/step.py"}


@pytest.mark.parametrize("name", STEPPING)
def test_all_that_learns_calls_the_one_step(name):
    names = {
        alias.name
        for node in ast.walk(ast.parse((ROOT / "trfjax" / name).read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "trfjax.training.step"
        for alias in node.names
    }
    assert "step" in names


def test_every_folder_of_code_is_a_package():
    """So that packaging finds it: see [tool.setuptools.packages.find]."""
    folders = {path.parent for path in modules()}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_the_models_folder_is_linked_into_the_package():
    link = ROOT / "trfjax" / "models"
    assert link.is_symlink() and link.readlink() == Path("../models")


def name_of(path):
    """Return the name a module is imported by."""
    room = "trfjax.models" if path.is_relative_to(ROOT / "models") else "trfjax"
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join([room, *parts]).removesuffix(".__init__")


def test_every_module_can_be_imported():
    names = [name_of(path) for path in modules() if path.name != "__main__.py"]
    assert len(names) > 300
    for name in names:
        importlib.import_module(name)


def functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def needed(function):
    """Return how many arguments a function must be given."""
    found = function.args
    count = len(found.posonlyargs) + len(found.args) - len(found.defaults)
    count += sum(default is None for default in found.kw_defaults)
    first = [arg.arg for arg in found.args[:1]]
    return count - (first in (["self"], ["cls"]))


def test_no_function_must_be_given_more_than_eight_arguments():
    """More are a value waiting to be named."""
    assert not [
        f"{path.relative_to(ROOT)}: {function.name}"
        for path in modules()
        for function in functions(path)
        if needed(function) > 8
    ]


def test_a_file_holds_one_idea():
    """At most 250 lines; some more are allowed in a few files, such as tables."""
    lines = {str(p.relative_to(ROOT)): p.read_text().count("\n") for p in modules()}
    long = {name: count for name, count in lines.items() if count > 250}
    assert len(long) <= 8 and max(lines.values()) <= 330, long


def test_import_is_light():
    heavy = {"jax", "ott", "tensorflow_datasets", "matplotlib", "flax"}
    code = f"import sys, trfjax, trfjax.cli; print({heavy} & set(sys.modules))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "set()"


def test_type_checkers_see_the_public_names():
    import trfjax

    tree = ast.parse((ROOT / "trfjax" / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == trfjax._PUBLIC
    for name in trfjax.__all__:
        assert callable(getattr(trfjax, name)), name

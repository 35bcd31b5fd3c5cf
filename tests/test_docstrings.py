"""What every public name says of itself."""

import importlib
import inspect
import pkgutil
import re

import pytest

import trfjax

MANY = 3  # parameters from which a docstring lists them


def rooms():
    return [
        f"trfjax.{m.name}" for m in pkgutil.iter_modules(trfjax.__path__) if m.ispkg
    ]


def public():
    """Yield the public functions, and the methods of public classes, by name."""
    found = {f"trfjax.{name}": getattr(trfjax, name) for name in trfjax.__all__}
    for room in rooms():
        for name, value in vars(importlib.import_module(room)).items():
            ours = str(getattr(value, "__module__", "")).startswith("trfjax.")
            if ours and not name.startswith("_"):
                found[f"{room}.{name}"] = value
    for name, value in found.items():
        if not inspect.isclass(value):
            yield name, value
            continue
        for method, part in vars(value).items():
            part = getattr(part, "__func__", part)
            if inspect.isfunction(part) and not method.startswith("_"):
                yield f"{name}.{method}", part


def lacking(function):
    """Return what the docstring of a function does not say."""
    function = inspect.unwrap(function)
    signature, said = inspect.signature(function), inspect.getdoc(function) or ""
    names = [name for name in signature.parameters if name not in ("self", "cls")]
    if len(names) < MANY:
        return [] if said else ["a docstring"]
    _, _, listed = said.partition("Args:\n")
    missing = [name for name in names if not re.search(rf"\b{name}\b", listed)]
    nothing = signature.return_annotation in (None, "None")
    if not nothing and not re.search(r"^(Returns|Yields):$", said, re.MULTILINE):
        missing.append("Returns")
    return missing


def test_public_functions_say_what_they_take_and_return():
    found = {
        name: lacking(function) for name, function in public() if callable(function)
    }
    assert len(found) > 80  # the names were found
    assert not {name: missing for name, missing in found.items() if missing}


def test_what_is_not_said_is_found():
    def bad(first, second, third) -> int:  # pyright: ignore[reportReturnType]
        """Return nothing much.

        Args:
            first: one.
            third: another.
        """

    assert lacking(bad) == ["second", "Returns"]


@pytest.mark.parametrize("name", ["trfjax.rank", "trfjax.otce", "trfjax.extract"])
def test_the_main_verbs_are_among_them(name):
    assert name in dict(public())

"""The YAML of a sweep: what is wrong with it is said with its line and the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from trfjax.errors import DataError, perhaps
from trfjax.reading import MAX_YAML, decode, read_bytes, read_yaml
from trfjax.studies.sweep.spec import Sweep

Where = tuple[str | int, ...]  # ("sources", 2, "name")


class SpecError(ValueError):
    """A sweep that cannot be run; `where` is the value that is wrong."""

    def __init__(self, where: Where, problem: str) -> None:
        super().__init__(f"{place(where)}: {problem}")
        self.where = where
        self.problem = problem


def place(where: Where) -> str:
    """Return the place of a value as it is written, such as `sources[2].name`."""
    parts = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in where]
    return "".join(parts).removeprefix(".") or "the sweep"


def sweep_of(given: str | Path | Mapping[str, Any] | Sweep) -> Sweep:
    """Return a sweep from a YAML file or from values of the same form.

    Raises:
        FileNotFoundError: no such file.
        DataError: a file that cannot be used, with the line.
        SpecError: values that cannot be used.
    """
    if isinstance(given, Sweep):
        return given
    if isinstance(given, Mapping):
        return _converted(given)
    values = read_yaml(given)
    try:
        return _converted({} if values is None else values)
    except SpecError as error:
        raise located(given, error) from error


def located(path: str | Path, error: SpecError) -> DataError:
    """Return what is wrong with a sweep as an error of its file, with the line."""
    text = decode(path, read_bytes(path, limit=MAX_YAML))
    line = _line(yaml.compose(text, Loader=yaml.SafeLoader), error.where)
    return DataError(path, f"line {line}: {error}")


def _converted(values: Any) -> Sweep:
    try:
        return msgspec.convert(values, Sweep)
    except msgspec.ValidationError as error:
        where, problem = _explained(str(error))
        raise SpecError(where, problem) from error


def _explained(message: str) -> tuple[Where, str]:
    """Return the place and the problem of what msgspec says."""
    problem, _, path = message.partition(" - at `")
    where: Where = tuple(
        int(index) if index else name
        for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path)
    )
    known = _known(where)
    if found := re.search(r"unknown field `(.*)`", problem):
        key = found.group(1)
        hint = perhaps(key, known) or f"; known: {', '.join(known)}"
        return (*where, key), f"there is no such key{hint}"
    if found := re.search(r"missing required field `(.*)`", problem):
        return where, f"{found.group(1)!r} is missing"
    return where, problem[:1].lower() + problem[1:]


def _known(where: Where) -> tuple[str, ...]:
    """Return the keys that the struct at a place has."""
    kinds = [msgspec.inspect.type_info(Sweep)]
    for key in where:
        kinds = [inner for kind in kinds for inner in _inner(kind, key)]
    structs = [k for k in kinds if isinstance(k, msgspec.inspect.StructType)]
    return tuple(field.encode_name for kind in structs for field in kind.fields)


def _inner(kind: Any, key: str | int) -> Iterator[Any]:
    found: list[Any] = []
    if isinstance(key, int):
        found.append(getattr(kind, "item_type", None))
    elif isinstance(kind, msgspec.inspect.StructType):
        found += [field.type for field in kind.fields if field.encode_name == key]
    for inner in found:
        if isinstance(inner, msgspec.inspect.UnionType):
            yield from inner.types
        elif inner is not None:
            yield inner


def _line_of(node: yaml.Node | None) -> int:
    """Return the line a node starts on, from 1."""
    mark = None if node is None else node.start_mark
    return 1 if mark is None else mark.line + 1


def _line(node: yaml.Node | None, where: Where) -> int:
    """Return the line of the key or the value at a place, or of what holds it."""
    line = _line_of(node)
    for key in where:
        if isinstance(node, yaml.MappingNode):
            pairs = [(k, v) for k, v in node.value if k.value == key]
            if not pairs:
                break
            name, node = pairs[0]
            line = _line_of(name)
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            if key >= len(node.value):
                break
            node = node.value[key]
            line = _line_of(node)
        else:
            break
    return line

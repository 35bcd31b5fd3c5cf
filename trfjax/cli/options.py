"""Options held to their ranges before any work, and the ranges in words."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
from msgspec import inspect


def check_options(config: msgspec.Struct) -> None:
    """Hold every option of a command against its range.

    Raises:
        ValueError: a value outside; the message names option, value and range.
    """
    for field in msgspec.structs.fields(type(config)):
        value, kind = getattr(config, field.name), inspect.type_info(field.type)
        try:
            msgspec.convert(msgspec.to_builtins(value), field.type)
            problem = _fault(value, kind)
        except msgspec.ValidationError:
            problem = f"is not {allowed(kind)}"
        if problem:
            flag = "--" + field.name.replace("_", "-")
            raise ValueError(f"{flag}: {_shown(value)} {problem}")


def refusal(
    command: type[msgspec.Struct], fields: Any, error: msgspec.ValidationError
) -> str:
    """Say why the options in a file are refused.

    Args:
        command: whose options they are.
        fields: what the file holds.
        error: what was found wrong first.

    Returns:
        Name, value and range of the option.
    """
    found = re.search(r"`\$\.(\w+)", str(error))
    known = {field.name: field.type for field in msgspec.structs.fields(command)}
    if found is None or found[1] not in known:
        return f"{error}; the options are {', '.join(known)}"
    value, kind = fields[found[1]], inspect.type_info(known[found[1]])
    return f"{found[1]}: {_shown(value)} is not {allowed(kind)}"


def _fault(value: Any, kind: inspect.Type) -> str:
    """Say what no range says of a value: not finite, a NUL, the same twice."""
    parts = value if isinstance(value, tuple) else (value,)
    if isinstance(kind, inspect.VarTupleType) and len(set(parts)) < len(parts):
        return "names one twice; name none twice"
    for part in parts:
        if isinstance(part, float) and not math.isfinite(part):
            return "is not finite"
        if isinstance(part, str) and "\0" in part:
            return "holds a NUL character, which no name has"
    return ""


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list):
        return " ".join(map(_shown, value)) or "nothing"
    return repr(value) if isinstance(value, str) else str(value)


def allowed(kind: inspect.Type) -> str:
    """Return in words what an option takes."""
    if isinstance(kind, inspect.UnionType):
        kinds = (part for part in kind.types if not isinstance(part, inspect.NoneType))
        return " or ".join(map(allowed, kinds))
    if isinstance(kind, inspect.VarTupleType):
        return f"one or more, each {allowed(kind.item_type)}"
    if isinstance(kind, inspect.TupleType):
        return f"{len(kind.item_types)} values, each {allowed(kind.item_types[0])}"
    if isinstance(kind, inspect.LiteralType):
        return " or ".join(map(repr, kind.values))
    if isinstance(kind, inspect.IntType):
        return f"a whole number from {kind.ge} to {kind.le}"
    if isinstance(kind, inspect.FloatType):
        return _range(kind)
    if isinstance(kind, inspect.StrType):
        return "a text that is not empty"
    return "true or false"


def _range(kind: inspect.FloatType) -> str:
    if kind.le is not None:
        return f"a number from {kind.ge:g} to {kind.le:g}"
    if kind.gt is not None:
        return f"a number above {kind.gt:g}"
    return "a number" if kind.ge is None else f"a number of at least {kind.ge:g}"

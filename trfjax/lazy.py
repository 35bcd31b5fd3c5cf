"""Values by name, each loaded from its module when it is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Lazy(MutableMapping[str, Value], Generic[Value]):
    """A dictionary that knows its names at once and loads a value on first use.

    Names can be looked at without loading anything; a value can also be set.
    """

    def __init__(self, noun: str, modules: Mapping[str, str], attribute: str) -> None:
        """Name the module of every value.

        Args:
            noun: what messages call a value.
            modules: where each value is defined, by name.
            attribute: what it is called there.
        """
        self._noun, self._attribute = noun, attribute
        self._modules = dict(modules)
        self._values: dict[str, Value | None] = dict.fromkeys(modules)

    def __getitem__(self, name: str) -> Value:
        value = self._values[name]
        if value is None:
            module = importlib.import_module(self._modules[name])
            value = self._values[name] = getattr(module, self._attribute)
        assert value is not None  # loaded
        return value

    def __setitem__(self, name: str, value: Value) -> None:
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: Any) -> bool:
        return name in self._values

    def named(self, name: str) -> Value:
        """Return the value of a name that a user typed.

        Raises:
            ValueError: an unknown name, with those there are.
        """
        if name not in self:
            raise ValueError(
                f"unknown {self._noun} {name!r}; available: {', '.join(self)}"
            )
        return self[name]

"""How checkpoints of other code bases name the tensors of a network."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
Replacement = str | Callable[[re.Match[str]], str]
Fix = Callable[[Any, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Naming:
    """The naming of one code base.

    Attributes:
        rules: substitutions on the dotted path of a module, in order; a module that
            none of them touches is not part of such checkpoints.
        dead: patterns of stored tensors that no forward pass uses.
        optional: patterns of tensors that some checkpoints leave out.
        fixes: from the path of an array here to a function of the network and the
            stored array, for arrays that differ by more than a transposition.
    """

    rules: tuple[tuple[str, Replacement], ...]
    dead: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    fixes: Mapping[str, Fix] = dataclasses.field(default_factory=dict)

    def name(self, path: str) -> str | None:
        """Return the stored name of the array at `a/b/kernel`, if there is one."""
        *modules, leaf = path.split("/")
        name, used = ".".join(modules), False
        for pattern, replacement in self.rules:
            name, count = re.subn(pattern, replacement, name)
            used |= count > 0
        return f"{name}.{LEAVES.get(leaf, leaf)}" if used else None

    def is_dead(self, name: str) -> bool:
        """Whether a stored tensor may be left out."""
        return any(re.search(pattern, name) for pattern in self.dead)

    def is_optional(self, name: str) -> bool:
        """Whether a tensor may be absent."""
        return any(re.search(pattern, name) for pattern in self.optional)


def plus_one(template: str) -> Callable[[re.Match[str]], str]:
    """Return a replacement whose `{0}`, `{1}` are the matched numbers plus one."""
    return lambda match: template.format(*(int(n) + 1 for n in match.groups()))


# The convolutions of torchvision's VGG-16 by block and place.
_VGG = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))


def vgg_index(match: re.Match[str]) -> str:
    """Name the convolution `(block, place)` of VGG-16 as torchvision does."""
    return f"features.{_VGG[int(match[1])][int(match[2])]}"

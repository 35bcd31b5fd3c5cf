"""The input sizes a network takes, and how its logits lie on them."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class NativeSize:
    """The sides a network takes, and the size of its logits before the last resize.

    A legal side is at least `least` and leaves `remainder` when divided by `multiple`.
    """

    least: int = 1
    multiple: int = 1
    remainder: int = 0
    only: tuple[int, int] | None = None  # the one size of a network without a choice
    stride: int | None = 1  # input pixels per native cell, nominal; None: no map
    lost: int = 0  # pixels of a side without native logits, half at either end

    @property
    def rule(self) -> str:
        """The rule in words, after "input sides must be"."""
        if self.only:
            return "those of `input_size`"
        if self.remainder:
            return f"{self.remainder} modulo {self.multiple} and at least {self.least}"
        if self.multiple > 1:
            return f"multiples of {self.multiple}"
        return f"at least {self.least}"

    def nearest(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the legal size next to this one; itself where it is legal."""
        return self.only or (self._nearest(size[0]), self._nearest(size[1]))

    def _nearest(self, side: int) -> int:
        steps = round((side - self.remainder) / self.multiple)
        return max(steps * self.multiple + self.remainder, self.least)

    def check(self, size: tuple[int, int]) -> None:
        """Require a legal size; otherwise name the rule and the nearest one."""
        legal = self.nearest(size)
        if legal != size:
            raise ValueError(
                f"input sides must be {self.rule}, got {size[0]} x {size[1]}; "
                f"the nearest legal size is {legal[0]} x {legal[1]}"
            )

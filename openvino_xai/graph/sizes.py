"""Sizes of axes: whole numbers, or products of sizes that are known only when the model runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from openvino_xai.errors import InputError, PlanError


@dataclass(frozen=True)
class Dim:
    """`factor` times the named sizes, for example 49 * batch: a size known only when the model runs."""

    factor: int
    names: tuple[str, ...]

    def __mul__(self, other: object) -> Dim:
        if isinstance(other, int):
            return Dim(self.factor * other, self.names)
        if isinstance(other, Dim):
            return Dim(self.factor * other.factor, tuple(sorted(self.names + other.names)))
        return NotImplemented

    __rmul__ = __mul__

    def __str__(self) -> str:
        factor = [str(self.factor)] if self.factor != 1 or not self.names else []
        return "*".join([*factor, *self.names])


Size: TypeAlias = "int | Dim"
Shape: TypeAlias = "tuple[Size, ...]"


def product(sizes: Iterable[Size]) -> Size:
    """The product of all sizes; 1 for none."""
    result: Size = 1
    for size in sizes:
        result = result * size
    return result


def quotient(a: Size, b: Size) -> Size | None:
    """`a / b` where that is a whole number times named sizes for every run, else None."""
    top, bottom = (a if isinstance(a, Dim) else Dim(a, ())), (b if isinstance(b, Dim) else Dim(b, ()))
    names = list(top.names)
    for name in bottom.names:
        if name not in names:
            return None
        names.remove(name)
    if bottom.factor == 0 or top.factor % bottom.factor:
        return None
    factor = top.factor // bottom.factor
    return Dim(factor, tuple(names)) if names else factor


def concrete(shape: Iterable[Size], what: str) -> tuple[int, ...]:
    """The sizes as numbers. Raises PlanError, naming `what` has the shape and the axis, where only a run tells one of them."""
    sizes = tuple(shape)
    for axis, size in enumerate(sizes):
        if not isinstance(size, int):
            raise PlanError(
                f"{what} {text(sizes)} has to be known before the model runs, and axis {axis} is {size}: "
                "give the model a fixed height and width"
            )
    return tuple(size for size in sizes if isinstance(size, int))


def at_one(size: Size) -> int:
    """The size when every named size is 1: what one image of a dynamic batch takes."""
    return size.factor if isinstance(size, Dim) else size


def rows_and_columns(word: str, sizes: str | Sequence[int]) -> tuple[int, int]:
    """(H, W) from `HxW` or two numbers. Raises InputError, with the `word` that is not understood."""
    parts = sizes.lower().split("x") if isinstance(sizes, str) else [str(size) for size in sizes]
    if len(parts) != 2 or not all(part.strip().isdigit() and int(part) for part in parts):
        raise InputError(f"{word} '{sizes}' is not understood: rows and columns, as 14x14, are expected")
    return int(parts[0]), int(parts[1])


def readable(shape: Shape) -> tuple[int | str, ...]:
    """A shape with names for what only a run knows."""
    return tuple(size if isinstance(size, int) else str(size) for size in shape)


def text(shape: Shape | None) -> str:
    """A shape as a person reads it: `[batch, 1280, 7, 7]`."""
    return "[?]" if shape is None else "[" + ", ".join(map(str, shape)) + "]"

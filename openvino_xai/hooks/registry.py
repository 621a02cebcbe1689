"""Tables of methods that grow: by what a program registers, and by what installed packages announce as entry points."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

V = TypeVar("V")


class Registry(dict[str, V]):
    """Methods by their names. Those of packages are loaded when a name is not among the others, or all are listed.

    `entry` makes an item of a name and what an entry point of the `group` holds; it raises InputError for what is none.
    """

    def __init__(self, items: dict[str, V], group: str, entry: Callable[[str, Any], V]) -> None:
        super().__init__(items)
        self._group, self._entry = group, entry
        self._is_complete = False
        self.added: set[str] = set()  # names that are not this package's

    def add(self, name: str, item: V) -> None:
        """Add what somebody registers."""
        self[name] = item
        self.added.add(name)

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name):
            return True
        return isinstance(name, str) and self._is_found(name)

    def _is_found(self, name: str) -> bool:
        self._load()
        return super().__contains__(name)

    def __missing__(self, name: str) -> V:
        self._load()
        if super().__contains__(name):
            return super().__getitem__(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        self._load()
        return super().__iter__()

    def __len__(self) -> int:
        self._load()
        return super().__len__()

    def keys(self) -> Any:
        """The names of all."""
        self._load()
        return super().keys()

    def items(self) -> Any:
        """All, with their names."""
        self._load()
        return super().items()

    def get(self, name: str, default: Any = None) -> Any:
        """The item of a name, or a default."""
        return self[name] if name in self else default  # noqa: SIM401 - this is it

    def _load(self) -> None:
        """Add what packages announce, once. One that fails is warned of, and is not there."""
        if self._is_complete:
            return
        self._is_complete = True  # a package that is loaded may ask for what is here
        for point in entry_points(group=self._group):
            self._add_point(point)

    def _add_point(self, point: EntryPoint) -> None:
        where = f"the method '{point.name}' of {point.value} ({point.dist.name if point.dist is not None else 'no package'})"
        if super().__contains__(point.name):
            warnings.warn(f"{where} has the name of another, and is left out", stacklevel=4)
            return
        try:
            self.add(point.name, self._entry(point.name, point.load()))
        except Exception as error:  # noqa: BLE001 - a package that is broken takes nothing else with it
            warnings.warn(f"{where} cannot be loaded: {type(error).__name__}: {error}", stacklevel=4)


class Names(Collection[str]):
    """The names of several tables, each once."""

    def __init__(self, *tables: Collection[str]) -> None:
        self._tables = tables

    def __contains__(self, name: object) -> bool:
        return any(name in table for table in self._tables)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for table in self._tables for name in table))

    def __len__(self) -> int:
        return len(list(iter(self)))

"""A page's table and a new one as one: a figure stays where the new one is of fewer photos, or missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from studies.pages import grid

KEYS = ("method", "table", "network", "our network", "ahead in the paper", "behind", "networks")  # what a line is about
PHOTOS = "photos"
T = TypeVar("T")
OF_PHOTOS = re.compile(r"\((\d+)\)$|(\d+) photos$")  # at the end of a cell


@dataclass(frozen=True)
class Grid:
    """A table in Markdown: the headings of its columns, and its lines by the cells that say what they are about."""

    head: tuple[str, ...]
    lines: dict[tuple[str, ...], tuple[str, ...]]

    @property
    def kind(self) -> tuple[str, ...]:
        """What grids have in common that are merged: all headings where a line is of some photos, else those of the keys."""
        return self.head if PHOTOS in self.head else self.head[: _keys(self.head)]

    @property
    def text(self) -> str:
        return grid(self.head, [list(line) for line in self.lines.values()])

    def cell(self, key: tuple[str, ...], heading: str) -> str:
        """What a line says below a heading, "" where there is no such line or heading."""
        return self.lines[key][self.head.index(heading)] if key in self.lines and heading in self.head else ""


def merged(old: str, new: str) -> str:
    """The section of a page, with what is new of it.

    A line that tells its number of photos stays where the new one has fewer of them. In grids with a column a network each
    cell is taken by itself, from the new one unless it is empty or of fewer photos. Grids, lines and columns of which there is
    nothing new stay. Lists of methods below are merged line by line, but for methods that have a line in a grid now; all other
    text is the new one's, but for a count of photos above, which stays where it is larger.
    """
    if not _grids(old):
        return new
    olds, news = ({table.kind: table for table in _grids(text)} for text in (old, new))
    tables = [
        _joined(olds[kind], news[kind]) if kind in olds and kind in news else (news | olds)[kind]
        for kind in _in_order(olds, news)
    ]
    above = max(_texts(new)[0], _texts(old)[0], key=_count)
    return "\n\n".join(part for part in [above, *(table.text for table in tables), *_below(old, new)] if part)


def _joined(old: Grid, new: Grid) -> Grid:
    lines, head = {}, _in_order(old.head, new.head)
    for key in _in_order(old.lines, new.lines):
        if PHOTOS in old.head:
            is_new = key in new.lines and int(new.cell(key, PHOTOS)) >= int(old.cell(key, PHOTOS) or 0)
            lines[key] = (new if is_new else old).lines[key]
        else:
            cells = [(old.cell(key, heading), new.cell(key, heading)) for heading in head]
            lines[key] = tuple(b if b and _photos(b) >= _photos(a) else a for a, b in cells)
    return Grid(old.head if PHOTOS in old.head else tuple(head), lines)


def _in_order(old: Iterable[T], new: Iterable[T]) -> list[T]:
    """All of `old` in its order, and ahead of its successor in `new` what is there alone."""
    order = list(old)
    after = len(order)
    for item in reversed(list(new)):
        if item not in order:
            order.insert(after, item)
        after = order.index(item)
    return order


def _blocks(section: str) -> list[str]:
    return [block for block in section.strip().split("\n\n") if block]


def _grids(section: str) -> list[Grid]:
    tables = []
    for block in _blocks(section):
        if block.startswith("| "):
            head, _, *lines = (tuple(line[2:-2].split(" | ")) for line in block.splitlines())
            rows = [tuple(cell.strip() for cell in line) for line in lines]
            tables.append(Grid(head, {row[: _keys(head)]: row for row in rows}))
    return tables


def _keys(head: Sequence[str]) -> int:
    return next((index for index, heading in enumerate(head) if heading not in KEYS), len(head))


def _texts(section: str) -> tuple[str, list[str]]:
    """What stands above the grids, "" for nothing, and the blocks below and between them."""
    blocks = _blocks(section)
    first = next((index for index, block in enumerate(blocks) if block.startswith("| ")), len(blocks))
    return "\n\n".join(blocks[:first]), [block for block in blocks[first:] if not block.startswith("| ")]


def _below(old: str, new: str) -> list[str]:
    before, now = _items(old), _items(new)
    measured = {key[0] for table in _grids(new) for key in table.lines}
    items = {method: line for method, line in before.items() if method not in measured} | now
    lines = [items[method] for method in _in_order(before, now) if method in items]
    return [*(block for block in _texts(new)[1] if not block.startswith("- ")), "\n".join(lines)]


def _items(section: str) -> dict[str, str]:
    """The lines of lists below the grids, by the method that they begin with."""
    lines = [line for block in _texts(section)[1] if block.startswith("- ") for line in block.splitlines()]
    return {line.split()[1]: line for line in lines}


def _count(above: str) -> int:
    """How many photos a text above grids says are measured."""
    number = re.search(r"of which (\d+) are measured", above) or re.match(r"(\d+) photos", above)
    return int(number[1]) if number else 0


def _photos(cell: str) -> int:
    number = OF_PHOTOS.search(cell)
    return int(number[1] or number[2]) if number else 0

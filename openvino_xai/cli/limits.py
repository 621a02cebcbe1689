"""How much memory and time a command may take."""

from __future__ import annotations

import os
from dataclasses import dataclass

from openvino_xai.cli.options import parse_bytes
from openvino_xai.errors import InputError

MEMORY, TIMEOUT = "--limit-memory", "--timeout"
LEAST = 8 * 2**30  # of address space: runtimes reserve more than they use
SECONDS = {"layers": 900.0, "insert": 900.0, "export": 900.0}  # where a command has no reason to take longer


@dataclass(frozen=True)
class Limits:
    """Bytes of address space, and seconds; None is no limit."""

    memory: int | None
    seconds: float | None

    @classmethod
    def parse(cls, arguments: list[str]) -> tuple[Limits, list[str]]:
        """The limits that arguments tell, wherever they stand, and the other arguments. Raises InputError."""
        told: dict[str, str] = {}
        others: list[str] = []
        rest = iter(arguments)
        for argument in rest:
            name, equals, value = argument.partition("=")
            if name not in (MEMORY, TIMEOUT):
                others.append(argument)
                continue
            told[name] = value if equals else next(rest, "")
        seconds = SECONDS.get(others[0]) if others else None
        if TIMEOUT in told:
            seconds = _seconds(told[TIMEOUT])
        memory = _usual_memory()
        if MEMORY in told:
            memory = None if told[MEMORY] == "none" else parse_bytes(told[MEMORY])
        return cls(memory, seconds), others


def _seconds(told: str) -> float | None:
    if told == "none":
        return None
    try:
        seconds = float(told)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(f"{TIMEOUT} is '{told}'; a number of seconds, or none, is expected")
    return seconds


def _usual_memory() -> int | None:
    """All that the machine has, where that is known."""
    try:
        return max(LEAST, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None

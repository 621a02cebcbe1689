"""How much memory and time a command may take."""

from __future__ import annotations

import os
from dataclasses import dataclass

from openvino_xai.cli.options import parse_bytes
from openvino_xai.errors import InputError

MEMORY, TIMEOUT = "--limit-memory", "--timeout"
USUAL = 8 * 2**30  # of address space, at least: runtimes reserve more than they use
LEAST = 2**30  # of address space: in less the interpreter and the runtimes do not start
SECONDS = 900.0
TOTAL = ("layers", "insert", "export")  # commands that have no reason to take longer than that in all
RESUMED = ("explain", "evaluate")  # commands that go on where they ended


@dataclass(frozen=True)
class Limits:
    """Bytes of address space, and seconds; None is no limit. Where the time is `renewed`, each sign of life starts it anew."""

    memory: int | None
    seconds: float | None
    command: str = ""

    @property
    def renewed(self) -> bool:
        """Whether the seconds are those without a sign of life, not those in all."""
        return self.command not in TOTAL

    @property
    def remains(self) -> str:
        """What a line about a stopped command says of its outputs."""
        if self.command in RESUMED:
            return "what was done before stays, and the same command goes on from there"
        return "nothing was written"

    def exceeded(self) -> str:
        """The line that is printed when the seconds are over."""
        why = f"no inference ended for {self.seconds:g} seconds" if self.renewed else f"after {self.seconds:g} seconds"
        return f"stopped {'as ' if self.renewed else ''}{why}, and {self.remains}; {TIMEOUT} changes the limit"

    @classmethod
    def parse(cls, arguments: list[str]) -> tuple[Limits, list[str]]:
        """The limits among the arguments, wherever they stand, and the rest of the arguments. Raises InputError."""
        texts: dict[str, str] = {}
        others: list[str] = []
        rest = iter(arguments)
        for argument in rest:
            name, equals, value = argument.partition("=")
            if name not in (MEMORY, TIMEOUT):
                others.append(argument)
                continue
            texts[name] = value if equals else next(rest, "")
        command = next((argument for argument in others if not argument.startswith("-")), "")
        # workers on other machines give no sign of life that is noticed here
        seconds = None if {"ray", "--engine=ray"} & set(others) else SECONDS
        if TIMEOUT in texts:
            seconds = _seconds(texts[TIMEOUT])
        memory = _memory(texts[MEMORY]) if MEMORY in texts else _usual_memory()
        return cls(memory, seconds, command), others


def _seconds(text: str) -> float | None:
    if text == "none":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(f"{TIMEOUT} is '{text}'; a number of seconds, or none, is expected")
    return seconds


def _memory(text: str) -> int | None:
    if text == "none":
        return None
    memory = parse_bytes(text)
    if not LEAST <= memory < 2**63:
        raise InputError(f"{MEMORY} is '{text}'; the runtimes need 1GiB to start and 2GiB for most models; or say none")
    return memory


def _usual_memory() -> int | None:
    """The limit in bytes where none is given: all that the machine has, or None where that is not known."""
    try:
        return max(USUAL, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None

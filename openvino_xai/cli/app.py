"""The commands, and the one place where errors become a line on stderr and exit status 2."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from openvino_xai.cli.benchmark import benchmark
from openvino_xai.cli.compare import compare
from openvino_xai.cli.evaluate import evaluate
from openvino_xai.cli.explain import explain
from openvino_xai.cli.export import export
from openvino_xai.cli.info import info
from openvino_xai.cli.insert import insert
from openvino_xai.cli.layers import layers
from openvino_xai.cli.methods import methods
from openvino_xai.cli.options.command import Command
from openvino_xai.cli.options.urls import without_url
from openvino_xai.cli.page.ui import ui
from openvino_xai.cli.text import flush, message, say, warn
from openvino_xai.errors import InputError, OutputError, OvxaiError
from openvino_xai.version import __version__


class Commands(TyperGroup):
    """The commands, and what is said where a file stands in place of one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names. Raises InputError for a file."""
        if args[0] not in self.commands and (os.path.lexists(args[0]) or Path(args[0]).suffix):
            line = f"ovxai explain {shlex.join(args)}"
            raise InputError(f"'{args[0]}' is a file, and a command comes first, as in `{line}`; --help lists the commands")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Commands,
    help="Explain the model you deployed: saliency maps from OpenVINO IR and ONNX files, by graph surgery.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (info, methods, layers, insert, explain, ui, compare, evaluate, benchmark, export):
    app.command(cls=Command, no_args_is_help=command is not methods)(command)


DEBUG = "--debug"  # wherever it stands
USAGE = typer.BadParameter.__mro__[2]  # of all wrong arguments; typer carries, or imports, a click that has it


def _version(flag: bool) -> None:
    if flag:
        say(__version__)
        raise typer.Exit


_MEMORY = "Address space of the process that opens models and images, as 8GiB, or none."
_TIMEOUT = (
    "Seconds that layers, insert and export may take, and that info, explain, ui, evaluate, compare and benchmark may go "
    "without an inference that ends; or none. By default 900, and none with --engine ray."
)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    limit_memory: Annotated[str | None, typer.Option(help=_MEMORY)] = None,
    timeout: Annotated[str | None, typer.Option(help=_TIMEOUT)] = None,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of what goes wrong.")] = False,
) -> None:
    if limit_memory is not None or timeout is not None:  # the command `ovxai` has taken them before
        raise InputError("--limit-memory and --timeout are for the command ovxai, which runs this in a process of its own")


def main() -> None:
    """Run the command line, and end with its exit status: 2 where something is wrong, which one line on stderr tells."""
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        status = _run(arguments)
    except (KeyboardInterrupt, typer.Abort):
        status = 128 + signal.SIGINT
    except Exception as error:  # the only place where this is right: nobody's mistake ends in a traceback
        _tell(error, debug)
        status = 2
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    arguments = [without_url(argument) for argument in arguments]
    for argument in arguments:
        if "\0" in argument:
            raise InputError(f"cannot use '{argument}': nothing has a NUL in its name")
    status = app(arguments, prog_name="ovxai", standalone_mode=False)
    flush()
    return status if isinstance(status, int) else 0


def _tell(error: Exception, debug: bool) -> None:
    try:
        flush()
    except OutputError as unwritten:  # whoever printed that
        error = unwritten
    if debug:
        for line in "".join(traceback.format_exception(error)).splitlines():
            warn(line)
    if line := _line(error):  # none where the help was printed
        warn(line)


def _line(error: Exception) -> str:
    """What an error says to somebody who did not write this."""
    if isinstance(error, OvxaiError):
        return message(error)
    if isinstance(error, USAGE):
        usage = error.format_message()  # type: ignore[attr-defined]
        return usage and f"{usage.rstrip('.')}; --help lists what there is"
    if isinstance(error, MemoryError) or "bad_alloc" in str(error):
        return "the memory does not suffice, or what --limit-memory allows of it"
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {os.fsdecode(error.filename)}: {error.strerror}"
    return f"internal error: {type(error).__name__}: {error}; {DEBUG} shows the traceback"

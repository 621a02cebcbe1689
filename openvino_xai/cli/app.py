"""The commands, and the one place where errors become a line on stderr and exit status 2."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from openvino_xai.cli.benchmark import benchmark
from openvino_xai.cli.compare import compare
from openvino_xai.cli.evaluate import evaluate
from openvino_xai.cli.explain import explain
from openvino_xai.cli.export import export
from openvino_xai.cli.insert import insert
from openvino_xai.cli.layers import layers
from openvino_xai.errors import InputError, OvxaiError
from openvino_xai.version import __version__

app = typer.Typer(
    help="Explain the model you deployed: saliency maps from OpenVINO IR and ONNX classifiers, by graph surgery.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (layers, insert, explain, compare, evaluate, benchmark, export):
    app.command(no_args_is_help=True)(command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    limit_memory: Annotated[
        str | None, typer.Option(help="Address space of the process that opens models and images, as 8GiB, or none.")
    ] = None,
    timeout: Annotated[str | None, typer.Option(help="Seconds that a command may take, or none.")] = None,
) -> None:
    if limit_memory is not None or timeout is not None:  # the command `ovxai` has taken them before
        raise InputError("--limit-memory and --timeout are for the command ovxai, which runs this in a process of its own")


def main() -> None:
    """Run the command line."""
    try:
        app()
    except OvxaiError as error:
        print(f"ovxai: {error}", file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print("ovxai: the memory does not suffice, or what --limit-memory allows of it", file=sys.stderr)
        sys.exit(2)

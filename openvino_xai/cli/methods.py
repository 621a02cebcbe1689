"""`ovxai methods`: how maps can be made."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, cast

import typer

from openvino_xai.cli.options import Json, takes_options
from openvino_xai.cli.options.choices import literal
from openvino_xai.cli.text import say, say_table
from openvino_xai.json_text import to_json

COLUMNS = ("method", "kind", "explains", "gradients", "a map shows", "cost")


@takes_options
def methods(
    kind: Annotated[
        str | None,
        typer.Option(help="hook (in the model) or probe (asks a model again and again)."),
        literal("Kind", "method_table"),
    ] = None,
    explains: Annotated[
        str | None,
        typer.Option(help="Those that explain classes, boxes, vectors or pixels."),
        literal("Explained", "method_table"),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what --method takes: what a map shows, of which models, and what it costs; --json has the papers."""
    from openvino_xai.method_table import Explained, Kind
    from openvino_xai.method_table import methods as find

    rows = find(kind=cast(Kind | None, kind), explains=cast(Explained | None, explains))
    if as_json:
        say(to_json([asdict(row) for row in rows]))
        return
    cells = [
        (row.name, row.kind, ", ".join(row.explains), "yes" if row.gradients else "", row.summary, row.cost) for row in rows
    ]
    say_table(COLUMNS, cells, texts=COLUMNS)

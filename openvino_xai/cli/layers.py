"""`ovxai layers`: where a hook can go, and why not elsewhere."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from openvino_xai.cli.options import ImageInput, Json, Layout, ModelPath, PrefixTokens, ScoresNames, TokenGrid, takes_options
from openvino_xai.cli.text import say, say_table, warn
from openvino_xai.json_text import to_json

if TYPE_CHECKING:
    from openvino_xai.surgery.layer import Layer

BEST = 10  # layers that are listed where nobody asks for all
TELLING = ("same maps at", "why not")
TEXTS = ("layer", "shape", "cells", "method", *TELLING)


@takes_options
def layers(
    model: ModelPath,
    scores: ScoresNames = None,
    image_input: ImageInput = None,
    layout: Layout = None,
    prefix_tokens: PrefixTokens = None,
    token_grid: TokenGrid = None,
    show_all: Annotated[bool, typer.Option("--all", help="List all layers: those where no hook can go, too, and why.")] = False,
    as_json: Json = False,
) -> None:
    """List where a hook can go, the ten best first: name, shape, cells and what it costs; for each of --scores.

    The cost is the hooked model's operations over the plain one's. Layers where Recipro-CAM has the same maps share a line.
    Those that are not listed are not tried, which is quicker; --all and --json try all.
    """
    from openvino_xai.surgery.layers import layers as find

    most = None if show_all or as_json else BEST
    by_head = {
        head: find(
            model,
            scores=head,
            image_input=image_input,
            layout=layout,
            prefix_tokens=prefix_tokens,
            token_grid=token_grid,
            most=most,
        )
        for head in (scores or (None,))
    }
    if as_json:
        listed = {head: [asdict(layer) for layer in candidates] for head, candidates in by_head.items()}
        say(to_json(listed if len(listed) > 1 else next(iter(listed.values()))))
    for head, candidates in by_head.items():
        if candidates.reason is not None:
            warn(f"output '{head}': {candidates.reason}" if len(by_head) > 1 else candidates.reason)
    if as_json:
        return
    for head, candidates in ((head, candidates) for head, candidates in by_head.items() if candidates):
        _print(candidates, f"output '{head}'" if len(by_head) > 1 else None, show_all=show_all)


def _print(candidates: list[Layer], title: str | None, *, show_all: bool) -> None:
    from openvino_xai.surgery.layers import UNTRIED

    fit = [layer for layer in candidates if layer.reason is None]
    several = [layer for layer in fit if layer.twin is None]
    twins = {layer.name: [other.name for other in fit if other.twin == layer.name] for layer in several}
    shown = candidates if show_all or not fit else several[:BEST]
    columns = (
        "layer",
        "shape",
        "cells",
        "method",
        "depth",
        "cost",
        "memory",
        *(TELLING if show_all or not fit else TELLING[:1]),
    )
    rows = [_row(layer, twins.get(layer.name, []))[: len(columns)] for layer in shown]
    say_table(columns, rows, texts=TEXTS, title=title)
    if len(shown) == len(candidates):
        return
    untried = sum(layer.reason == UNTRIED for layer in candidates)
    more = {
        f"{'has' if len(fit) - len(several) == 1 else 'have'} the same maps as one of them": len(fit) - len(several),
        f"{'was' if untried == 1 else 'were'} not tried": untried,
        "cannot carry a hook": len(candidates) - len(fit) - untried,
    }
    counted = ", ".join(f"{count} {what}" for what, count in more.items() if count)
    say(f"of {len(candidates)} layers, {len(shown)} are listed; {counted}; --all tries and lists all of them.")


def _row(layer: Layer, twins: list[str]) -> tuple[str, ...]:
    from openvino_xai.operations.cost import human

    return (
        layer.name,
        " x ".join(map(str, layer.shape)),
        " x ".join(map(str, layer.cells)),
        layer.method,
        f"{layer.depth:.2f}",
        "" if layer.cost is None else f"{layer.cost:.2f} x",
        "" if layer.memory is None else human(layer.memory),
        ", ".join(twins) if layer.twin is None else layer.twin,
        layer.reason or "",
    )

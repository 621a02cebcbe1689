"""`ovxai layers`: where a hook can go, and why not elsewhere."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from openvino_xai.cli.options import ImageInput, Json, ModelPath, PrefixTokens, ScoresNames, TokenGrid, takes_options
from openvino_xai.cli.text import say, say_table
from openvino_xai.json_text import to_json

if TYPE_CHECKING:
    from openvino_xai.surgery.layer import Layer

TEXTS = ("layer", "shape", "cells", "method", "why not")


@takes_options
def layers(
    model: ModelPath,
    scores: ScoresNames = None,
    image_input: ImageInput = None,
    prefix_tokens: PrefixTokens = None,
    token_grid: TokenGrid = None,
    show_all: Annotated[bool, typer.Option("--all", help="List the layers where no hook can go, too.")] = False,
    as_json: Json = False,
) -> None:
    """List where a hook can go, best first: name, shape, cells, what it costs, and why not elsewhere; for each of --scores."""
    from openvino_xai.surgery.layers import layers as find

    by_head = {
        head: find(model, scores=head, image_input=image_input, prefix_tokens=prefix_tokens, token_grid=token_grid)
        for head in (scores or (None,))
    }
    if as_json:
        listed = {head: [asdict(layer) for layer in candidates] for head, candidates in by_head.items()}
        say(to_json(listed if len(listed) > 1 else next(iter(listed.values()))))
        return
    for head, candidates in by_head.items():
        _print(candidates, f"output '{head}'" if len(by_head) > 1 else None, show_all=show_all)


def _print(candidates: list[Layer], title: str | None, *, show_all: bool) -> None:
    from openvino_xai.operations.cost import human

    fit = [layer for layer in candidates if layer.reason is None]
    rows = [
        (
            layer.name,
            " x ".join(map(str, layer.shape)),
            " x ".join(map(str, layer.cells)),
            layer.method,
            f"{layer.depth:.2f}",
            "" if layer.cost is None else f"{layer.cost:.2f}",
            "" if layer.memory is None else human(layer.memory),
            layer.reason or "",
        )
        for layer in (candidates if show_all else fit or candidates)
    ]
    say_table(("layer", "shape", "cells", "method", "depth", "cost", "memory", "why not"), rows, texts=TEXTS, title=title)
    hidden = len(candidates) - len(fit) if fit and not show_all else 0
    if hidden:
        say(f"{hidden} more layers cannot carry a hook; --all lists them with the reason.")

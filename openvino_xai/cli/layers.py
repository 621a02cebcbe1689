"""`ovxai layers`: where a hook can go, and why not elsewhere."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from openvino_xai.cli.options import ImageInput, Json, ModelPath, PrefixTokens, ScoresName, TokenGrid
from openvino_xai.cli.text import say, say_table
from openvino_xai.json_text import to_json

TEXTS = ("layer", "shape", "cells", "method", "why not")


def layers(
    model: ModelPath,
    scores: ScoresName = None,
    image_input: ImageInput = None,
    prefix_tokens: PrefixTokens = None,
    token_grid: TokenGrid = None,
    show_all: Annotated[bool, typer.Option("--all", help="List the layers where no hook can go, too.")] = False,
    as_json: Json = False,
) -> None:
    """List where a hook can go, best first: name, shape, cells, what it costs, and why not elsewhere."""
    from openvino_xai.operations.cost import human
    from openvino_xai.surgery.layers import layers as find

    candidates = find(model, scores=scores, image_input=image_input, prefix_tokens=prefix_tokens, token_grid=token_grid)
    if as_json:
        say(to_json([asdict(layer) for layer in candidates]))
        return
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
    say_table(("layer", "shape", "cells", "method", "depth", "cost", "memory", "why not"), rows, texts=TEXTS)
    hidden = len(candidates) - len(fit) if fit and not show_all else 0
    if hidden:
        say(f"{hidden} more layers cannot carry a hook; --all lists them with the reason.")

"""What a cell of a notebook may end with is readable, whatever names a model has."""

from __future__ import annotations

import numpy as np
import pytest
from results import HOSTILE
from tiny import CASES
from two_heads import shared, with_outputs

import openvino_xai as xai

MODEL = CASES["pool and linear"].build("B", 17)
pytestmark = pytest.mark.slow


def test_each_is_a_line_or_a_table() -> None:
    hooked = xai.insert(MODEL)
    assert repr(hooked).startswith("<Hooked .onnx: reciprocam at 'f' of 'logits'; ")
    assert "verified in onnxruntime" in repr(hooked)
    assert "<td" in hooked._repr_html_() and "reciprocam" in hooked._repr_html_()
    assert repr(xai.load(hooked)).startswith("<Network: reciprocam at 'f'; 5 classes of 'logits', no labels; CPU f32; fed ")
    assert repr(xai.load(MODEL)).startswith("<Network: no hook; 5 classes")
    assert repr(xai.probe(MODEL, "rise")).startswith("<Probed: rise; 5 classes")
    layers = xai.layers(MODEL)
    lines = repr(layers).splitlines()
    assert lines[0].split()[:2] == ["layer", "shape"] and len(lines) == len(layers) + 2
    assert layers._repr_html_().count("<tr>") == len(layers) + 1
    assert layers == list(layers)
    located = xai.locate.locate(MODEL)  # type: ignore[attr-defined]
    assert repr(located) == "<Located: image 'image', 5 classes in 'logits', 2 layers for a hook ('f', 'c')>"


def test_hostile_names_command_nothing() -> None:
    model = with_outputs(shared(), {"color": "color\x1b[31m", "f": HOSTILE})
    for node in model.graph.node:
        node.input[:] = [HOSTILE if name == "f" else name for name in node.input]
    hooked = xai.insert(model, scores=["color\x1b[31m", "shape"])
    heads = xai.load_heads(hooked)
    explained = heads.explain(np.zeros((6, 8, 3), np.uint8))
    for thing in (hooked, heads, explained, xai.layers(model, scores="shape")):
        assert "\x1b" not in repr(thing)
        page = getattr(thing, "_repr_html_", str)()
        assert "<script" not in page and "<img src=x" not in page and "\x1b" not in page

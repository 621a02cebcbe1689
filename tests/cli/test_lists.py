"""Lists of methods and layers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny import CASES, tiny

import openvino_xai as xai
from openvino_xai.cli.app import app


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    app(list(words), standalone_mode=False)
    return capsys.readouterr().out


def test_methods(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said(capsys, monkeypatch, "methods").splitlines()
    assert lines[0].split()[:4] == ["method", "kind", "explains", "gradients"]
    assert {row.name for row in xai.methods()} <= {word for line in lines for word in line.split()}
    listed = json.loads(said(capsys, monkeypatch, "methods", "--kind", "probe", "--explains", "boxes", "--json"))
    assert [row["name"] for row in listed] == [row.name for row in xai.methods(kind="probe", explains="boxes")]
    assert all(row["source"] for row in listed)


@pytest.mark.slow
def test_ten_layers_and_what_more_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(tmp_path / "model.onnx")
    onnx.save(CASES["residual, layer second"].build("B", 17), model)
    layers = xai.layers(model)
    fit = [layer for layer in layers if layer.reason is None and layer.twin is None]
    monkeypatch.setattr("openvino_xai.cli.layers.BEST", 1)
    best = said(capsys, monkeypatch, "layers", model)
    assert best.splitlines()[1].split()[0] == fit[0].name and f"{fit[0].cost:.2f} x" in best
    twins = sum(layer.twin == fit[0].name for layer in layers)
    refused = sum(layer.reason is not None for layer in layers)
    untried = len(layers) - 1 - twins - refused
    assert f"of {len(layers)} layers, 1 are listed; " in best and "--all tries and lists all" in best
    assert f"{untried} were not tried" in best and f"{refused} cannot carry a hook" in best
    full = said(capsys, monkeypatch, "layers", model, "--all")
    assert all(layer.name in full for layer in layers) and "are listed" not in full
    assert len(json.loads(said(capsys, monkeypatch, "layers", model, "--json"))) == len(layers)


def test_a_model_without_layers_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "t = Reshape(image, s) c = Conv(t, w0) f = Relu(c) p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm(v, w)"
    model = str(tmp_path / "model.onnx")
    onnx.save(tiny(body, s=np.array([0, 3, 8, 6]), w0=(4, 3, 3, 3), w=(4, 5)), model)
    layers = xai.layers(model)
    assert not layers and "behind 't' (Reshape)" in str(layers.reason)
    for words, out in (((), ""), (("--json",), "[]\n")):
        monkeypatch.setenv("COLUMNS", "200")
        app(["layers", model, *words], standalone_mode=False)
        printed = capsys.readouterr()
        assert printed.out == out
        assert "no layer can carry a hook" in printed.err and "behind 't' (Reshape)" in printed.err
    fit = xai.layers(CASES["residual, layer second"].build("B", 17))
    assert fit.reason is None

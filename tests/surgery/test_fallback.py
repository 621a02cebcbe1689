"""The record of a hook names the fallback that was taken because the runtime refused a cheaper hook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from tiny import CASES
from typer.testing import CliRunner

import openvino_xai as xai
from openvino_xai.cli.app import app
from openvino_xai.errors import NoneRefused
from openvino_xai.plan.decision import Decision
from openvino_xai.surgery import classes

pytestmark = pytest.mark.slow


def test_a_hook_that_the_runtime_took_at_once_says_nothing() -> None:
    assert "fallback" not in xai.insert(CASES["mlp head"].build("B", 17), method="grad_cam").record


def test_copies_that_are_computed_apart(changed_once: list[Decision], tmp_path: Path) -> None:
    onnx.save(CASES["mlp head"].build("B", 17), tmp_path / "m.onnx")
    result = CliRunner().invoke(
        app, ["insert", "--model", str(tmp_path / "m.onnx"), "--method", "grad_cam"], catch_exceptions=False
    )
    assert "warning: the runtime did not take the cheaper hook: it computes again" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert xai.load(tmp_path / "m_xai.onnx").record["fallback"] == "apart"


def test_one_image_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    real = classes.verify_hook

    def refusing(original: Any, hooked: Any, heads: Any, *, cost: float) -> Any:
        if heads[0].decision.gate == "any":
            raise NoneRefused("the runtime cannot explain no image at all")
        return real(original, hooked, heads, cost=cost)

    monkeypatch.setattr(classes, "verify_hook", refusing)
    assert xai.insert(CASES["mlp head"].build("B", 17), gate=True).record["fallback"] == "one"

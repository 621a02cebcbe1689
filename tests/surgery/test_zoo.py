"""A dozen small networks of different kinds, as exporters write them: explained, and their cells where the image says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from tiny import DIALECTS

import openvino_xai as xai
from openvino_xai.locate import positions as places

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "zoo").glob("*.onnx"))
WITH_CLASS_TOKENS = {"vit", "deit", "eva"}


def test_there_is_a_dozen() -> None:
    assert len(FILES) == 12


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_explained(path: Path, dialect: str, zoo: ModuleType) -> None:
    snapshot = zoo.became(zoo.opened(str(path), "onnx" if dialect == "onnx" else "ir"))
    assert snapshot["became"] == "explained", snapshot
    assert snapshot["method"] == ("vit_reciprocam" if path.stem in WITH_CLASS_TOKENS else "reciprocam")
    assert snapshot["depth"] > 0.65  # of two blocks the last is not far behind the middle


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_differentiated(path: Path, dialect: str, zoo: ModuleType) -> None:
    """The score moves along the gradient as it says, or there would be no hook."""
    hooked = xai.insert(zoo.opened(str(path), "onnx" if dialect == "onnx" else "ir"), method="grad_cam")
    assert hooked.verified is not None and hooked.record["score"] == "logit"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ["abs_cam", "smooth_grad_cam_plus_plus", "fd_cam"])
def test_the_network_is_asked_again_where_tokens_are(method: str, dialect: str, zoo: ModuleType) -> None:
    model = zoo.opened(str(ROOT / "tests" / "zoo" / "vit.onnx"), "onnx" if dialect == "onnx" else "ir")
    assert xai.insert(model, method=method, layer="/blocks/blocks.1/norm1/LayerNormalization").verified


@pytest.mark.parametrize("name", ["convnext", "resnet", "swin"])
def test_cells_that_lie_across_are_seen(name: str, zoo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def across(*args: object, **options: object) -> dict[object, object]:
        located = places.places(*args, **options)  # type: ignore[arg-type]
        return {value: replace(place, cells=place.cells[::-1]) for value, place in located.items()}

    monkeypatch.setattr(zoo, "places", across)
    snapshot = zoo.became(zoo.opened(str(ROOT / "tests" / "zoo" / f"{name}.onnx"), "onnx"))
    assert snapshot["became"] == "wrong"
    assert "is not seen along that of the cells" in snapshot["why"]

"""A dozen small networks of different kinds, as exporters write them: each is explained, with its cells in their places."""

from __future__ import annotations

import importlib.util
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


@pytest.fixture(scope="module")
def zoo() -> ModuleType:
    """The module `scripts/zoo_one.py`, which tries one model."""
    spec = importlib.util.spec_from_file_location("zoo_one", ROOT / "scripts" / "zoo_one.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_a_dozen() -> None:
    assert len(FILES) == 12


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_explained(path: Path, dialect: str, zoo: ModuleType) -> None:
    report = zoo.became(zoo.opened(str(path), "onnx" if dialect == "onnx" else "ir"))
    assert report["became"] == "explained", report
    assert report["method"] == ("vit_reciprocam" if path.stem in WITH_CLASS_TOKENS else "reciprocam")
    assert report["depth"] > 0.65  # with two blocks the last one starts not far behind the middle


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_differentiated(path: Path, dialect: str, zoo: ModuleType) -> None:
    """Verification has compared the gradient with finite differences of the score."""
    hooked = xai.insert(zoo.opened(str(path), "onnx" if dialect == "onnx" else "ir"), method="grad_cam")
    assert hooked.verified is not None and hooked.record["score"] == "logit"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ["abs_cam", "smooth_grad_cam_plus_plus", "fd_cam"])
def test_the_network_is_asked_again_where_tokens_are(method: str, dialect: str, zoo: ModuleType) -> None:
    model = zoo.opened(str(ROOT / "tests" / "zoo" / "vit.onnx"), "onnx" if dialect == "onnx" else "ir")
    assert xai.insert(model, method=method, layer="/blocks/blocks.1/norm1/LayerNormalization").verified


@pytest.mark.parametrize("name", ["convnext", "resnet", "swin"])
def test_cells_that_lie_across_are_seen(name: str, zoo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def across(*args: object) -> dict[object, object]:
        upright = places.places(*args)  # type: ignore[arg-type]
        return {value: replace(place, cells=place.cells[::-1]) for value, place in upright.items()}

    monkeypatch.setattr(zoo, "places", across)
    report = zoo.became(zoo.opened(str(ROOT / "tests" / "zoo" / f"{name}.onnx"), "onnx"))
    assert report["became"] == "wrong"
    assert "is not seen along that of the cells" in report["why"]

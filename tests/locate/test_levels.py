"""Sets of layers: the backbone's last values and the inputs of the heads, as they were built; what a set lets past is named."""

from __future__ import annotations

from typing import Any

import onnx
import pytest
from tiny import DIALECTS, in_dialect
from tiny_detectors import CASES, Net, backbone, fpn, two_outputs

from openvino_xai.dialects.open import open_model
from openvino_xai.errors import LayerError
from openvino_xai.locate.detector import Detector
from openvino_xai.locate.located import Where


def located(model: Any, dialect: str = "onnx", layer: str | None = None) -> Detector:
    return Detector.of(open_model(in_dialect(model, dialect)), Where(layer=layer))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", CASES)
def test_sets_are_those_that_were_built(name: str, dialect: str) -> None:
    tiny = CASES[name]("B")
    sets = located(tiny.model, dialect).sets
    assert {key: (candidate.name, candidate.reason) for key, candidate in sets.items()} == {
        "backbone": (",".join(tiny.truth.backbone), None),
        "heads": (",".join(tiny.truth.heads), None),
    }


def small() -> onnx.ModelProto:
    net = Net("B", image=(3, 16, 16))
    return two_outputs(net, fpn(net, backbone(net, (4, 6)))).model


@pytest.mark.parametrize("layer", ["c3,t4", " t4 , c3", "p3,p4"])
def test_a_set_is_named_in_any_order_and_the_finest_comes_first(layer: str) -> None:
    first, second = sorted(name.strip() for name in layer.split(","))
    assert located(small(), layer=layer).at("backbone").layer.name == f"{first},{second}"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("c4", r"'c4' cannot carry a hook: it does not separate the image from the rows: 'conv_\d+' is reached past it"),
        ("p3", r"does not separate the image from the rows: 'conv_\d+' is reached past it"),
        ("c3,C4", r"no layer 'C4'; the nearest names are .*'c4'"),
        ("boxes", "layer 'boxes' has no cells|cannot carry a hook"),
    ],
)
def test_a_set_that_carries_no_hook_is_refused(layer: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        located(small(), layer=layer).at("backbone")

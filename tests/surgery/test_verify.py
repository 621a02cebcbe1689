"""Verification must refuse what is wrong: it is shown wrong hooks here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from tiny import CASES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.dialects.onnx import model as onnx_dialect
from openvino_xai.dialects.openvino import model as openvino_dialect
from openvino_xai.errors import VerificationError

ROOT = Path(__file__).parents[2]


def swap(monkeypatch: pytest.MonkeyPatch, dialect: str, kind: str, other: str) -> None:
    """Make a dialect emit `other` where `kind` is meant."""
    table: dict[str, Any] = (openvino_dialect if dialect == "openvino" else onnx_dialect).EMIT
    monkeypatch.setitem(table, kind, table[other])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("kind", "other"), [("max", "min"), ("multiply", "add"), ("subtract", "add"), ("equal", "greater")])
@pytest.mark.slow
def test_a_wrong_operation_in_the_hook_is_refused(kind: str, other: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = in_dialect(CASES["mlp head"].build("B", 17), dialect)
    swap(monkeypatch, dialect, kind, other)
    with pytest.raises(VerificationError, match=r"definition|finite"):
        xai.insert(model, layer="f", plan="direct")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_changed_outputs_are_refused(dialect: str) -> None:
    from openvino_xai.dialects.open import open_model
    from openvino_xai.locate.located import Located, Where
    from openvino_xai.plan.decision import Head, decide
    from openvino_xai.plan.request import Request
    from openvino_xai.verify.hook import verify_hook

    case = CASES["pool and linear"]
    original = open_model(in_dialect(case.build("B", 17), dialect))
    other = type(case)(case.layer, case.body.replace("Relu(c)", "Abs(c)"), case.weights).build("B", 17)
    hooked = xai.insert(in_dialect(other, dialect), layer="f").deployed
    located = Located.of(original, Where("f"))
    layer = located.choose()
    with pytest.raises(VerificationError, match=r"output 'logits' changed by up to"):
        verify_hook(original, hooked, [Head(located.at(layer), decide(Request(), layer, (original.runtime,)))])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_file_that_reads_back_differently_leaves_nothing(dialect: str, tmp_path: Path) -> None:
    hooked = xai.insert(in_dialect(CASES["pool and linear"].build("B", 17), dialect), layer="f")
    assert hooked.verified is not None
    hooked.verified.outputs["logits"] += 1  # type: ignore[index]
    with pytest.raises(VerificationError, match="written file"):
        hooked.save(tmp_path / f"hooked.{'xml' if dialect == 'openvino' else 'onnx'}")
    assert not list(tmp_path.iterdir())


def test_what_was_seen_is_told() -> None:
    verified = xai.insert(CASES["pool and linear"].build("B", 17), layer="f").verified
    assert verified is not None
    assert verified.images == 2
    assert verified.cells > 6
    assert 0 <= verified.difference < 1e-4
    assert np.isfinite(verified.outputs["saliency_map"]).all()


@pytest.mark.slow
def test_a_bit_that_changes_for_some_images_alone_is_seen() -> None:
    """Of this network's seven logits, those of the first random images stay the same where the hook joins what is fused."""
    model = onnx.load(ROOT / "tests" / "zoo" / "vit.onnx")
    hooked = xai.insert(model, method="grad_cam")
    assert hooked.record["fallback"] == "apart"
    plain, new = (onnxruntime.InferenceSession(item.SerializeToString()) for item in (model, hooked.model))
    for seed in range(12):
        images = np.random.default_rng(seed).standard_normal((2, 3, 64, 64)).astype(np.float32)
        name = plain.get_inputs()[0].name
        output = plain.get_outputs()[0].name
        np.testing.assert_array_equal(plain.run([output], {name: images})[0], new.run([output], {name: images})[0])


def test_as_many_batches_as_it_takes_are_compared() -> None:
    from openvino_xai.dialects.open import open_model
    from openvino_xai.locate.image import find_image
    from openvino_xai.verify.images import SampleImages
    from openvino_xai.verify.outputs import more_batches

    original = open_model(CASES["pool and linear"].build("B", 17))
    images = SampleImages(original, *find_image(original.graph))

    def batches(values: int, cost: float = 1.0) -> list[int]:
        more = more_batches(images, {"logits": np.zeros(values)}, cost)
        return [len(next(iter(inputs.values()))) for inputs in more]

    assert batches(10) == [1, 2] * 7 + [1]
    assert batches(200) == [1, 2, 1, 2]
    assert batches(5000) == [1, 2]
    assert batches(10, cost=50.0) == [1, 2, 1]
    assert batches(10, cost=1000.0) == [1, 2]

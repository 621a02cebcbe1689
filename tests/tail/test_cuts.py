"""A cut of two values, each with cells of its own, that together separate the image from the scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny import CLASSES, DIALECTS, images, in_dialect, tiny

from openvino_xai.dialects.open import open_model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import PlanError, VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.layers import Candidate, CutValue
from openvino_xai.locate.located import Located, Location, Where
from openvino_xai.locate.positions import Place
from openvino_xai.plan.decision import Head, decide
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import Plan, plan
from openvino_xai.plan.request import Request
from openvino_xai.tail.reverse_mode import Backward
from openvino_xai.tail.target import All, ClassTarget
from openvino_xai.verify.hook import verify_hook

# two levels, `f` of 6 x 8 cells and `g` of 3 x 4; neither alone separates the image from the scores
BODY = """c = Conv<pads=[1,1,1,1]>(image, w0) f = Relu(c) d = Conv<strides=[2,2], pads=[1,1,1,1]>(c, w1) g = Relu(d)
{tail} j = Concat<axis=1>(p, q) v = Flatten(j) logits = Gemm<transB=1>(v, w, b)"""
TAILS = {
    "pools": "p = GlobalAveragePool(f) q = GlobalMaxPool(g)",
    "convolution, pools": "e = Conv<pads=[1,1,1,1]>(f, w2) p = GlobalAveragePool(e) h = Sigmoid(g) q = GlobalAveragePool(h)",
}
WEIGHTS = {"w0": (4, 3, 3, 3), "w1": (4, 4, 3, 3), "w": (CLASSES, 8), "b": (CLASSES,)}


def model(name: str, batch: int | str = "B") -> Any:
    weights = {**WEIGHTS, "w2": (4, 4, 3, 3)} if "w2" in TAILS[name] else WEIGHTS
    return tiny(BODY.format(tail=TAILS[name]), batch=batch, **weights)


def value(deployed: Deployed, name: str) -> Value:
    values = (value for node in deployed.graph.nodes for value in node.outputs)
    return next(value for value in values if name in (value.name, *value.aliases) or value.name.startswith(f"{name}/"))


def location(deployed: Deployed) -> Location:
    located = Located.of(deployed, Where())
    cut = [CutValue(value(deployed, "f"), Place(0, (2, 3), (6, 8))), CutValue(value(deployed, "g"), Place(0, (2, 3), (3, 4)))]
    return located.at(Candidate("f and g", tuple(cut), None))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["lazy", "direct"])
@pytest.mark.parametrize("name", TAILS)
def test_a_mask_keeps_the_same_block_of_the_image_at_every_size(name: str, kind: Any, dialect: str) -> None:
    original = open_model(in_dialect(model(name), dialect))
    here = location(original)
    assert here.layer.cells == (3, 4)
    decision = decide(Request(plan=kind), here.layer, (original.runtime,))
    twin = original.twin()
    emit(plan(here.within(twin.graph), decision), twin)
    verified = verify_hook(original, twin, [Head(here, decision)])
    assert verified.outputs["saliency_map"].shape == (2, CLASSES, 3, 4)
    assert verified.difference < 1e-4


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_value_alone_is_not_the_cut(dialect: str) -> None:
    """Verification can fail: masking the first level alone gives other maps."""
    original = open_model(in_dialect(model("pools"), dialect))
    here = location(original)
    decision = decide(Request(), here.layer, (original.runtime,))
    twin = original.twin()
    there = here.within(twin.graph)
    first = CutValue(there.layer.cut[0].value, there.layer.cut[0].place)
    alone = there.graph, there.image, there.image_place, there.scores, Candidate("f", (first,), None)
    with pytest.raises((PlanError, VerificationError)):
        emit(plan(Location(*alone), decision), twin)
        verify_hook(original, twin, [Head(here, decision)])


def test_a_grid_has_to_divide_the_cells_of_each() -> None:
    here = location(open_model(model("pools")))
    assert decide(Request(grid=(3, 2)), here.layer).grid == (3, 2)
    with pytest.raises(PlanError, match="3x4 cells, which a grid of 6x8 does not divide"):
        decide(Request(grid=(6, 8)), here.layer)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_gradients_by_each_value_are_slopes(dialect: str) -> None:
    original = open_model(in_dialect(model("convolution, pools", 2), dialect))
    here, twin, trace = location(original), original.twin(), Trace()
    there = here.within(twin.graph)
    target, cut = ClassTarget.of(there.scores, All(), "logit"), [part.value for part in there.layer.cut]
    back = Backward(twin.graph, trace, cut, target, target.selection(trace, 2), batch=2)
    outputs = {
        f"by_{index}": trace.broadcast_to(gradient, (back.rows, *shape_of(item)[1:]))
        for index, (item, gradient) in enumerate(zip(cut, back.gradients(), strict=True))
    }
    emit(Plan(twin.graph, tuple(trace.nodes), outputs), twin)
    image = {"image": images(model("convolution, pools", 2), 2)}
    gradients = twin.compile()(image)
    parts = {f"cut_{index}": part.value for index, part in enumerate(here.layer.cut)}
    features = original.probing(read=parts, inputs={}).compile()(image)
    tail = original.probing(read={}, inputs=parts).compile()
    rng, step = np.random.default_rng(4), 0.05
    for index, name in enumerate(parts):
        direction = rng.normal(size=features[name].shape).astype(np.float32)
        ends = [
            tail({**image, **{key: features[key] for key in parts}, name: features[name] + sign * step * direction})["logits"]
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * step)
        gradient = gradients[f"by_{index}"].reshape(2, CLASSES, *direction.shape[1:])
        np.testing.assert_allclose((gradient * direction[:, None]).sum(axis=(2, 3, 4)), slope, atol=2e-3, rtol=2e-3)

"""Several layers of a classifier, each with a map of its own: against a network of loops, and where they do not fit."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from slow_layers import BODY, WEIGHTS, slow_maps
from tiny import DIALECTS, HEAD, LINEAR, images, in_dialect, in_turn, tiny, with_open_sizes
from tiny_transformers import Transformer

import openvino_xai as xai
from openvino_xai.errors import LayerError, VerificationError
from openvino_xai.locate.located import Where, locate
from openvino_xai.plan.site import PlannedSite

EACH = dict(zip(DIALECTS, ("all", [3, 1]), strict=True))


def network(batch: int | str = "B") -> onnx.ModelProto:
    return tiny(BODY, batch=batch, **WEIGHTS)


def hooked(model: onnx.ModelProto, dialect: str = "onnx", **options: Any) -> xai.Hooked:
    return xai.insert(in_dialect(model, dialect), **{"layer": "a,f", "method": "layer_cam", **options})


@pytest.mark.slow
@pytest.mark.parametrize(("case", "dialect"), in_turn([("layer_cam", "a,f"), ("layer_cam", "f,p"), ("zoom_cam", "p, a,f")]))
def test_maps_of_layers_are_scaled_and_the_largest_is_taken(case: tuple[str, str], dialect: str) -> None:
    (method, names), model, batch = case, network(), images(network(), 2)
    weights = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    in_order = sorted(names.replace(" ", "").split(","), key="apf".index)
    of_layers = hooked(model, dialect, method=method, layer=names, scale="none", targets=EACH[dialect])
    assert of_layers.record["layer"].replace(".0", "") == ",".join(in_order)
    assert of_layers.record["grid"] == ("6x8" if "a" in names else "3x4")
    maps = xai.load(of_layers)(batch)["saliency_map"]
    classes = EACH[dialect] if EACH[dialect] != "all" else range(5)
    true = [[slow_maps(method, weights, image, in_order, int(k)) for k in classes] for image in batch]
    most = np.max(true, axis=(0, 1, 2, 3))
    assert 0.9 < most < 0.97 if method == "layer_cam" else 0.9 < most <= 1  # tanh(2) is .964
    np.testing.assert_allclose(maps, true, atol=1e-5)


@pytest.mark.parametrize("broken", ["gradients_of_layers", "cells_of_layers", "on_one_grid"])
def test_a_wrong_map_of_layers_is_refused(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the last of the layers alone."""
    answer = getattr(PlannedSite, broken)

    def wrong(self: PlannedSite, *arguments: Any) -> Any:
        *others, last = answer(self, *arguments)
        return (*others, self._trace.multiply(last, np.float32(1.3)))

    monkeypatch.setattr(PlannedSite, broken, wrong)
    with pytest.raises(VerificationError):
        hooked(network(), targets=[0, 1])


def test_what_the_plan_joins_in_another_way_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlannedSite, "on_one_grid", lambda self, maps: [self._trace.multiply(maps[0], np.float32(1))] * 2)
    with pytest.raises(VerificationError, match="the maps differ from their definition"):
        hooked(network(), layer="a,f", targets=[0, 1])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"layer": "a,fff"}, "no layer 'fff'; the nearest names are 'f'"),
        ({"layer": "a,b\n'\""}, "the model has no layer 'b\n'\"'"),
        ({"layer": "a,"}, "the model has no layer ''"),
        ({"layer": "a,f,a"}, "layer 'a' is named twice: once is enough"),
        ({"layer": "a,g"}, "layer 'g' has no cells"),
        ({"layer": "a,v"}, "layer 'v' has no cells"),
        ({"layer": "f,f"}, "named twice"),
        ({"method": "grad_cam"}, "grad_cam looks at one layer, and 'a,f' are 2: .* layer_cam or zoom_cam joins the maps"),
        ({"grid": "3x4"}, "layers 'a,f' have maps of their own, and no masks: leave the grid out"),
        ({"feature_vector": True}, "a feature vector is of one layer, and 'a,f' are several"),
    ],
)
def test_what_is_no_set_of_layers_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(xai.OvxaiError, match=why):
        hooked(network(), **options)


BYPASSED = (
    "c1 = Conv<pads=[1,1,1,1]>(image, k1) a = Relu(c1) c2 = Conv<pads=[1,1,1,1]>(a, k2) r = Relu(c2) f = Add(a, r) "
    + HEAD.format("f")
)
RESIDUAL = {"k1": (4, 3, 3, 3), "k2": (4, 4, 3, 3), **LINEAR}
LEVELS = (  # a way of 6 x 8 cells, and one of 3 x 4, as CrossViT has
    "ac = Conv<pads=[1,1,1,1]>(image, wa) a = Relu(ac) ap = ReduceMean<axes=[2,3], keepdims=0>(a) al = Gemm(ap, va) "
    "dc = Conv<strides=[2,2]>(image, wd) d = Relu(dc) dp = ReduceMean<axes=[2,3], keepdims=0>(d) dl = Gemm(dp, vd) "
    "logits = Add(al, dl)"
)
OF_LEVELS = {"wa": (4, 3, 3, 3), "va": (4, 5), "wd": (6, 3, 2, 2), "vd": (6, 5)}


def computed(model: onnx.ModelProto, batch: np.ndarray, *names: str) -> list[np.ndarray]:
    """Values of a model, and its weights, by their names."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    weights = {item.name: onnx.numpy_helper.to_array(item) for item in probed.graph.initializer}
    values = [name for name in names if name not in weights]
    probed.graph.output.extend(onnx.helper.make_value_info(name, onnx.TypeProto()) for name in values)
    answers = dict(zip(values, ReferenceEvaluator(probed).run(values, {"image": batch}), strict=True))
    return [answers[name] if name in answers else weights[name] for name in names]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_gradients_at_a_layer_that_is_bypassed(dialect: str) -> None:
    """What goes around it is as it was: its own part of the mean has the weights of the last layer."""
    model = tiny(BYPASSED, **RESIDUAL)
    batch = images(model, 2)
    hooked = xai.insert(in_dialect(model, dialect), layer="r", method="hires_cam", scale="none", targets="all")
    r, w = computed(model, batch, "r", "w")
    maps = xai.load(hooked)(batch)["saliency_map"]
    positive = np.maximum(np.einsum("bchw,kc->bkhw", r, w) / r[0, 0].size, 0)
    np.testing.assert_allclose(maps, positive, atol=1e-6)
    for method in ("reciprocam", "ablation_cam", "fd_cam"):
        with pytest.raises(
            LayerError, match="'r' cannot .* 'a' bypasses it and enters .* grad_cam, layer_cam and other methods"
        ):
            locate(model, Where(layer="r")).choose(method)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_layers_on_ways_beside_each_other(dialect: str) -> None:
    model = tiny(LEVELS, **OF_LEVELS)
    batch = images(model, 2)
    options: dict[str, Any] = {"layer": "a,d", "method": "layer_cam", "scale": "none", "targets": "all"}
    maps = xai.load(xai.insert(in_dialect(model, dialect), **options))(batch)["saliency_map"]
    parts = []
    for name, weights in (("a", "va"), ("d", "vd")):
        features, w = computed(model, batch, name, weights)
        of_layer = np.einsum("bchw,ck->bkhw", features, np.maximum(w, 0))
        scaled = np.tanh(2 * of_layer / of_layer.max(axis=(2, 3), keepdims=True))
        parts.append([[cv2.resize(of_class, (8, 6)) for of_class in of_image] for of_image in scaled])
    np.testing.assert_allclose(maps, np.max(parts, axis=0), atol=1e-5)


def test_a_gradient_that_leaves_one_of_the_ways_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = PlannedSite.gradients_of_layers

    def wrong(self: PlannedSite) -> Any:
        first, last = answer(self)
        return first, self._trace.multiply(last, np.float32(0))

    monkeypatch.setattr(PlannedSite, "gradients_of_layers", wrong)
    with pytest.raises(VerificationError):
        xai.insert(tiny(LEVELS, **OF_LEVELS), layer="a,d", method="layer_cam", targets=[0])


def test_tokens_of_which_only_others_are_read_are_no_layer() -> None:
    model = Transformer().build("B")
    with pytest.raises(LayerError, match="of its tokens, the scores read those alone that are no cells"):
        locate(model, Where(layer="m5_1")).choose("grad_cam")
    assert locate(model, Where(layer="m5_0")).choose("grad_cam").name.startswith("m5_0")


@pytest.mark.slow
def test_class_tokens_stay_while_features_are_moved() -> None:
    """Of several layers gradients are by cells: a class token, which has one of its own, is not moved along their mean."""
    names = ",".join(layer.name for layer in locate(Transformer().build("B")).cells if layer.name[:2] in ("x0", "x1"))
    assert xai.insert(Transformer().build("B"), layer=names, method="layer_cam", targets="all").verified


@pytest.mark.slow
def test_layers_of_open_sizes_have_to_be_alike() -> None:
    with pytest.raises(xai.OvxaiError, match="fixed height and width"):
        hooked(with_open_sizes(network()))
    options: dict[str, Any] = {"layer": "c2,f", "scale": "none", "targets": "all"}
    alike, fixed = hooked(with_open_sizes(network()), **options), hooked(network(), verify=False, **options)
    batch = images(network(), 2)
    expected = xai.load(fixed)(batch)["saliency_map"]
    np.testing.assert_allclose(xai.load(alike)(batch)["saliency_map"], expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_gate_leaves_images_out_and_a_portable_hook_has_the_same_maps(dialect: str) -> None:
    batch = images(network(), 3)
    options: dict[str, Any] = {"targets": [2, 4], "scale": "none", "verify": False}
    maps = xai.load(hooked(network(), dialect, **options))(batch)["saliency_map"]
    if dialect == "onnx":
        portable = xai.load(hooked(network(), dialect, portable=True, **options))(batch)["saliency_map"]
        np.testing.assert_allclose(portable, maps, atol=1e-5)
        return
    model = hooked(network(), dialect, gate=True, **options).deployed
    (name,) = (value.name for value in model.graph.inputs if value.name != "explain")
    of_some = model.compile()({name: batch, "explain": np.array([True, False, True])})["saliency_map"]
    np.testing.assert_allclose(of_some, maps * np.reshape([1, 0, 1], (3, 1, 1, 1)), atol=1e-5)


@pytest.mark.slow
def test_layers_of_tokens_are_joined() -> None:
    """Of a transformer, what enters a block and what leaves it: both have the same cells, beside a class token."""
    model = Transformer(prefix=1).build(1)
    located = locate(model)
    names = [layer.name for layer in located.cells if layer.reason is None and len(layer.place.cells) == 1][:2]
    assert len(names) == 2
    assert xai.insert(model, layer=",".join(names), method="layer_cam", scale="none").verified

"""Hooks of Grad-CAM's family: their maps are those of finite differences, and models without a gradient are refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from family import FAMILY, slow_abs, slow_family, slow_fd, slow_groups, slow_smooth
from onnx.reference import ReferenceEvaluator
from tails import CASES, Case, doubled, jacobian, number, slopes, tail
from tiny import CLASSES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.errors import PlanError, TooLarge, VerificationError
from openvino_xai.operations.table import OPERATIONS
from openvino_xai.plan.decision import Decision

pytestmark = pytest.mark.slow

NAMES = ["pool, linear", "squeeze and excite", "max pool, overlapping", "strided convolution"]


def unit(maps: np.ndarray) -> np.ndarray:
    low, high = maps.min(axis=(2, 3), keepdims=True), maps.max(axis=(2, 3), keepdims=True)
    return np.asarray((maps - low) / np.where(high > low, high - low, 1))


def true_maps(name: str, method: str, jacobian: np.ndarray | None = None) -> np.ndarray:
    """The maps [B, K, H, W] of a method from finite differences, before they are scaled."""
    true = slopes(name)
    return slow_family(method, true.values["x"], true.jacobian if jacobian is None else jacobian)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", FAMILY)
@pytest.mark.parametrize("name", NAMES)
def test_maps_are_those_of_the_papers(name: str, method: str, dialect: str) -> None:
    hooked = xai.insert(in_dialect(CASES[name].model("B"), dialect), method=method, layer="x", targets="all")
    assert (hooked.record["method"], hooked.record["score"]) == (method, "logit")
    maps = xai.load(hooked)(slopes(name).image)["saliency_map"]
    np.testing.assert_allclose(maps, unit(true_maps(name, method)), atol=2e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["attention, as exported", "windows", "a step aside", "1x1 head, pool"])
def test_whatever_the_tail(name: str, dialect: str) -> None:
    network = xai.load(xai.insert(in_dialect(CASES[name].model("B"), dialect), method="hires_cam", layer="x", targets="all"))
    np.testing.assert_allclose(network(slopes(name).image)["saliency_map"], unit(true_maps(name, "hires_cam")), atol=2e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["all", "top:2", [3, 0]])
@pytest.mark.parametrize(
    "name",
    [
        "strided convolution", "pool, conv head, linear", "attention, as exported", "1x1 head, pool", "pool, 1x1 head",
        "pool, linear", "conv, 1x1 head, pool",
    ],
)  # fmt: skip
def test_fd_cam_switches_channels(name: str, targets: str | list[int], dialect: str) -> None:
    true, run = slopes(name), tail(name)
    x = true.values["x"]

    def scores(masks: np.ndarray) -> np.ndarray:
        each = [run.run(["logits"], {"x": x * masks[:, c, :, None, None]})[0] for c in range(x.shape[1])]
        return np.stack(each, axis=1)

    groups = slow_groups(x)
    maps = slow_fd(x, true.jacobian, scores(groups), scores(~groups), true.values["logits"])
    model = in_dialect(CASES[name].model("B"), dialect)
    outputs = xai.load(xai.insert(model, method="fd_cam", layer="x", targets=targets, scale="none"))(true.image)
    ids = np.tile([3, 0] if targets == [3, 0] else np.arange(CLASSES), (2, 1))
    maps = np.take_along_axis(maps, outputs.get("saliency_class", ids)[:, :, None, None], axis=1)
    np.testing.assert_allclose(outputs["saliency_map"], maps, atol=1e-4 * maps.max())


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["top:1", "asked", [2]])
def test_channels_are_switched_in_the_weights_of_one_class(targets: str | list[int], dialect: str) -> None:
    """Where a 1x1 convolution gives the classes, channels are switched in its weights: features are not copied."""
    model = in_dialect(CASES["1x1 head, pool"].model("B"), dialect)
    one_class, all_classes = (xai.insert(model, method="fd_cam", layer="x", targets=t).layer for t in (targets, "all"))
    assert one_class.cost is not None and all_classes.cost is not None and one_class.cost < 0.5 * all_classes.cost


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["all", "top:2", [3, 0]])
def test_abs_cam_asks_what_each_channel_uncovers(targets: str | list[int], dialect: str) -> None:
    name = "strided convolution"
    true = slopes(name)
    first = slow_abs(true.values["x"], true.jacobian)
    evaluator = ReferenceEvaluator(doubled(CASES[name].model()))
    ranked = np.argsort(-true.values["logits"], axis=1)
    ids = (
        np.tile(targets, (2, 1))
        if isinstance(targets, list)
        else ranked[:, :2]
        if targets == "top:2"
        else np.tile(range(5), (2, 1))
    )
    model = in_dialect(CASES[name].model("B"), dialect)
    for method in ("abs_cam_init", "abs_cam"):
        maps = xai.load(xai.insert(model, method=method, layer="x", targets=targets, scale="none"))(true.image)["saliency_map"]
        for image, index in np.ndindex(ids.shape):
            k = ids[image, index]
            wanted = first[image, k]
            if method == "abs_cam":
                wanted = np.zeros(wanted.shape)
                for channel, slope in zip(true.values["x"][image], true.jacobian[image, k], strict=True):
                    mask = unit((np.abs(slope).mean() * channel)[None, None])[0, 0]  # the layer is as large as the image
                    covered = true.image[image].astype(np.float64) * mask
                    y = evaluator.run(None, {"image": np.stack([covered, covered])})[0][0]
                    wanted += np.exp(y[k]) / np.exp(y).sum() * mask
            np.testing.assert_allclose(maps[image, index], wanted, atol=1e-4 * wanted.max())


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("method", "name", "limit"),
    [("fd_cam", "strided convolution", 4000), ("ablation_cam", "strided convolution", 2500), ("abs_cam", "pool, linear", 2500)],
)
def test_what_is_too_large_at_once_is_asked_in_chunks(method: str, name: str, limit: int, dialect: str) -> None:
    model, image = CASES[name].model("B"), slopes(name).image
    at_once, in_chunks = (
        xai.insert(in_dialect(model, dialect), method=method, layer="x", targets="all", max_memory=most)
        for most in (2**30, limit)
    )
    assert at_once.layer.memory is not None and in_chunks.layer.memory is not None
    assert at_once.layer.memory > limit >= in_chunks.layer.memory
    maps = [xai.load(hooked)(image)["saliency_map"] for hooked in (at_once, in_chunks)]
    np.testing.assert_allclose(*maps, atol=1e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_smooth_grad_cam_plus_plus_means_over_noise(dialect: str) -> None:
    name = "squeeze and excite"
    true = slopes(name)
    noise = np.random.default_rng(0).standard_normal((1, 5, *true.image.shape[1:]))
    spread = np.ptp(true.image, axis=(1, 2, 3)).reshape(2, 1, 1, 1)
    model = CASES[name].model()
    gain = onnx.numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == "gain"))[:, :, 0, 0]
    noisy = [np.einsum("oi,bihw->bohw", gain, true.image + 0.15 * spread * noise[:, copy]) for copy in range(5)]
    maps = slow_smooth(true.values["x"], np.stack([jacobian(name, x) for x in noisy], axis=1))
    for targets in ("all", "top:1"):
        hooked = xai.insert(
            in_dialect(model, dialect), method="smooth_grad_cam_plus_plus", layer="x", targets=targets, scale="none"
        )
        outputs = xai.load(hooked)(true.image)
        wanted = np.take_along_axis(maps, outputs["saliency_class"][:, :, None, None], axis=1) if targets == "top:1" else maps
        # features of both signs nearly cancel in the denominator, which makes rounding errors larger
        np.testing.assert_allclose(outputs["saliency_map"], wanted, atol=1e-3 * maps.max(), rtol=1e-3)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("batch", [2, "B"])
@pytest.mark.parametrize("name", ["pool, linear", "squeeze and excite"])
def test_the_most_probable_classes_unless_told(name: str, batch: int | str, dialect: str) -> None:
    model, true = CASES[name].model(batch), slopes(name)
    ranked = np.argsort(-true.values["logits"], axis=1)
    all_maps = unit(true_maps(name, "grad_cam"))
    for targets, ids in ((None, ranked[:, :1]), ("top:3", ranked[:, :3]), ([4, 0], np.array([[4, 0], [4, 0]]))):
        outputs = xai.load(xai.insert(in_dialect(model, dialect), method="grad_cam", layer="x", targets=targets))(true.image)
        if not isinstance(targets, list):
            assert np.array_equal(outputs["saliency_class"], ids)
        np.testing.assert_allclose(
            outputs["saliency_map"], np.take_along_axis(all_maps, ids[:, :, None, None], axis=1), atol=2e-4
        )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
def test_gradients_of_probabilities(score: str, dialect: str) -> None:
    true = slopes("squeeze and excite")
    y = true.values["logits"]
    if score == "softmax":
        p = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
        squash = p[:, :, None] * (np.eye(CLASSES) - p[:, None])
    else:
        squash = np.eye(CLASSES) / (1 + np.exp(-y[:, :, None])) / (1 + np.exp(y[:, :, None]))
    maps = true_maps("squeeze and excite", "hires_cam", np.einsum("bkj,bjchw->bkchw", squash, true.jacobian))
    model = in_dialect(CASES["squeeze and excite"].model("B"), dialect)
    outputs = xai.load(xai.insert(model, method="hires_cam", layer="x", targets="all", score=score, scale="none"))(true.image)
    np.testing.assert_allclose(outputs["saliency_map"], maps, atol=1e-4 * maps.max())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_gate_leaves_images_out(dialect: str) -> None:
    true = slopes("strided convolution")
    model = in_dialect(CASES["strided convolution"].model("B"), dialect)
    network = xai.load(xai.insert(model, method="grad_cam", layer="x", targets=[1], gate=True))
    maps = network(true.image, explain=np.array([False, True]))["saliency_map"]
    assert not maps[0].any()
    np.testing.assert_allclose(maps[1], unit(true_maps("strided convolution", "grad_cam"))[1, 1:2], atol=2e-4)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_wrong_derivative_is_seen(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sigmoid = OPERATIONS["sigmoid"]
    rule = sigmoid.adjoint
    assert rule is not None
    wrong = replace(sigmoid, adjoint=lambda at, index, g: at.xp.multiply(rule(at, index, g), 3.0))
    monkeypatch.setitem(OPERATIONS, "sigmoid", wrong)
    with pytest.raises(VerificationError, match=r"the gradient of class \d at layer 'x' is not the slope of its score"):
        xai.insert(in_dialect(CASES["squeeze and excite"].model("B"), dialect), method="grad_cam", layer="x")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_has_no_rule_is_named(dialect: str) -> None:
    model = Case("r = Round(x) y = Add(r, x)").model("B")
    with pytest.raises(PlanError, match=r"'r' \(Round\) cannot be differentiated: no rule knows the operation"):
        xai.insert(in_dialect(model, dialect), method="layer_cam", layer="x")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_power_by_a_varying_exponent_is_refused(dialect: str) -> None:
    model = Case("e = Exp(x) p = GlobalAveragePool(x) y = Pow(e, p)").model("B")
    with pytest.raises(PlanError, match=r"'y' \(Pow\w*\) cannot be differentiated: its exponent is not one constant number"):
        xai.insert(in_dialect(model, dialect), method="grad_cam", layer="x")


def test_all_classes_of_a_deep_tail_are_refused_with_a_limit() -> None:
    model = CASES["strided convolution"].model("B")
    with pytest.raises(TooLarge, match="more than the limit of"):
        xai.insert(model, method="layer_cam", layer="x", targets="all", max_memory=1000)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_values_that_may_not_be_read_are_computed_again(dialect: str, changed_once: list[Decision]) -> None:
    true = slopes("attention, as exported")
    model = in_dialect(CASES["attention, as exported"].model("B"), dialect)
    hooked = xai.insert(model, method="hires_cam", layer="x", targets="all")
    assert [decision.isolated for decision in changed_once] == [False, True]
    maps = xai.load(hooked)(true.image)["saliency_map"]
    np.testing.assert_allclose(maps, unit(true_maps("attention, as exported", "hires_cam")), atol=2e-4)


def test_a_constant_limit_that_is_computed() -> None:
    model = Case("l = Add(low, low) y = Max(x, l)", weights={"low": number(-0.1)}).model("B")
    assert xai.insert(model, method="grad_cam", layer="x").verified


@pytest.mark.parametrize("dialect", DIALECTS)
def test_channels_that_are_classes_already_are_not_weighed(dialect: str) -> None:
    model = CASES["1x1 head, pool"].model("B")
    assert xai.insert(in_dialect(model, dialect)).layer.name == "r"
    for method in ("grad_cam", "ablation_cam", "fd_cam"):
        assert xai.insert(in_dialect(model, dialect), method=method).layer.name == "x"

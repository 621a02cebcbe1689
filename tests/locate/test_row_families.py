"""Rows are found behind what detectors of several families make of scores, and refused where they cannot be told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import openvino as ov
import pytest
from locate.test_rows import hold, located
from openvino import opset8 as opset
from tiny import DIALECTS
from tiny_detectors import CLASSES, Net, Truth, backbone, fpn, grids

from openvino_xai.dialects.open import open_model
from openvino_xai.errors import LayerError, ModelError
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.locate.detector import Detector
from openvino_xai.locate.located import Where


def network() -> tuple[Net, list[str]]:
    net = Net(1)
    return net, fpn(net, backbone(net))


def rows_first(net: Net, x: str, channels: int) -> str:
    """[B, cells, channels] of a map."""
    _, height, width = net.shapes[x]
    return net.moved(net.flat(x, channels, height * width), 0, 2, 1)


def joined(net: Net, levels: list[str], channels: int, of_level: Callable[[str], str]) -> str:
    """What `of_level` makes of each level, [B, A, channels]."""
    return net.node("Concat", *[rows_first(net, of_level(x), channels) for x in levels], axis=1)


def count(net: Net, levels: list[str]) -> int:
    return sum(height * width for height, width in grids(net, levels))


def centred(net: Net, x: str) -> str:
    """Classes times a centerness, under a square root, as torchvision's FCOS."""
    parts = [net.like(y, "Sigmoid", y) for y in (net.conv(x, CLASSES), net.conv(x, 1))]
    return net.like(parts[0], "Sqrt", net.node("Mul", *parts))


def scaled(net: Net, x: str) -> str:
    """Classes of a convolution times a constant, as YOLOv7's implicit knowledge."""
    y = net.conv(x, CLASSES)
    factor = net.weight(np.array([0.5, 2.0, 1.5], np.float32).reshape(1, -1, 1, 1))
    return net.like(y, "Sigmoid", net.node("Mul", y, factor))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("of_level", [centred, scaled])
@pytest.mark.slow
def test_scores_are_multiplied(of_level: Callable[[Net, str], str], dialect: str) -> None:
    net, levels = network()
    scores = joined(net, levels, CLASSES, lambda x: of_level(net, x))
    net.node("Identity", scores, name="scores")
    truth = Truth(grids(net, levels), objectness=(lambda anchor: 0) if of_level is centred else None)
    hold(located(net.model({"scores": (count(net, levels), CLASSES)}), dialect), truth)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize("first", [0, 1])
def test_a_softmax_is_among_all_classes_where_one_is_cut_off(first: int, best: bool, dialect: str) -> None:
    net, levels = network()
    p = net.node("Softmax", joined(net, levels, CLASSES + 1, lambda x: net.conv(x, CLASSES + 1)), axis=2)
    cut = [net.weight([value]) for value in (first, CLASSES + first, 2)]
    if best:
        net.node("ReduceMax", net.node("Slice", p, *cut), axes=[2], keepdims=0, name="scores")
    else:
        net.node("Slice", p, *cut, name="scores")
    detector = located(net.model({"scores": (count(net, levels), *([] if best else [CLASSES]))}), dialect)
    # classes are those of the output, and the one that was cut off is the last
    channel = lambda anchor, label: (label + first) % (CLASSES + 1)  # noqa: E731
    hold(detector, Truth(grids(net, levels), classes=CLASSES + 1, channel=channel, squash="softmax", background=CLASSES))
    assert detector.rows.returned is None
    assert detector.rows.unlisted is None


def test_a_softmax_without_two_of_its_classes_is_refused() -> None:
    net, levels = network()
    p = net.node("Softmax", joined(net, levels, CLASSES + 2, lambda x: net.conv(x, CLASSES + 2)), axis=2)
    objects = net.node("Slice", p, *[net.weight([value]) for value in (2, CLASSES + 2, 2)])
    net.node("ReduceMax", objects, axes=[2], keepdims=0, name="scores")
    with pytest.raises(ModelError, match=f"its softmax is among {CLASSES + 2} classes, and {CLASSES} of them are in it"):
        located(net.model({"scores": (count(net, levels),)}))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_rows_are_those_ahead_of_a_suppression(dialect: str) -> None:
    net, levels = network()
    scores = net.node("Sigmoid", joined(net, levels, CLASSES, lambda x: net.conv(x, CLASSES)))
    boxes = joined(net, levels, 4, lambda x: net.conv(x, 4))
    by_class = net.moved(scores, 0, 2, 1)
    picks = net.node("NonMaxSuppression", boxes, by_class, net.weight([5]), net.weight(0.5))
    net.node("GatherND", by_class, net.node("Slice", picks, *[net.weight([value]) for value in (0, 3, 1)]), name="scores")
    hold(located(net.model({"scores": ()}), dialect), Truth(grids(net, levels)))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["Mul", "Where"])
def test_rows_are_those_ahead_of_a_mask_that_leaves_peaks(kind: str, dialect: str) -> None:
    net, levels = network()
    scores = net.like(levels[0], "Sigmoid", net.conv(levels[0], CLASSES))
    is_peak = net.node("Equal", scores, net.pool(scores, 3))
    if kind == "Mul":
        peaks = net.node("Mul", scores, net.node("Cast", is_peak, to=1))
    else:
        peaks = net.node("Where", is_peak, scores, net.weight(0.0))
    best = net.node("TopK", net.flat(peaks, -1), net.weight([5]), axis=1)
    net.nodes[-1].output.append("where")
    net.node("Identity", best, name="scores")
    hold(located(net.model({"scores": (5,)}), dialect), Truth(grids(net, levels)[:1]))


def three_outputs(third: str, *, squash: bool, classes: int = CLASSES) -> onnx.ModelProto:
    """Scores, boxes and one number more of each row, in outputs of their own: each of all levels."""
    net, levels = network()
    for name, channels in (("scores", classes), ("boxes", 4), (third, 1)):
        raw = joined(net, levels, channels, lambda x, channels=channels: net.conv(x, channels))
        net.node("Sigmoid" if squash and name != "boxes" else "Identity", raw, name=name)
    rows = count(net, levels)
    return net.model({"scores": (rows, classes), "boxes": (rows, 4), third: (rows, 1)})


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("squash", "classes"), [(True, CLASSES), (False, CLASSES), (True, 1)])
def test_an_objectness_in_an_output_of_its_own_is_joined(squash: bool, classes: int, dialect: str) -> None:
    detector = located(three_outputs("obj", squash=squash, classes=classes), dialect)
    rows = detector.rows
    assert (rows.name, [factor.squash for factor in rows.factors]) == ("scores,obj", ["sigmoid" if squash else "logit"] * 2)
    net, levels = network()
    if squash:
        truth = Truth(grids(net, levels), classes=classes, objectness=lambda anchor: 0, scores=("scores", "obj"))
        hold(detector, truth)
    image = np.random.default_rng(0).random((1, *net.image)).astype(np.float32)
    outputs = detector.deployed.compile()({"image": image})
    parts = [outputs[name] if squash else 1 / (1 + np.exp(-outputs[name])) for name in ("scores", "obj")]
    p = rows.probabilities(numpy_namespace(), [outputs["scores"], outputs["obj"]])
    np.testing.assert_allclose(p, parts[0] * parts[1], atol=1e-6)


@pytest.mark.slow
def test_an_objectness_of_each_level_is_joined_to_its_level() -> None:
    net, levels = network()
    outputs: dict[str, tuple[int | str, ...]] = {}
    for index, (x, grid) in enumerate(zip(levels, grids(net, levels), strict=True)):
        for name, channels in (("ctr", 1), ("cls", CLASSES), ("reg", 4)):
            net.node("Identity", net.conv(x, channels), name=f"{name}{index}")
            outputs[f"{name}{index}"] = (channels, *grid)
    rows = located(net.model(dict(sorted(outputs.items(), reverse=True)))).rows
    assert rows.name == "cls2,cls1,cls0,ctr2,ctr1,ctr0"
    first, second = rows.factors
    assert [head.place.grid for head in first.heads if head.place] == [head.place.grid for head in second.heads if head.place]
    assert (first.level == second.level).all()


@pytest.mark.slow
def test_one_number_more_that_nothing_tells_of_is_refused_until_scores_are_named() -> None:
    model = three_outputs("angle", squash=False)
    with pytest.raises(ModelError, match="'angle' may hold an objectness of each row, or something else"):
        located(model)
    for names, factors in (("scores", 1), ("scores,angle", 2)):
        detector = Detector.of(open_model(model), Where.parse(None, scores=names, image_input=None))
        assert len(detector.rows.factors) == factors
    with pytest.raises(ModelError, match="'scores' and 'quality' hold a score each of the same rows"):
        located(three_outputs("quality", squash=True, classes=1))


def test_raw_maps_of_boxes_and_scores_together_are_refused() -> None:
    net, levels = network()
    for index, x in enumerate(levels):
        net.node("Identity", net.conv(x, 5 + CLASSES), name=f"p{index}")
    outputs = {f"p{i}": (5 + CLASSES, *grid) for i, grid in enumerate(grids(net, levels))}
    with pytest.raises(ModelError, match="which are scores is not told"):
        located(net.model(outputs))


def test_what_squashes_scores_and_boxes_in_one_is_refused_by_name() -> None:
    image = opset.parameter([1, 3, 32, 32], np.float32, name="image")
    weights = opset.constant(np.ones((3 * (5 + CLASSES), 3, 8, 8), np.float32))
    head = opset.convolution(image, weights, [8, 8], [0, 0], [0, 0], [1, 1])
    region = opset.region_yolo(head, 4, CLASSES, 3, False, [0, 1, 2], 1, 3, [10.0, 14, 23, 27, 37, 58])
    region.set_friendly_name("yolo")
    with pytest.raises(ModelError, match=r"'yolo' \(RegionYolo\) squashes scores and boxes in one"):
        Detector.of(open_model(ov.Model([region], [image], "yolo")), Where.parse(None, scores=None, image_input=None))


def test_queries_are_found_with_what_their_decoder_reads() -> None:
    net, levels = network()
    tokens = joined(net, levels, 6, lambda x: net.conv(x, 6))
    mixed = net.node("MatMul", net.node("Softmax", net.random(1, 7, count(net, levels)), axis=2), tokens)
    net.node("MatMul", mixed, net.random(6, CLASSES), name="logits")
    net.node("Sigmoid", net.node("MatMul", mixed, net.random(6, 4)), name="pred_boxes")
    detector = located(net.model({"pred_boxes": (7, 4), "logits": (7, CLASSES)}))
    assert (detector.rows.name, detector.rows.count, detector.rows.classes) == ("logits", 7, CLASSES)
    assert {cut: layer.name for cut, layer in detector.sets.items()} == {"backbone": "c3,c4,t5", "heads": "p3,p4,p5"}


def test_queries_of_what_has_no_cells_are_refused_by_name() -> None:
    net = Net("B")
    mixed = net.node("Reshape", "image", net.weight([0, 8, 576]))
    net.node("MatMul", mixed, net.random(576, CLASSES), name="logits")
    net.node("Sigmoid", net.node("MatMul", mixed, net.random(576, 4)), name="pred_boxes")
    detector = located(net.model({"pred_boxes": (8, 4), "logits": (8, CLASSES)}))
    with pytest.raises(LayerError, match="queries, .* no cells that can be followed: head 'logits'.*the probe d_rise"):
        detector.at("backbone")

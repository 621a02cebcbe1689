"""Hooks in detectors of queries: maps are those of the definition, and a query that is not followed is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from detectors import SLOW, Slow
from tiny import in_dialect, in_turn
from tiny_detectors import CASES as CELLS
from tiny_queries import CASES, CLASSES, QUERIES, TinyQueries

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import InputError, PlanError, VerificationError
from openvino_xai.graph.trace import Trace
from openvino_xai.operations.families import sampling
from openvino_xai.tail.rows import queries

ROWS, LABELS = np.array([[0, 3, 4], [2, 4, 1]]), np.array([[0, 2, 1], [1, 1, 0]])


@dataclass(frozen=True)
class Inserted:
    """A hook that runs."""

    network: Any
    record: Mapping[str, str]


@cache
def tiny(name: str, batch: int | str = "B") -> TinyQueries:
    return CASES[name](batch)


@cache
def inserted(name: str, dialect: str, targets: str, cut: str = "backbone", method: str = "layer_cam") -> Inserted:
    model, score = in_dialect(tiny(name).model, dialect), tiny(name).score
    hooked = xai.insert(model, targets=targets, cut=cut, method=method, scale="none", score=score)
    return Inserted(hooked.deployed.compile(), hooked.record)


def images(count: int = 2) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 1, (count, 3, 32, 48)).astype(np.float32)


@cache
def slow(name: str, cut: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The features of the layers and the slopes of the rows, as maps, by finite differences in f64."""
    truth = tiny(name).truth
    oracle, count = Slow(tiny(name), (*getattr(truth, cut), *truth.beside)), len(getattr(truth, cut))  # type: ignore[arg-type]
    pairs = list(zip(oracle.features(images()), oracle.gradients(images(), ROWS, LABELS), strict=True))[:count]
    laid = [(truth.maps(layer, feature), truth.maps(layer, slope)) for layer, (feature, slope) in enumerate(pairs)]
    return [feature for feature, _ in laid], [slope for _, slope in laid]


def hold(maps: np.ndarray, wanted: np.ndarray) -> None:
    """Each map to its definition, by a share of its own largest value."""
    peak = np.maximum(np.abs(wanted).max(axis=(2, 3), keepdims=True), 1e-9)
    np.testing.assert_allclose(maps / peak, wanted / peak, atol=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cut", "dialect"),
    [
        ("detr", "backbone", "openvino"),
        ("yolos", "heads", "onnx"),
        ("rt-detr", "backbone", "onnx"),
        ("rt-detr", "heads", "openvino"),
    ],
)
def test_maps_are_those_of_the_definition(name: str, cut: str, dialect: str) -> None:
    for method, definition in SLOW.items():
        hooked = inserted(name, dialect, "asked:3", cut, method)
        assert hooked.record["layer"] == ",".join(getattr(tiny(name).truth, cut))
        outputs = hooked.network({"image": images(), "explain_index": ROWS, "explain_class": LABELS})
        hold(outputs["saliency_map"], definition(*slow(name, cut)))


@pytest.mark.slow
def test_what_the_decoder_reads_may_be_tokens() -> None:
    outputs = inserted("detr", "onnx", "asked:3", "heads").network(
        {"image": images(), "explain_index": ROWS, "explain_class": LABELS}
    )
    hold(outputs["saliency_map"], SLOW["layer_cam"](*slow("detr", "heads")))


def probabilities(name: str, plain: Mapping[str, np.ndarray]) -> np.ndarray:
    """[B, A, C], without what is none."""
    (x,) = (plain[key] for key in tiny(name).truth.values)
    if tiny(name).truth.squashed:
        return x
    shares = np.exp(x) / np.exp(x).sum(axis=2, keepdims=True)
    return shares[..., :CLASSES]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dialect"), in_turn(CASES))
def test_the_best_queries_come_with_their_boxes_and_nothing_is_suppressed(name: str, dialect: str) -> None:
    model, pictures = in_dialect(tiny(name).model, dialect), images(3)
    hooked, plain = inserted(name, dialect, f"boxes:{QUERIES + 2}").network, open_model(model).compile()({"image": pictures})
    outputs = hooked({"image": pictures})
    for key, array in plain.items():
        np.testing.assert_array_equal(outputs[key], array)
    p, (x, y, w, h) = probabilities(name, plain), np.moveaxis(plain["pred_boxes"], 2, 0)
    corners = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=2) * [48, 32, 48, 32]
    order = np.argsort(-p.max(axis=2), axis=1)
    np.testing.assert_array_equal(outputs["saliency_index"][:, :QUERIES], order)
    np.testing.assert_array_equal(outputs["saliency_class"][:, :QUERIES], np.take_along_axis(p.argmax(axis=2), order, axis=1))
    np.testing.assert_allclose(outputs["saliency_score"][:, :QUERIES], -np.sort(-p.max(axis=2)), atol=1e-5)
    wanted = np.take_along_axis(corners, order[:, :, None], axis=1)
    np.testing.assert_allclose(outputs["saliency_box"][:, :QUERIES], wanted, atol=1e-3)
    assert (outputs["saliency_index"][:, QUERIES:] == -1).all()
    assert not outputs["saliency_map"][:, QUERIES:].any()
    for i in range(3):
        alone = hooked({"image": pictures[i : i + 1]})
        for key in ("saliency_map", "saliency_index", "saliency_class", "saliency_box", "saliency_score"):
            np.testing.assert_allclose(alone[key][0], outputs[key][i], atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "dialect"), in_turn([1, 3]))
def test_a_batch_that_is_written_down(batch: int, dialect: str) -> None:
    hooked = xai.insert(in_dialect(tiny("rt-detr", batch).model, dialect), targets="asked:3", scale="none")
    rows, labels, pictures = (np.resize(array, (batch, *array.shape[1:])) for array in (ROWS, LABELS, images()))
    outputs = hooked.deployed.compile()({"image": pictures, "explain_index": rows, "explain_class": labels})
    hold(outputs["saliency_map"], SLOW["layer_cam"](*slow("rt-detr", "backbone"))[np.arange(batch) % 2])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dialect"), in_turn(CASES))
def test_a_gate_leaves_images_out(name: str, dialect: str) -> None:
    model, score = in_dialect(tiny(name).model, dialect), tiny(name).score
    plain = inserted(name, dialect, "boxes:2").network({"image": images()})
    hooked = xai.insert(model, targets="boxes:2", scale="none", score=score, gate=True).deployed.compile()
    outputs = hooked({"image": images(), "explain": np.array([False, True])})
    assert not outputs["saliency_map"][0].any()
    np.testing.assert_allclose(outputs["saliency_map"][1], plain["saliency_map"][1], atol=1e-4, rtol=1e-3)


# ---- faults ----------------------------------------------------------------------------------------------------------------


def wrong_places(monkeypatch: pytest.MonkeyPatch) -> None:
    real = sampling._by_places
    monkeypatch.setattr(sampling, "_by_places", lambda xp, *rest: xp.multiply(real(xp, *rest), 1.5))


def wrong_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    real = sampling._by_elements
    monkeypatch.setattr(sampling, "_by_elements", lambda xp, *rest: xp.multiply(real(xp, *rest), 0.5))


def another_query(monkeypatch: pytest.MonkeyPatch) -> None:
    real = queries.QuerySeeds.seed_of_rows

    def seed(self: queries.QuerySeeds, xp: Trace, rows: Any, dtype: Any) -> Any:
        return xp.take(real(self, xp, rows, dtype), np.arange(QUERIES)[::-1].copy(), axis=1)

    monkeypatch.setattr(queries.QuerySeeds, "seed_of_rows", seed)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "dialect"), in_turn([wrong_places, wrong_elements, another_query]))
def test_a_fault_on_the_way_back_is_refused(fault: Any, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = in_dialect(tiny("rt-detr").model, dialect)
    fault(monkeypatch)
    with pytest.raises(VerificationError, match="slope"):
        xai.insert(model, targets="asked:3")


@pytest.mark.slow
def test_what_is_picked_is_held_and_what_is_made_of_it_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks are held alone: were all that follows from them held, a gradient that ends at the picks would pass."""
    table = dict(queries.operation_of.__globals__["OPERATIONS"])
    from dataclasses import replace

    cut_off = replace(table["gather_elements"], adjoint=lambda at, index, g: at.xp.multiply(
        table["gather_elements"].adjoint(at, index, g), 0.0))  # fmt: skip
    monkeypatch.setitem(queries.operation_of.__globals__["OPERATIONS"], "gather_elements", cut_off)
    with pytest.raises(VerificationError, match="slope"):
        xai.insert(tiny("rt-detr").model, targets="asked:3")


# ---- what is not explained -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("options", "why"), [
    ({"method": "reciprocam"}, r"'scores' are queries, which see all cells: each of \d+ x \d+ masks .* [1-9]\d* times .*layer"),
    ({"method": "class_map"}, "'scores' are queries, which have no cells: layer_cam and hires_cam"),
])  # fmt: skip
def test_methods_of_cells_are_refused(options: dict[str, str], why: str) -> None:
    with pytest.raises(PlanError, match=why):
        xai.insert(tiny("rt-detr").model, verify=False, **options)


@pytest.mark.slow
@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
def test_a_score_is_for_logits_of_queries_alone(score: str) -> None:
    for model in (tiny("rt-detr").model, CELLS["two outputs"]("B").model):
        with pytest.raises(InputError, match=f"score is '{score}', which says nothing of a detector's rows"):
            xai.insert(model, targets="boxes:2", score=score)
    with pytest.raises(InputError, match="score is 'logit', which makes no probabilities of the logits of 4 classes"):
        xai.insert(tiny("detr").model, score="logit")


def with_none(model: onnx.ModelProto, bias: float) -> onnx.ModelProto:
    """The model with a bias for its last class."""
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    node = next(node for node in changed.graph.node if node.output[0] == "logits")
    tensor = next(tensor for tensor in changed.graph.initializer if tensor.name == node.input[1])
    array = onnx.numpy_helper.to_array(tensor).copy()
    array[-1] += bias
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    return changed


@pytest.mark.slow
@pytest.mark.parametrize(("bias", "score", "background"), [(8.0, "softmax", CLASSES), (-8.0, "sigmoid", None)])
def test_a_last_class_that_most_queries_are_of_is_none(bias: float, score: str, background: int | None) -> None:
    from openvino_xai.locate.detector import Detector
    from openvino_xai.locate.located import Where

    rows = Detector.of(open_model(with_none(tiny("detr").model, bias)), Where()).rows
    assert (rows.score, rows.background) == (score, background)


def test_layers_lists_what_the_backbone_makes_and_what_the_decoder_reads() -> None:
    names = [layer.name for layer in xai.layers(tiny("rt-detr").model)]
    assert names == ["c4,c5", "n4,n5"]
    assert [layer.name for layer in xai.layers(tiny("yolos").model)] == ["tokens1"]

"""Hooks in detectors: their maps are those of the definition, row by row, and the model's own outputs stay to the bit."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from detectors import SLOW, Slow
from tiny import DIALECTS, in_dialect, in_turn
from tiny_detectors import CASES, Tiny

import openvino_xai as xai

ROWS = 8  # rows of an image, of every level, in corners and in the middle


@cache
def tiny(name: str, batch: int | str = "B") -> Tiny:
    return CASES[name](batch)


def images(name: str, batch: int = 2) -> np.ndarray:
    sizes = [dim.dim_value for dim in tiny(name).model.graph.input[0].type.tensor_type.shape.dim][1:]
    return np.random.default_rng(5).normal(0, 1, (batch, *sizes)).astype(np.float32)


@cache
def among_all(name: str) -> np.ndarray | None:
    """[2, N]: which of all rows each is that the model returns; None where it returns all."""
    return Slow(tiny(name), ()).returned(images(name))


def of_all(name: str, rows: np.ndarray) -> np.ndarray:
    """Which of all rows those are that stand at an index of the model's own output."""
    returned = among_all(name)
    return rows if returned is None else np.take_along_axis(returned, rows, axis=1)


@cache
def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows [2, ROWS] and their classes: the first and the last of each level, and others; of those that the model returns."""
    truth, rng = tiny(name).truth, np.random.default_rng(6)
    if (returned := among_all(name)) is not None:
        shape = (2, ROWS)
        return rng.integers(0, returned.shape[1], shape), rng.integers(0, truth.classes, shape)
    table = np.array([level for level, *_ in truth.rows()])
    ends = [edge for level in np.unique(table) for edge in (np.flatnonzero(table == level)[[0, -1]])]
    rows = np.array([[*ends, *rng.integers(0, len(table), ROWS - len(ends))] for _ in range(2)])
    return rows, rng.integers(0, truth.classes, rows.shape)


@cache
def slow(name: str, cut: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The features of the layers, and the slopes of the rows that are asked for."""
    rows, labels = rows_of(name)
    oracle = Slow(tiny(name), getattr(tiny(name).truth, cut))
    return oracle.features(images(name)), oracle.gradients(images(name), of_all(name, rows), labels)


def expected(name: str, cut: str, method: str) -> np.ndarray:
    return SLOW[method](*slow(name, cut))


def hold(maps: np.ndarray, wanted: np.ndarray) -> None:
    """Each map to its definition, by a share of its own largest value."""
    peak = np.abs(wanted).max(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(maps / np.maximum(peak, 1e-6), wanted / np.maximum(peak, 1e-6), atol=2e-4)


def unit(maps: np.ndarray) -> np.ndarray:
    low, high = maps.min(axis=(2, 3), keepdims=True), maps.max(axis=(2, 3), keepdims=True)
    return np.asarray((maps - low) / np.where(high > low, high - low, 1))


def run(hooked: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return hooked.deployed.compile()(inputs)


@pytest.mark.slow
@pytest.mark.parametrize(("cut", "dialect"), [("backbone", "onnx"), ("heads", "openvino")])
@pytest.mark.parametrize("name", CASES)
def test_maps_are_those_of_the_definition(name: str, cut: str, dialect: str) -> None:
    model = in_dialect(tiny(name).model, dialect)
    rows, labels = rows_of(name)
    inputs = {"image": images(name), "explain_index": rows, "explain_class": labels}
    for method in SLOW:
        hooked = xai.insert(model, targets=f"asked:{ROWS}", cut=cut, method=method, scale="none", verify=False)
        assert hooked.record["layer"] == ",".join(getattr(tiny(name).truth, cut))
        hold(run(hooked, inputs)["saliency_map"], expected(name, cut, method))


CHOSEN = ["one convolution a level", "priors with a background", "outputs by level", "end to end"]  # of several sorts of rows


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dialect"), in_turn(CHOSEN))
def test_boxes_come_with_the_maps_of_their_rows(name: str, dialect: str) -> None:
    model, inputs = in_dialect(tiny(name).model, dialect), {"image": images(name)}
    plain = xai.insert(model, targets="asked:4", verify=False)
    hooked = xai.insert(model, targets="boxes:4", scale="none")
    outputs = run(hooked, inputs)
    rows, labels = outputs["saliency_index"], outputs["saliency_class"]
    assert (rows >= 0).all()
    assert (np.diff(outputs["saliency_score"], axis=1) <= 0).all()
    if tiny(name).truth.background is not None:
        assert (labels != tiny(name).truth.background).all()
    asked_for = run(plain, {**inputs, "explain_index": rows, "explain_class": labels})["saliency_map"]
    np.testing.assert_allclose(unit(outputs["saliency_map"]), asked_for, atol=1e-4)
    oracle = Slow(tiny(name), tiny(name).truth.backbone)
    wanted = SLOW["layer_cam"](oracle.features(inputs["image"]), oracle.gradients(inputs["image"], of_all(name, rows), labels))
    hold(outputs["saliency_map"], wanted)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dialect"), in_turn(["two outputs", "best rows"]))
def test_the_models_outputs_stay_to_the_bit(name: str, dialect: str) -> None:
    from openvino_xai.dialects.open import open_model

    model = in_dialect(tiny(name).model, dialect)
    plain = open_model(model).compile()
    for targets in ("boxes:4", "asked:2"):
        network = xai.insert(model, targets=targets).deployed.compile()
        for count in (1, 2, 5):
            inputs = {"image": images(name, count)}
            more = (
                {}
                if targets == "boxes:4"
                else dict.fromkeys(("explain_index", "explain_class"), np.zeros((count, 2), np.int64))
            )
            outputs = network({**inputs, **more})
            for key, array in plain(inputs).items():
                np.testing.assert_array_equal(outputs[key], array)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_that_is_written_down(batch: int) -> None:
    name = "one convolution a level"
    hooked = xai.insert(tiny(name, batch).model, targets=f"asked:{ROWS}", scale="none")
    rows, labels = (np.resize(array, (batch, ROWS)) for array in rows_of(name))
    pictures = np.resize(images(name), (batch, *images(name).shape[1:]))
    maps = run(hooked, {"image": pictures, "explain_index": rows, "explain_class": labels})["saliency_map"]
    wanted = expected(name, "backbone", "layer_cam")
    hold(maps, wanted[np.arange(batch) % 2])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_image_is_explained_as_if_alone(dialect: str) -> None:
    name = "what networks are made of"
    network = xai.insert(in_dialect(tiny(name).model, dialect), targets="boxes:3").deployed.compile()
    pictures = images(name, 3)
    together = network({"image": pictures})
    for i in range(3):
        alone = network({"image": pictures[i : i + 1]})
        for key in ("saliency_map", "saliency_index", "saliency_class", "saliency_box", "saliency_score"):
            np.testing.assert_allclose(alone[key][0], together[key][i], atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_where_there_are_fewer_boxes_the_rest_is_empty(dialect: str) -> None:
    name = "a level of one cell"
    outputs = run(xai.insert(in_dialect(tiny(name).model, dialect), targets="boxes:40"), {"image": images(name)})
    empty = outputs["saliency_index"] == -1
    assert empty[:, 21:].all() and not empty[:, 0].any()
    for key, content in (("saliency_class", -1), ("saliency_box", 0), ("saliency_score", 0), ("saliency_map", 0)):
        assert (outputs[key][empty] == content).all(), key
    assert outputs["saliency_map"].shape == (2, 40, 4, 4)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("scale", ["unit", "u8"])
def test_maps_are_scaled_one_by_one(scale: str, dialect: str) -> None:
    name = "one level"
    rows, labels = rows_of(name)
    hooked = xai.insert(in_dialect(tiny(name).model, dialect), targets=f"asked:{ROWS}", scale=scale)
    maps = run(hooked, {"image": images(name), "explain_index": rows, "explain_class": labels})["saliency_map"]
    wanted = unit(expected(name, "backbone", "layer_cam"))
    if scale == "u8":
        assert maps.dtype == np.uint8
        np.testing.assert_allclose(maps, 255 * wanted, atol=1)
    else:
        np.testing.assert_allclose(maps, wanted, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["boxes:2", "asked:2"])
def test_a_gate_leaves_images_out(targets: str, dialect: str) -> None:
    name = "separate heads"
    model = in_dialect(tiny(name).model, dialect)
    inputs = {"image": images(name)}
    if targets == "asked:2":
        inputs |= {"explain_index": rows_of(name)[0][:, :2], "explain_class": rows_of(name)[1][:, :2]}
    plain = run(xai.insert(model, targets=targets), inputs)
    network = xai.insert(model, targets=targets, gate=True).deployed.compile()
    outputs = network({**inputs, "explain": np.array([False, True])})
    for key, array in plain.items():
        if key.startswith("saliency"):
            assert (outputs[key][0] == (-1 if key in ("saliency_index", "saliency_class") else 0)).all(), key
            np.testing.assert_allclose(outputs[key][1], array[1], atol=1e-4, rtol=1e-4)
        else:
            np.testing.assert_array_equal(outputs[key], array)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dialect"), in_turn(["separate heads", "end to end"]))
def test_what_is_not_there_has_a_map_of_zeros(name: str, dialect: str) -> None:
    model = in_dialect(tiny(name).model, dialect)
    network = xai.insert(model, targets="asked:5", verify=False).deployed.compile()
    rows = np.array([[0, -1, 10**12, 0, 0], [0, 0, 0, 10**6, 1]])
    labels = np.array([[0, 0, 0, -1, 1], [3, 1, 0, 0, -(10**12)]])
    maps = network({"image": images(name), "explain_index": rows, "explain_class": labels})["saliency_map"]
    assert maps.any(axis=(2, 3)).tolist() == [[True, False, False, False, True], [False, True, True, False, False]]
    alone = network({"image": images(name), "explain_index": 0 * rows, "explain_class": np.tile([0, 1, 0, 0, 0], (2, 1))})
    np.testing.assert_allclose(maps[0, 0], alone["saliency_map"][0, 0], atol=1e-6)
    np.testing.assert_allclose(maps[1, 1], alone["saliency_map"][1, 1], atol=1e-6)

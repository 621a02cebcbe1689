"""Values computed from constants alone: integers without a runtime, floats as the runtime computes them."""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as opset
import pytest

from openvino_xai.dialects.openvino import OpenVINOModel, run


def made_of(constants: ov.Node) -> OpenVINOModel:
    """A model that adds to its input what is computed from constants."""
    image = opset.parameter([2], constants.get_element_type(), "image")
    return OpenVINOModel(ov.Model([opset.add(image, constants)], [image], "model"))


def test_integers_that_are_made_of_constants_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = opset.shape_of(opset.constant(np.zeros((3, 5))), "i64")
    graph = made_of(opset.add(sizes, opset.constant(np.array([1, 2])))).graph
    monkeypatch.setattr(run, "core", None)
    (added,) = [node for node in graph.nodes if node.kind == "add" and graph.is_constant(node.outputs[0])]
    content = graph.constant(added.outputs[0])
    assert content is not None
    assert content.dtype == np.int64
    assert content.tolist() == [4, 7]


def test_floats_that_are_made_of_constants_are_what_the_runtime_makes_of_them() -> None:
    graph = made_of(opset.exp(opset.constant(np.array([0, 1], np.float32)))).graph
    (exp,) = [node for node in graph.nodes if graph.is_constant(node.outputs[0])]
    np.testing.assert_allclose(graph.constant(exp.outputs[0]), [1, np.e], rtol=1e-6)


def test_a_table_that_is_resized_is_fed_and_is_what_openvino_folds() -> None:
    """As positions of tokens are fitted to the photo: the file keeps its constants."""
    table = opset.constant(np.random.default_rng(0).normal(0, 1, (1, 4, 3, 3)).astype(np.float32))
    larger = opset.interpolate(table, np.array([6, 8]), "cubic", "sizes", axes=np.array([2, 3]))
    image = opset.parameter([1, 4, 6, 8], np.float32, "image")
    model = ov.Model([opset.add(image, larger)], [image], "model")
    graph = OpenVINOModel(model).graph
    (resized,) = [node for node in graph.nodes if node.kind == "resize"]
    values = graph.constant(resized.outputs[0])
    assert values is not None
    expected = next(iter(ov.compile_model(model, "CPU")(np.zeros((1, 4, 6, 8), np.float32)).values()))
    np.testing.assert_allclose(values, expected, atol=1e-6)
    fed, tables = run._fed(ov.Model([larger], [], "constant"))
    assert len(fed.inputs) == len(tables) == 1 and table.output(0).get_target_inputs()


def test_what_is_known_of_operands_is_not_computed_again() -> None:
    doubled = opset.multiply(opset.exp(opset.constant(np.array([0, 1], np.float32))), np.array(2, np.float32))
    graph = made_of(doubled).graph
    exp, multiply = (node for node in graph.nodes if graph.is_constant(node.outputs[0]))
    exp.outputs[0].data = np.array([3, 5], np.float32)
    np.testing.assert_array_equal(graph.constant(multiply.outputs[0]), [6, 10])

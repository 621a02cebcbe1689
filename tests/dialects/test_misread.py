"""Files that a runtime reads otherwise than onnx_ir does, or that would end in a foreign error: refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest
from tiny import CASES, HEAD, LINEAR, STEM, tiny

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import LayerError, ModelError, OvxaiError
from openvino_xai.operations.integers import is_fixed, symbolic_content
from openvino_xai.operations.table import OPERATIONS


def attribute_twice(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("pads", [0, 0, 0, 0]))


def initializer_twice(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def output_twice(model: onnx.ModelProto) -> None:
    model.graph.output.append(model.graph.output[0])


def typed_twice(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].uint64_data.extend([1, 2])


def constant_of_nothing(model: onnx.ModelProto) -> None:
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["none"]))


def constant_twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["two"], value_int=1, value_float=2.0))


def constant_that_is_none(model: onnx.ModelProto) -> None:
    constant_of_nothing(model)
    weights = onnx.TensorProto(name="w", data_type=1, dims=[2**40])
    model.graph.node[-1].attribute.append(onnx.helper.make_attribute("value", weights))


def branch(name: str, outputs: int) -> onnx.GraphProto:
    names = [f"{name}{i}" for i in range(outputs)]
    nodes = [onnx.helper.make_node("Identity", ["f"], [item]) for item in names]
    return onnx.helper.make_graph(nodes, name, [], [onnx.helper.make_tensor_value_info(item, 1, None) for item in names])


def conditional(model: onnx.ModelProto, **branches: onnx.GraphProto) -> None:
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.insert(2, onnx.helper.make_node("If", ["yes"], ["g"], **branches))
    model.graph.node[3].input[0] = "g"


def branch_missing(model: onnx.ModelProto) -> None:
    conditional(model, then_branch=branch("a", 1))


def branch_of_another_size(model: onnx.ModelProto) -> None:
    conditional(model, then_branch=branch("a", 2), else_branch=branch("b", 1))


def called(model: onnx.ModelProto, *nodes: onnx.NodeProto, version: int = 17, name: str = "Ours") -> None:
    opsets = [onnx.helper.make_opsetid("", version), onnx.helper.make_opsetid("ours", 1)]
    model.functions.append(onnx.helper.make_function("ours", name, ["x"], ["y"], nodes, opsets))
    if not any(opset.domain == "ours" for opset in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid("ours", 1))
        model.graph.node[1].CopyFrom(onnx.helper.make_node(name, ["c"], ["f"], domain="ours"))


def function_of_another_opset(model: onnx.ModelProto) -> None:
    called(model, onnx.helper.make_node("Relu", ["x"], ["y"]), version=13)


def functions_that_call_each_other(model: onnx.ModelProto) -> None:
    called(model, onnx.helper.make_node("Other", ["x"], ["y"], domain="ours"))
    called(model, onnx.helper.make_node("Ours", ["x"], ["y"], domain="ours"), name="Other")


def function_that_reads_nothing(model: onnx.ModelProto) -> None:
    called(model, onnx.helper.make_node("Add", ["x", "nowhere"], ["y"]))


MISREAD: dict[Callable[[onnx.ModelProto], None], str] = {
    attribute_twice: "attributes of Conv '' are called 'pads' 2 times",
    initializer_twice: "initializers are called '.*' 2 times",
    output_twice: "outputs are called 'logits' 2 times",
    typed_twice: "does not fit its shape and type",
    constant_of_nothing: "Constant '.*' has no content, or several",
    constant_twice: "Constant '.*' has no content, or several",
    constant_that_is_none: "the content of '.*' does not fit its shape and type",
    branch_missing: "has no else_branch",
    branch_of_another_size: "has no then_branch, or one with other outputs than its own",
    function_of_another_opset: "has functions that cannot be written out: Opset mismatch",
    functions_that_call_each_other: "has functions that cannot be written out: Cyclic dependency",
    function_that_reads_nothing: "function 'Ours' is malformed: .* reads 'nowhere'|cannot read",
}


@pytest.mark.parametrize("change", MISREAD, ids=lambda change: change.__name__)
def test_what_is_misread_is_refused(change: Callable[[onnx.ModelProto], None]) -> None:
    model = CASES["pool and linear"].build("B", 17)
    change(model)
    with pytest.raises(ModelError, match=MISREAD[change]):
        xai.insert(model)


@pytest.mark.slow
def test_constants_of_a_type_that_has_no_numbers(tmp_path: Path) -> None:
    model = ov.Core().read_model(CASES["pool and linear"].build(1, 17).SerializeToString())
    ov.save_model(model, tmp_path / "m.xml", compress_to_fp16=False)
    places = list(re.finditer(r'<data element_type="f32" [^>]*offset', (text := (tmp_path / "m.xml").read_text())))
    assert places
    for place in places:
        changed = text[: place.start()] + place[0].replace('"f32"', '"dynamic"') + text[place.end() :]
        (tmp_path / "m.xml").write_text(changed)
        for method in (None, "grad_cam"):
            with pytest.raises(OvxaiError):
                xai.insert(tmp_path / "m.xml", method=method)


def test_layers_with_more_cells_than_can_be_told_apart() -> None:
    model = tiny("f = Relu(image) " + HEAD.format("f"), image=(4, 2**20, 2**20), w=LINEAR["w"], b=LINEAR["b"])
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    with pytest.raises(LayerError, match="more than can be told apart"):
        xai.insert(model)


@pytest.mark.slow
def test_sizes_that_are_made_of_sizes_again_and_again() -> None:
    """Each node reads the one before it twice, so that 2^500 paths lead to the first: each node may be visited once."""
    names = [f"s{i}" for i in range(500)]
    chain = " ".join(f"{after} = Max({before}, {before})" for before, after in zip(["s", *names], names, strict=False))
    body = STEM + f"s = Shape(image) {chain} " + HEAD.format("f")
    graph = open_model(tiny(body, **LINEAR)).graph
    last = next(node for node in graph.nodes if node.outputs[0].name == names[-1]).outputs[0]
    assert symbolic_content(graph, last) is None
    assert not is_fixed(graph, last)
    assert xai.layers(tiny(body, **LINEAR))


@pytest.mark.parametrize(
    ("target", "expected"),
    [([0, 1], (4, 1)), ([0, -1], (4, 1)), ([2, -1], (2, 2)), ([-1, -1], None), ([0, 3], None), ([-2], None)],
)
def test_reshapes_of_sizes(target: list[int], expected: tuple[int, ...] | None) -> None:
    rule = OPERATIONS["reshape"].integers
    assert rule is not None
    content = rule(None, [np.arange(4, dtype=object), np.array(target, object)])  # type: ignore[arg-type]
    assert (None if content is None else content.shape) == expected

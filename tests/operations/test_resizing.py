"""The matrices of a resize are what runtimes compute, in each form that a dialect has; where they are not, there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np
import onnx
import openvino as ov
import openvino.opset13 as opset
import pytest
from openvino.utils.node_factory import NodeFactory
from tiny import DIALECTS, in_dialect

from openvino_xai.dialects.open import open_model
from openvino_xai.operations.resizing import COORDINATES, ROUNDINGS, repetition, weights_along

SHAPE = (2, 3, 5, 6)
PHOTO = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
EXTENTS: list[tuple[str, tuple[float, float]]] = [
    ("scales", (2, 2)),
    ("scales", (1.5, 0.5)),
    ("scales", (0.5, 3)),
    ("scales", (0.7, 1)),
    ("sizes", (13, 11)),
    ("sizes", (1, 3)),
]
ONLY_ONNX = {"half_pixel_symmetric"}
FORMS = [
    *(("nearest", coordinates, rounding) for coordinates, rounding in product(COORDINATES, ROUNDINGS)),
    *(("linear", coordinates, "floor") for coordinates in COORDINATES),
]

Form = tuple[str, str, str]
Build = Callable[[ov.Output], ov.Node]


def size_after(by: str, numbers: tuple[float, float]) -> list[int]:
    return [int(n * size) if by == "scales" else int(n) for n, size in zip(numbers, SHAPE[2:], strict=True)]


def of_onnx(forms: Iterable[Form], version: int) -> onnx.ModelProto:
    """A model with a resize for each form and each way to tell how far."""
    nodes, constants = [], []
    for index, ((mode, coordinates, rounding), (by, numbers)) in enumerate(product(forms, EXTENTS)):
        lead, dtype = ((1, 1), np.float32) if by == "scales" else (SHAPE[:2], np.int64)
        constants.append(onnx.numpy_helper.from_array(np.array([*lead, *numbers], dtype), f"s{index}"))
        inputs = ["image", "", f"s{index}"] if by == "scales" else ["image", "", "", f"s{index}"]
        how = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
        nodes.append(onnx.helper.make_node("Resize", inputs, [f"y{index}"], **how))
    value = onnx.helper.make_tensor_value_info
    outputs = [value(node.output[0], 1, None) for node in nodes]
    graph = onnx.helper.make_graph(nodes, "resizes", [value("image", 1, SHAPE)], outputs, constants)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", version)], ir_version=8)


def of_openvino(builds: Iterable[Build]) -> ov.Model:
    image = opset.parameter(SHAPE, np.float32, "image")
    image.output(0).get_tensor().set_names({"image"})
    outputs = [build(image.output(0)).output(0) for build in builds]
    for index, output in enumerate(outputs):
        output.get_tensor().set_names({f"y{index}"})
    return ov.Model(outputs, [image])


def interpolations(version: int) -> Iterator[Build]:
    """Every form of OpenVINO's Interpolate-4 or -11."""
    for (mode, coordinates, rounding), (by, numbers) in product(
        [*FORMS, *(("linear_onnx", *form[1:]) for form in FORMS if form[0] == "linear"), ("nearest", "asymmetric", "simple")],
        EXTENTS,
    ):
        if coordinates in ONLY_ONNX:
            continue
        factors = numbers if by == "scales" else [n / size for n, size in zip(numbers, SHAPE[2:], strict=True)]
        tellers = {"sizes": np.array(size_after(by, numbers)), "scales": np.array(factors, np.float32)}
        operands = [*tellers.values(), np.array([2, 3])] if version == 4 else [tellers[by], np.array([2, 3])]
        how = {
            "mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": rounding, "antialias": False,
            "shape_calculation_mode": by, "pads_begin": [0], "pads_end": [0], "cube_coeff": -0.75,
        }  # fmt: skip
        yield lambda x, how=how, operands=operands: NodeFactory(f"opset{version}").create(
            "Interpolate", [x, *(opset.constant(operand).output(0) for operand in operands)], how
        )


def first_interpolations() -> Iterator[Build]:
    """Every form of OpenVINO's Interpolate-1."""
    for mode, corners, (by, numbers) in product(("nearest", "linear"), (False, True), EXTENTS):
        sizes = opset.constant(np.array(size_after(by, numbers))).output(0)
        how = {"axes": [2, 3], "mode": mode, "align_corners": corners, "antialias": False, "pads_begin": [0], "pads_end": [0]}
        yield lambda x, sizes=sizes, how=how: NodeFactory("opset1").create("Interpolate", [x, sizes], how)


def averages() -> Iterator[Build]:
    """Averages over as many windows as there are elements after."""
    for sizes in ([3, 4], [2, 3], [7, 1]):
        yield lambda x, sizes=sizes: opset.adaptive_avg_pool(x, np.array(sizes))


def hold_to_runtime(model: Any) -> int:
    """Asserts that the runtime computes each resize of a model as its matrices say. How many have no matrices."""
    deployed, unknown = open_model(model), 0
    results = deployed.compile()({"image": PHOTO})
    for name, value in deployed.graph.outputs.items():
        node = value.producer
        assert node is not None
        assert node.kind == "resize"
        weights = [weights_along(node, axis) for axis in range(4)]
        if any(matrix is None for matrix in weights):
            unknown += 1
        else:
            expected = np.einsum("bchw,pb,qc,rh,sw->pqrs", PHOTO, *weights, optimize=True)
            assert expected.shape == results[name].shape
            np.testing.assert_allclose(results[name], expected, atol=1e-5, err_msg=str(node.attributes))
    return unknown


@pytest.mark.parametrize("version", [13, 18, 19])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_forms_of_onnx(dialect: str, version: int) -> None:
    """The few without a matrix have elements that lie on a border only as f32 calculates, or only as f64 does."""
    forms = [form for form in FORMS if dialect == "onnx" or form[1] not in ONLY_ONNX]
    assert hold_to_runtime(in_dialect(of_onnx(forms, version), dialect)) <= len(forms) * len(EXTENTS) // 20


@pytest.mark.parametrize(
    "builds", [interpolations(4), interpolations(11), first_interpolations(), averages()], ids=["4", "11", "1", "averages"]
)
@pytest.mark.slow
def test_forms_of_openvino(builds: Iterator[Build]) -> None:
    assert hold_to_runtime(of_openvino(builds)) <= 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_forms_without_a_matrix(dialect: str) -> None:
    model = of_onnx([("cubic", "half_pixel", "floor")], 18)
    assert hold_to_runtime(in_dialect(model, dialect)) == len(EXTENTS)
    model = of_onnx([("linear", "half_pixel", "floor")], 18)
    for node in model.graph.node:
        node.attribute.append(onnx.helper.make_attribute("antialias", 1))
    assert hold_to_runtime(in_dialect(model, dialect)) == len(EXTENTS)


def test_what_only_arithmetic_decides_has_no_matrix() -> None:
    """A third is rounded up as a factor in f32, so that every third element lies on a border, or just before it."""
    model = of_onnx([("nearest", "asymmetric", "floor")], 18)
    for tensor in model.graph.initializer:
        if tensor.name == "s0":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 1, 1, 1 / 3], np.float32), "s0"))
    value = open_model(model).graph.outputs["y0"]
    assert value.producer is not None
    assert weights_along(value.producer, 2) is not None
    assert weights_along(value.producer, 3) is None


def test_open_sizes_have_no_matrix() -> None:
    model = of_onnx([("nearest", "asymmetric", "floor")], 18)
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "W"
    value = open_model(model).graph.outputs["y0"]
    assert value.producer is not None
    assert weights_along(value.producer, 2) is not None
    assert weights_along(value.producer, -1) is None


def test_repetitions() -> None:
    assert repetition(np.repeat(np.eye(3), 2, axis=0)) == 2
    assert repetition(np.tile(np.eye(3), (2, 1))) is None
    assert repetition(np.eye(3)[:2]) is None

"""Kinds of ONNX files: each changes one thing of a well-formed model, which the format allows to be written."""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import Message
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from hostile_models import circle, filled, loop, nested

from hostile_files.traps import BIG, INFO, NAMES, NOT_TEXT, OURS, RECORD, TEXTS, bytes_changed

Change = Callable[[random.Random, ModelProto, list[str]], "ModelProto | bytes | None"]
KINDS: dict[str, Change] = {}
OPS = "Relu Loop If Scan NonMaxSuppression Conv Gemm MatMul Reshape Identity Softmax Transpose Cast Split TopK Résumé".split()


def kind(name: str) -> Callable[[Change], Change]:
    """Register a change under a name: of a model, which may be said to have its weights in some places beside it."""

    def register(change: Change) -> Change:
        KINDS[f"onnx: {name}"] = change
        return change

    return register


def _names(graph: GraphProto) -> list[str]:
    return [output for node in graph.node for output in node.output] + [item.name for item in graph.input]


def _weights(rng: random.Random, graph: GraphProto) -> TensorProto:
    return rng.choice(graph.initializer)


def _feature(graph: GraphProto) -> NodeProto:
    """The node whose output is most often the layer that is hooked."""
    return next(
        (node for node in reversed(graph.node) if node.op_type in ("Relu", "Conv", "Add", "LayerNormalization")), graph.node[0]
    )


def _behind(graph: GraphProto, name: str, new: str, *nodes: NodeProto) -> None:
    """Put nodes behind a value: what read `name` reads `new`."""
    for node in graph.node:
        for index, read in enumerate(node.input):
            if read == name:
                node.input[index] = new
    place = next(i for i, node in enumerate(graph.node) if name in node.output)
    for count, node in enumerate(nodes, start=1):
        graph.node.insert(place + count, node)


# ---- bytes and fields ------------------------------------------------------------------------------------------------------


@kind("bytes")
def _bytes(rng: random.Random, model: ModelProto, places: list[str]) -> bytes:
    return bytes_changed(rng, model.SerializeToString())


@kind("fields")
def _fields(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    """Some field anywhere in the file is something else."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        messages = list(_messages(model, 0))
        message = rng.choice(messages)
        field = rng.choice(message.DESCRIPTOR.fields)
        if field.message_type is not None:
            message.ClearField(field.name)
            continue
        value = {"str": rng.choice([*TEXTS, *_names(model.graph)]), "bytes": rng.randbytes(rng.randrange(40))}.get(
            {9: "str", 12: "bytes"}.get(field.type, ""), rng.choice(BIG)
        )
        if field.type in (1, 2):
            value = rng.choice([0.0, -1.0, float("nan"), float("inf"), 1e-40])
        if field.is_repeated:
            items = getattr(message, field.name)
            if items and rng.random() < 0.7:
                items[rng.randrange(len(items))] = value
            else:
                items.append(value)
        else:
            setattr(message, field.name, value)


def _messages(message: Message, depth: int) -> list[Message]:
    """A message and those inside it."""
    inside = [message]
    for field, value in message.ListFields():
        if field.message_type is not None and depth < 8:
            for item in value if field.is_repeated else [value]:
                inside += _messages(item, depth + 1)
    return inside


@kind("two files in one")
def _two(rng: random.Random, model: ModelProto, places: list[str]) -> bytes:
    data = model.SerializeToString()
    return data + rng.choice([data, model.graph.SerializeToString(), b"\x3a\x00", b"\xfa\x07\x04abcd", rng.randbytes(9)])


@kind("another format")
def _format(rng: random.Random, model: ModelProto, places: list[str]) -> bytes:
    return rng.choice(
        [
            b"",
            b"\x00" * 1000,
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
            b"<?xml version='1.0'?><net/>",
            b"PK\x03\x04" + bytes(50),
            pickle.dumps({"model": 1}),
            b"{}",
            model.graph.SerializeToString(),
            b"\xff" * 300,
            b"\x3a" + b"\xff" * 8 + b"\x7f",
        ]
    )


# ---- attributes ------------------------------------------------------------------------------------------------------------


@kind("attribute twice")
def _twice(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    node = rng.choice([node for node in model.graph.node if node.attribute] or list(model.graph.node))
    if node.attribute:
        copy = node.attribute.add()
        copy.CopyFrom(rng.choice(node.attribute))
        if copy.type == 2:
            copy.i = rng.choice(BIG)
    else:
        node.attribute.extend([helper.make_attribute("axis", 1), helper.make_attribute("axis", rng.choice(BIG))])


@kind("attribute of another type")
def _typed(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    node = rng.choice([node for node in model.graph.node if node.attribute] or list(model.graph.node))
    name = rng.choice(node.attribute).name if node.attribute else rng.choice(["axis", "alpha", "to", "perm"])
    others = [
        1.5,
        7,
        "text",
        b"\xff",
        [1.5],
        [7, -1],
        ["a", "b"],
        numpy_helper.from_array(np.ones((2, 2), np.float32)),
        model.graph,
    ]
    for attribute in list(node.attribute):
        if attribute.name == name:
            node.attribute.remove(attribute)
    entry = helper.make_attribute(name, rng.choice(others))
    if rng.random() < 0.3:
        entry.type = rng.randrange(15)
    node.attribute.append(entry)


@kind("attribute with huge numbers")
def _huge(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    for _ in range(rng.choice([1, 1, 3])):
        node = rng.choice([node for node in model.graph.node if node.attribute] or list(model.graph.node))
        for attribute in node.attribute:
            if attribute.type == 2:
                attribute.i = rng.choice(BIG)
            elif attribute.type == 7:
                attribute.ints[:] = [rng.choice([item, *BIG]) for item in attribute.ints] + [rng.choice(BIG)] * rng.randrange(2)
            elif attribute.type == 1:
                attribute.f = rng.choice([float("nan"), float("inf"), -1e38, 1e-45, 0.0])


@kind("attribute unknown, missing or referred to")
def _unknown(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    node = rng.choice(model.graph.node)
    choice = rng.randrange(3)
    if choice == 0 and node.attribute:
        node.attribute.remove(rng.choice(node.attribute))
    elif choice == 1:
        node.attribute.append(helper.make_attribute(rng.choice([*NAMES, "axis", "auto_pad", "group"]) or "a", rng.choice(BIG)))
    else:
        attribute = node.attribute.add()
        attribute.name, attribute.type, attribute.ref_attr_name = (
            rng.choice(["axis", "alpha", "kernel_shape"]),
            rng.choice([0, 1, 2, 7]),
            "axis",
        )


@kind("auto_pad, pads, strides, groups")
def _conv(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    nodes = [node for node in model.graph.node if node.op_type in ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool")]
    if not nodes:
        return _huge(rng, model, places)
    node = rng.choice(nodes)
    name, value = rng.choice(
        [
            ("auto_pad", rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "SIDEWAYS"])),
            ("group", rng.choice([0, -1, 2, 3, 2**40])),
            ("pads", rng.choice([[1, 1], [0, 0, 2**31, 0], [-1] * 4, [0, 1, 2, 3], [3] * 4])),
            ("strides", rng.choice([[0, 0], [2], [-1, 1], [2, 3], [2**40, 1]])),
            ("dilations", rng.choice([[0, 0], [2, 2], [2**33, 2**33]])),
            ("kernel_shape", rng.choice([[0, 0], [3], [5, 5], [2**31, 2**31], [-3, -3]])),
            ("ceil_mode", rng.choice([0, 1, 7])),
        ]
    )
    for attribute in list(node.attribute):
        if attribute.name == name:
            node.attribute.remove(attribute)
    node.attribute.append(helper.make_attribute(name, value))
    return None


# ---- functions -------------------------------------------------------------------------------------------------------------


@kind("functions")
def _functions(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    node = _feature(model.graph)
    name = node.output[0]
    domain = rng.choice(["local", "local", "", "ai.onnx", rng.choice(NAMES) or "x"])
    op = rng.choice(["Squeezed", "Squeezed", "Relu", "Abs", rng.choice(NAMES) or "y"])
    version = rng.choice([17, 17, 17, 13, 11, 1, 99, 0])
    body = [helper.make_node("Abs", ["x"], ["y"])]
    variant = rng.randrange(9)
    if variant == 1:
        body = [helper.make_node(op, ["x"], ["y"], domain=domain)]
    elif variant == 2:
        body = [helper.make_node("Missing", ["x"], ["y"], domain="nowhere")]
    elif variant == 3:
        tensor = TensorProto(name="c", data_type=1, data_location=1)
        tensor.external_data.add(key="location", value=rng.choice(places))
        body = [helper.make_node("Constant", [], ["c"], value=tensor), helper.make_node("Add", ["x", "c"], ["y"])]
    elif variant == 4:
        body = [helper.make_node("Add", ["x", "absent"], ["y"])]
    elif variant == 5:
        body = [helper.make_node("LeakyRelu", ["x"], ["y"])]
        body[0].attribute.append(onnx.AttributeProto(name="alpha", type=1, ref_attr_name="slope"))
    elif variant == 6:
        branch = onnx.parser.parse_graph("inner () => (float[] t) { t = Identity(x) }")
        body = [
            helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.array(True))),
            helper.make_node("If", ["k"], ["y"], then_branch=branch, else_branch=branch),
        ]
    opsets = [helper.make_opsetid("", version), *([helper.make_opsetid(domain, 1)] if domain else [])]
    function = helper.make_function(domain, op, ["x"], ["y"], body, opsets, ["slope"] if variant == 5 else [])
    model.functions.append(function)
    if variant == 7:
        model.functions.append(function)
    if variant == 8:
        model.functions[0].node[0].op_type, model.functions[0].node[0].domain = "Other", domain
        back = helper.make_function(domain, "Other", ["x"], ["y"], [helper.make_node(op, ["x"], ["y"], domain=domain)], opsets)
        model.functions.append(back)
    if rng.random() < 0.9 and domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    call = helper.make_node(op, [name] * rng.choice([1, 1, 1, 0, 3]), ["called"] * rng.choice([1, 1, 1, 2]), domain=domain)
    _behind(model.graph, name, "called", call)
    if rng.random() < 0.5:
        model.ir_version = rng.choice([7, 8, 9, 10])


# ---- weights ---------------------------------------------------------------------------------------------------------------


def _outside(rng: random.Random, tensor: TensorProto, places: list[str]) -> None:
    size = max(1, int(np.prod(tensor.dims or [1]))) * 4
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=rng.choice(places))
    for key, right in (("offset", 0), ("length", size)):
        if rng.random() < 0.7:
            value = rng.choice([right, right, right, *BIG])
            tensor.external_data.add(key=key, value=rng.choice([str(value), str(value), "x", "1e3", "-0"]))
    if rng.random() < 0.1:
        tensor.external_data.add(key=rng.choice(["location", "offset", "checksum", ""]), value=rng.choice(TEXTS))


@kind("weights beside the model")
def _beside(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    for _ in range(rng.choice([1, 1, 2])):
        _outside(rng, _weights(rng, model.graph), places)


@kind("constants beside the model")
def _constants(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    weights = _weights(rng, model.graph)
    tensor = TensorProto()
    tensor.CopyFrom(weights)
    model.graph.initializer.remove(weights)
    _outside(rng, tensor, places)
    model.graph.node.insert(0, helper.make_node("Constant", [], [weights.name], value=tensor))


@kind("weights beside a branch")
def _branch_weights(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    name = _feature(model.graph).output[0]
    branch = onnx.parser.parse_graph("inner () => (float[] t) { t = Add(" + name + ", c) }")
    tensor = numpy_helper.from_array(np.ones((1,), np.float32), "c")
    _outside(rng, tensor, places)
    if rng.random() < 0.5:
        branch.initializer.append(tensor)
    else:
        branch.node.insert(0, helper.make_node("Constant", [], ["c"], value=tensor))
    condition = rng.choice(["yes", "computed"])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.insert(0, helper.make_node("Not", ["yes"], ["computed"]))
    _behind(model.graph, name, "taken", helper.make_node("If", [condition], ["taken"], then_branch=branch, else_branch=branch))


@kind("constants as text, lists, sparse")
def _constant_attributes(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    weights = _weights(rng, model.graph)
    array = numpy_helper.to_array(weights)
    model.graph.initializer.remove(weights)
    flat = [float(item) for item in array.reshape(-1)]
    options = [
        {"value_floats": flat},
        {"value_float": 1.0},
        {"value_ints": [1, 2]},
        {"value_int": 2},
        {"value_string": "text"},
        {"value_strings": ["a", "b"]},
        {"sparse_value": _sparse(rng, array)},
        {"value": numpy_helper.from_array(array), "value_int": 3},
        {},
        {"value": numpy_helper.from_array(array.astype(np.float64))},
        {"value": numpy_helper.from_array(np.array(["text"], object))},
    ]
    node = helper.make_node("Constant", [], [weights.name])
    node.attribute.extend(helper.make_attribute(key, value) for key, value in rng.choice(options).items())
    model.graph.node.insert(0, node)


def _sparse(rng: random.Random, array: np.ndarray) -> onnx.SparseTensorProto:
    flat = array.reshape(-1)
    places = np.flatnonzero(flat)
    wrong = rng.randrange(4)
    indices = {1: places + 10**6, 2: -places, 3: places[:-1]}.get(wrong, places)
    values = numpy_helper.from_array(flat[np.flatnonzero(flat)].astype(np.float32), "values")
    return helper.make_sparse_tensor(values, numpy_helper.from_array(indices.astype(np.int64)), list(array.shape))


@kind("sparse weights")
def _sparse_weights(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    weights = _weights(rng, model.graph)
    tensor = _sparse(rng, numpy_helper.to_array(weights))
    tensor.values.name = weights.name
    if rng.random() < 0.7:
        model.graph.initializer.remove(weights)
    model.graph.sparse_initializer.append(tensor)


@kind("weights that are inputs, too")
def _inputs_too(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    for weights in [item for item in model.graph.initializer if rng.random() < 0.6]:
        shape = rng.choice([list(weights.dims), list(weights.dims), [1], ["N"], None])
        dtype = rng.choice([weights.data_type, weights.data_type, 7])
        model.graph.input.insert(
            rng.randrange(len(model.graph.input) + 1), helper.make_tensor_value_info(weights.name, dtype, shape)
        )
    if rng.random() < 0.3:
        model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 3, 6, 8), np.float32), model.graph.input[-1].name))


@kind("weights NaN, infinite, denormal, huge or 0")
def _values(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    for _ in range(rng.choice([1, 1, 3])):
        weights = _weights(rng, model.graph)
        array = numpy_helper.to_array(weights).copy()
        if array.dtype != np.float32 or not array.size:
            continue
        odd = rng.choice([np.nan, np.inf, -np.inf, 1e-42, 3e38, -3e38, 0.0, -0.0, 1e20, 1e-30])
        if rng.random() < 0.5:
            array[...] = odd
        else:
            array.reshape(-1)[rng.randrange(array.size)] = odd
        weights.CopyFrom(numpy_helper.from_array(array, weights.name))


@kind("weights cut off, or too long")
def _cut(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    weights = _weights(rng, model.graph)
    weights.raw_data = rng.choice(
        [weights.raw_data[: rng.randrange(len(weights.raw_data) + 1)], weights.raw_data * 2, b"", weights.raw_data + b"x"]
    )


@kind("weights raw and typed at once")
def _mixed(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    weights = _weights(rng, model.graph)
    array = numpy_helper.to_array(weights).reshape(-1)
    if rng.random() < 0.5:
        weights.ClearField("raw_data")
    field = rng.choice(["float_data", "double_data", "int32_data", "int64_data", "string_data", "uint64_data"])
    data: list[object] = (
        [b"text"] * array.size if field == "string_data" else [int(abs(item)) % 7 for item in np.nan_to_num(array)]
    )
    getattr(weights, field).extend(data[: rng.choice([len(data), len(data), len(data) // 2])])
    if rng.random() < 0.3:
        weights.segment.begin, weights.segment.end = rng.choice(BIG), rng.choice(BIG)


@kind("weights of another type")
def _weight_types(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    weights = _weights(rng, model.graph)
    code = rng.choice([*range(27), 99, -1])
    if rng.random() < 0.6:
        try:
            dtype = helper.tensor_dtype_to_np_dtype(code)
            weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights).astype(dtype), weights.name))
        except (KeyError, TypeError, ValueError):
            weights.data_type = code
    else:
        weights.data_type = code


@kind("weights of odd shapes")
def _weight_shapes(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    weights = _weights(rng, model.graph)
    if rng.random() < 0.5 and weights.dims:
        weights.dims[rng.randrange(len(weights.dims))] = rng.choice(BIG)
    else:
        weights.dims[:] = rng.choice([[], [1], [*weights.dims, 1], [1, *weights.dims], list(weights.dims)[::-1], [0], [1] * 40])


# ---- branches and loops ----------------------------------------------------------------------------------------------------


@kind("a condition spliced in")
def _if(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    name = _feature(model.graph).output[0]
    texts = [
        f"inner () => (float[] t) {{ t = Identity({name}) }}",
        f"inner () => (float[] t) {{ t = Abs({name}) }}",
        "inner () => (float[] t) { t = Identity(absent) }",
        f"inner () => (float[] {name}) {{ {name} = Identity({name}) }}",
        "inner () => (int64[N] t) { t = Constant<value_ints=[1,2]>() }",
        f"inner (float[] x) => (float[] t) {{ t = Identity({name}) }}",
        "inner () => () { t = Identity(image) }",
        f"inner () => (float[] {name}) {{ u = Identity(image) }}",
    ]
    branches = [onnx.parser.parse_graph(rng.choice([*texts[:2] * 3, *texts])) for _ in range(2)]
    condition = rng.choice(["yes", "yes", "no", "computed", "computed", "wide", "", "told", name])
    for key, array in (("yes", np.array(True)), ("no", np.array([False])), ("wide", np.ones((2, 2), bool))):
        model.graph.initializer.append(numpy_helper.from_array(array, key))
    if condition == "told":
        model.graph.input.append(helper.make_tensor_value_info("told", TensorProto.BOOL, []))
    ahead = [
        helper.make_node("ReduceMax", [name], ["top"], keepdims=0),
        helper.make_node("Constant", [], ["bar"], value_float=0.0),
        helper.make_node("Greater", ["top", "bar"], ["computed"]),
    ]
    node = helper.make_node(
        "If", [condition], ["taken"], name=rng.choice(NAMES), then_branch=branches[0], else_branch=branches[1]
    )
    if rng.random() < 0.15:
        del node.attribute[rng.randrange(2)]
    _behind(model.graph, name, "taken", *(ahead if condition == "computed" else []), node)


@kind("a loop spliced in")
def _loop(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    name = _feature(model.graph).output[0]
    bodies = [
        "body (int64 i, bool go, float[] x) => (bool again, float[] y) { again = Identity(go) y = Abs(x) }",
        "body (int64 i, bool go, float[] x) => (bool again, float[] y) { again = Identity(go) y = Add(x, " + name + ") }",
        "body (int64 i, bool go, float[] x) => (bool again, float[] y) { again = Identity(go) y = Add(x, absent) }",
        "body (int64 i) => (bool again) { again = Identity(go) }",
        "body (int64 i, bool go, float[] x) => (bool go, float[] x) { again = Identity(go) }",
    ]
    body = onnx.parser.parse_graph(rng.choice([bodies[0], *bodies]))
    trips = rng.choice([0, 1, 2, 5, -1, 2**62])
    model.graph.initializer.append(numpy_helper.from_array(np.array(trips), "trips"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(trips < 100), "go_on"))
    inputs = rng.choice([["trips", "go_on", name]] * 4 + [["trips", "", name], ["", "", name], [name], []])
    _behind(model.graph, name, "looped", helper.make_node("Loop", inputs, ["looped"], body=body))


@kind("a scan spliced in")
def _scan(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    name = _feature(model.graph).output[0]
    bodies = [
        "body (float[] x) => (float[] y) { y = Abs(x) }",
        "body (float[] x) => (float[] y) { y = Add(x, absent) }",
        "body () => (float[] y) { y = Abs(image) }",
        "body (float[] x) => (float[] y, float[] z) { y = Abs(x) z = Abs(x) }",
    ]
    body = onnx.parser.parse_graph(rng.choice([bodies[0], *bodies]))
    count, axis = rng.choice([1, 1, 1, 0, -1, 2, 2**40]), rng.choice([0, 0, 1, 2, -1, 9])
    node = helper.make_node(
        "Scan", [name], ["scanned"], body=body, num_scan_inputs=count, scan_input_axes=[axis], scan_output_axes=[axis]
    )
    _behind(model.graph, name, "scanned", node)


@kind("graphs deep inside each other")
def _deep(rng: random.Random, model: ModelProto, places: list[str]) -> ModelProto:
    return nested(rng.choice([1, 3, 12, 20, 23, 24, 25, 28]))


@kind("what takes forever or all memory")
def _greedy(rng: random.Random, model: ModelProto, places: list[str]) -> ModelProto:
    large = rng.choice([10**3, 10**7, 10**10, 10**10, 2**31, 2**40, 2**62, -1, 0])
    return filled(large) if rng.random() < 0.9 else loop(rng.choice([3, 1000, 2**20, 2**62]))


# ---- what a model tells ----------------------------------------------------------------------------------------------------


@kind("a forged record")
def _record(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    for key in rng.sample(RECORD, rng.choice([1, 2, 8, len(RECORD)])):
        model.metadata_props.add(key=f"ovxai {key}", value=rng.choice(TEXTS))
    if rng.random() < 0.3:
        model.metadata_props.add(key=rng.choice(["ovxai", "ovxai ", "ovxai  layer", "ovxai/layer"]), value=rng.choice(TEXTS))
    if rng.random() < 0.5:
        _names_of_ours(rng, model, places)


@kind("forged preprocessing")
def _info(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    for key in rng.sample(INFO, rng.choice([1, 2, 8, len(INFO)])):
        model.metadata_props.add(
            key=f"model_info {key}", value=rng.choice([*TEXTS, "nan,nan,nan", "1,0,1", "letterbox", "YES"])
        )


@kind("metadata twice, empty or huge")
def _metadata(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    for _ in range(rng.choice([1, 2, 50])):
        model.metadata_props.add(key=rng.choice([*TEXTS, "model_info labels", "a"]), value=rng.choice(TEXTS))
    for message in (model.graph, rng.choice(model.graph.node), _weights(rng, model.graph)):
        if rng.random() < 0.3:
            message.metadata_props.add(key=rng.choice(TEXTS), value=rng.choice(TEXTS))
    model.doc_string = rng.choice(TEXTS)
    model.producer_name = rng.choice(TEXTS)


# ---- names -----------------------------------------------------------------------------------------------------------------


def _rename(graph: GraphProto, old: str, new: str) -> None:
    """A value has another name wherever it stands."""
    for node in graph.node:
        node.input[:] = [new if item == old else item for item in node.input]
        node.output[:] = [new if item == old else item for item in node.output]
    for item in [*graph.input, *graph.output, *graph.value_info, *graph.initializer]:
        if item.name == old:
            item.name = new


@kind("names of values")
def _value_names(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    for name in rng.sample(NAMES, rng.choice([1, 1, 3])):
        items = [*_names(model.graph), *(item.name for item in model.graph.initializer), model.graph.output[0].name]
        _rename(model.graph, rng.choice([*items, model.graph.output[0].name, model.graph.input[0].name]), name)


@kind("names of nodes")
def _node_names(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    name = rng.choice(NAMES)
    for node in model.graph.node if rng.random() < 0.3 else [rng.choice(model.graph.node), _feature(model.graph)]:
        node.name = name
    if rng.random() < 0.2:
        rng.choice(model.graph.node).op_type = name
    if rng.random() < 0.2:
        rng.choice(model.graph.node).domain = name
    if rng.random() < 0.3:
        model.graph.name = name


@kind("names of ours")
def _names_of_ours(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    name = rng.choice(OURS)
    where = rng.randrange(5)
    graph = model.graph
    if where == 0:
        _rename(graph, rng.choice([*_names(graph), graph.output[0].name]), name)
    elif where == 1:
        graph.node.append(helper.make_node("Identity", [rng.choice(_names(graph))], [name]))
        graph.output.append(helper.make_tensor_value_info(name, 1, None))
    elif where == 2:
        graph.input.append(helper.make_tensor_value_info(name, rng.choice([1, 7, 9]), rng.choice([[], ["B"], [1]])))
    elif where == 3:
        _weights(rng, graph).name = name
    else:
        _feature(graph).name = name


@kind("one name for several")
def _duplicates(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    graph = model.graph
    where = rng.randrange(6)
    if where == 0:
        graph.node.append(rng.choice(graph.node))
    elif where == 1:
        graph.output.append(rng.choice(graph.output))
    elif where == 2:
        graph.input.append(rng.choice(graph.input))
    elif where == 3:
        graph.initializer.append(_weights(rng, graph))
    elif where == 4:
        rng.choice(graph.node).output[0] = rng.choice([*_names(graph), *(item.name for item in graph.initializer)])
    else:
        name = rng.choice(graph.node).output
        name.append(name[0])


# ---- graphs ----------------------------------------------------------------------------------------------------------------


@kind("opsets")
def _opsets(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    choice = rng.randrange(6)
    versions = [0, 1, 5, 12, 13, 15, 18, 20, 21, 22, 23, 24, 25, 99, 2**40, -1]
    if choice < 2:
        model.opset_import[0].version = rng.choice(versions)
    elif choice == 2:
        model.opset_import.add(
            domain=rng.choice(["", "ai.onnx", "ai.onnx.ml", "com.microsoft", *NAMES]), version=rng.choice(versions)
        )
    elif choice == 3:
        del model.opset_import[:]
    elif choice == 4:
        model.ir_version = rng.choice([0, 1, 2, 3, 4, 9, 10, 11, 13, 14, 99, -1, 2**40])
    else:
        model.opset_import[0].domain = rng.choice(["ai.onnx", "ai.onnx.ml", "other"])


@kind("sizes")
def _sizes(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    for _ in range(rng.choice([1, 1, 3])):
        shape = rng.choice([*model.graph.input, *model.graph.output]).type.tensor_type.shape
        choice = rng.randrange(5)
        if choice == 0:
            del shape.dim[:]
        elif choice == 1:
            shape.dim.add().dim_value = rng.choice(BIG)
        elif shape.dim and choice == 2:
            rng.choice(shape.dim).dim_param = rng.choice([*NAMES, "B", "B", "height"])
        elif shape.dim:
            rng.choice(shape.dim).dim_value = rng.choice(BIG)
    if rng.random() < 0.1:
        rng.choice(model.graph.input).type.tensor_type.ClearField("shape")


@kind("shapes told of values")
def _told_shapes(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    for _ in range(rng.choice([1, 3, 8])):
        shape = [rng.choice([*BIG, "B", "B", 6, 8, 4]) for _ in range(rng.choice([4, 4, 4, 2, 0, 3]))]
        name = rng.choice(_names(model.graph))
        model.graph.value_info.append(
            helper.make_tensor_value_info(name, rng.choice([1, 1, 7, 10, 0]), rng.choice([shape, None]))
        )


@kind("types")
def _types(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    item = rng.choice([*model.graph.input, *model.graph.output])
    choice = rng.randrange(5)
    if choice < 2:
        item.type.tensor_type.elem_type = rng.choice([*range(27), 99, -1])
    elif choice == 2:
        item.type.CopyFrom(helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [1, 3, 6, 8])))
    elif choice == 3:
        item.type.CopyFrom(helper.make_optional_type_proto(helper.make_tensor_type_proto(1, [1, 3, 6, 8])))
    else:
        rng.choice(
            [lambda: item.ClearField("type"), lambda: item.type.CopyFrom(helper.make_sparse_tensor_type_proto(1, [1, 3]))]
        )()


@kind("inputs and outputs")
def _ends(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    graph = model.graph
    choice = rng.randrange(8)
    if choice == 0:
        graph.output.append(graph.input[0])
    elif choice == 1:
        graph.output.append(helper.make_tensor_value_info(_weights(rng, graph).name, 1, None))
    elif choice == 2:
        graph.output.append(helper.make_tensor_value_info(rng.choice(["nowhere", ""]), 1, None))
    elif choice == 3:
        del graph.output[:]
    elif choice == 4:
        del graph.input[:]
    elif choice == 5:
        for name in rng.sample(_names(graph), min(3, len(_names(graph)))):
            graph.output.insert(0, helper.make_tensor_value_info(name, rng.choice([1, 1, 7]), None))
    elif choice == 6:
        graph.input.append(
            helper.make_tensor_value_info("other", rng.choice([1, 7, 9, 8]), rng.choice([[], [1, 3, 6, 8], ["B"]]))
        )
    else:
        for count in range(1000):
            graph.node.append(helper.make_node("Identity", [graph.output[0].name], [f"out{count}"]))
            graph.output.append(helper.make_tensor_value_info(f"out{count}", 1, None))


@kind("values that nothing makes or reads")
def _dangling(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    graph = model.graph
    choice = rng.randrange(5)
    if choice == 0:
        graph.node.remove(rng.choice(graph.node))
    elif choice == 1:
        graph.initializer.remove(_weights(rng, graph))
    elif choice == 2:
        node = rng.choice(graph.node)
        node.input[rng.randrange(len(node.input))] = rng.choice(["", "nowhere", "image", *_names(graph)])
    elif choice == 3:
        node = rng.choice(graph.node)
        node.input.append(rng.choice(["", "nowhere", *_names(graph)]))
    else:
        graph.node.append(helper.make_node(rng.choice(OPS), [rng.choice(_names(graph))], [rng.choice(["", "unread"])]))


@kind("circles and disorder")
def _circles(rng: random.Random, model: ModelProto, places: list[str]) -> ModelProto | None:
    graph = model.graph
    choice = rng.randrange(3)
    if choice == 0:
        return circle()
    if choice == 1:
        nodes = list(graph.node)
        rng.shuffle(nodes)
        del graph.node[:]
        graph.node.extend(nodes)
    else:
        node = rng.choice(graph.node)
        node.input[0] = rng.choice([node.output[0], graph.node[-1].output[0]])
    return None


@kind("ten thousand nodes in a chain")
def _chain(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    name, count = _feature(model.graph).output[0], rng.choice([20] * 60 + [100] * 30 + [300] * 8 + [1000] + [10_000])
    op = rng.choice(["Identity", "Relu", "Abs", "Tanh"])
    names = [name, *(f"link{i}" for i in range(count))]
    for node in model.graph.node:
        node.input[:] = [names[-1] if item == name else item for item in node.input]
    model.graph.node.extend(helper.make_node(op, [a], [b]) for a, b in pairwise(names))


@kind("many branches of a sum")
def _wide(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    name = _feature(model.graph).output[0]
    nodes, last = [], name
    for count in range(rng.choice([5, 12, 24, 60])):  # the ways through double with every sum
        nodes.append(helper.make_node("Add", [last, last], [f"sum{count}"]))
        last = f"sum{count}"
    place = next(i for i, node in enumerate(model.graph.node) if name in node.output)
    for node in model.graph.node:
        node.input[:] = [last if item == name else item for item in node.input]
    for count, node in enumerate(nodes, start=1):
        model.graph.node.insert(place + count, node)


@kind("operations")
def _operations(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    node = rng.choice(model.graph.node)
    node.op_type = rng.choice([*OPS, ""])
    if rng.random() < 0.2:
        node.domain = rng.choice(["com.microsoft", "ai.onnx.ml", "custom", "ai.onnx", "ai.onnx.preview.training"])
        model.opset_import.add(domain=node.domain, version=1)


@kind("a known operation spliced in")
def _spliced(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    """Any operation of the standard, with operands that may or may not suit it."""
    schema = rng.choice([schema for schema in onnx.defs.get_all_schemas() if schema.domain == ""])
    name = _feature(model.graph).output[0]
    least, most = schema.min_input, min(schema.max_input, 5)
    array = rng.choice([np.array(0), np.array([1]), np.array([0, 1]), np.array(1.0, np.float32), np.ones((4,), np.float32)])
    model.graph.initializer.append(numpy_helper.from_array(array, "extra"))
    inputs = [
        name,
        *(rng.choice(["extra", name, "image", ""]) for _ in range(rng.randint(max(0, least - 1), max(0, most - 1)))),
    ]
    outputs = ["spliced", *(f"more{i}" for i in range(max(0, schema.min_output - 1)))]
    node = helper.make_node(schema.name, inputs, outputs, name=rng.choice(["", "spliced", *NAMES]))
    for key, attribute in schema.attributes.items():
        if attribute.required or rng.random() < 0.2:
            value = {"INT": rng.choice([0, 1, 2, -1]), "FLOAT": 0.5, "INTS": rng.choice([[1, 1], [0, 1, 2, 3], [0]])}.get(
                attribute.type.name
            )
            if value is not None:
                node.attribute.append(helper.make_attribute(key, value))
    _behind(model.graph, name, "spliced", node)


@kind("quantised oddly")
def _quantised(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    name = _feature(model.graph).output[0]
    scale = rng.choice(
        [np.float32(0.1), np.float32(0), np.float32(np.nan), np.float32(-0.1), np.ones(4, np.float32), np.ones(0, np.float32)]
    )
    zero = rng.choice([np.uint8(3), np.int8(-3), np.zeros(4, np.uint8), np.int32(0), np.uint16(1)])
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(scale), "scale"))
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(zero), "zero"))
    axis = rng.choice([1, 1, 0, -3, 9, -9])
    nodes = [
        helper.make_node("QuantizeLinear", [name, "scale", "zero"], ["q"], axis=axis),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"], axis=rng.choice([axis, axis, 2])),
    ]
    _behind(model.graph, name, "dq", *nodes)


@kind("constants that shapes are made of")
def _targets(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    name = _feature(model.graph).output[0]
    shape = rng.choice(
        [
            [0, 0, 0, 0],
            [-1, -1],
            [0, -1],
            [0, 4, 48],
            [2**62, 2],
            [],
            [0, 4, 6, 8],
            [0, 0, 0, 0, 0],
            [1, 4, -1, 8],
            [-2, 4, 6, 8],
        ]
    )
    model.graph.initializer.append(
        numpy_helper.from_array(np.array(shape, rng.choice([np.int64, np.int64, np.int32])), "target")
    )
    op, more = rng.choice(
        [
            ("Reshape", []),
            ("Reshape", []),
            ("Expand", []),
            ("Tile", []),
            ("Squeeze", []),
            ("Unsqueeze", []),
            ("Slice", ["target"]),
            ("Pad", []),
        ]
    )
    node = helper.make_node(op, [name, "target", *more], ["shaped"])
    if op == "Reshape" and rng.random() < 0.3:
        node.attribute.append(helper.make_attribute("allowzero", rng.choice([0, 1, 2])))
    _behind(model.graph, name, "shaped", node)


@kind("an empty graph, or training in it")
def _empty(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    choice = rng.randrange(4)
    if choice == 0:
        model.ClearField("graph")
    elif choice == 1:
        del model.graph.node[:]
    elif choice == 2:
        model.training_info.add().algorithm.CopyFrom(model.graph)
    else:
        model.graph.quantization_annotation.add(tensor_name=rng.choice(NAMES))


@kind("names that are no text")
def _no_text(rng: random.Random, model: ModelProto, places: list[str]) -> None:
    choice = rng.randrange(5)
    if choice == 0:
        _rename(model.graph, rng.choice([*_names(model.graph), model.graph.output[0].name]), NOT_TEXT)
    elif choice == 1:
        rng.choice(model.graph.node).name = NOT_TEXT
    elif choice == 2:
        rng.choice(model.graph.node).op_type = NOT_TEXT
    elif choice == 3:
        model.metadata_props.add(key=rng.choice(["ovxai layer", "model_info labels", NOT_TEXT]), value=NOT_TEXT)
    else:
        rng.choice(model.graph.input).type.tensor_type.shape.dim[0].dim_param = NOT_TEXT


@kind("any other change, twice")
def _more(rng: random.Random, model: ModelProto, places: list[str]) -> ModelProto | bytes | None:
    names = [name for name in KINDS if "twice" not in name and "forever" not in name]
    changed = KINDS[rng.choice(names)](rng, model, places)
    if isinstance(changed, bytes):
        return changed
    return KINDS[rng.choice(names)](rng, changed or model, places) or changed

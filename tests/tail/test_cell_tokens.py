"""Heads that pool tokens: class tokens beside a mean, attention by one query, class attention, with the batch on either axis.

Plans are held to the slow definition in f64, whatever treats tokens alike ahead of the head; both runtimes in f32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from tails import doubled
from tiny import CLASSES, DIALECTS, images, in_dialect, tiny
from tracing import computed

import openvino_xai as xai
from openvino_xai.contract import MAP
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import LayerError
from openvino_xai.locate.located import Located, Where
from openvino_xai.plan.decision import decide
from openvino_xai.plan.hook import plan
from openvino_xai.plan.request import Request

HEIGHT, WIDTH, C, HEADS, D = 3, 4, 8, 2, 4
CELLS = HEIGHT * WIDTH
EXACT = 1e-5  # in f64, but for constants as 1 / N, which hooks hold in f32
ROUNDING = 2e-5  # of scores near 1, in f32


@dataclass
class Net:
    """Nodes and weights of a network under construction; tokens [B, T, C], or [T, B, C] where they are `first`."""

    first: bool
    nodes: list[str]
    weights: dict[str, np.ndarray]
    tokens: int = CELLS

    def node(self, text: str, name: str | None = None) -> str:
        name = name or f"n{len(self.nodes)}"
        self.nodes.append(f"{name} = {text}")
        return name

    def weight(self, *shape: int) -> str:
        rng = np.random.default_rng(len(self.weights))
        return self.constant(rng.normal(0.1, 0.6, shape).astype(np.float32))

    def constant(self, array: np.ndarray) -> str:
        self.weights[f"k{len(self.weights)}"] = array
        return f"k{len(self.weights) - 1}"

    @property
    def axis(self) -> int:
        """The axis of tokens."""
        return 0 if self.first else 1

    def linear(self, x: str, outputs: int = C) -> str:
        return self.node(f"Add({self.node(f'MatMul({x}, {self.weight(C, outputs)})')}, {self.weight(outputs)})")

    def sizes(self, tokens: int) -> tuple[int, ...]:
        return (tokens, 1, C) if self.first else (1, tokens, C)

    def some(self, x: str, start: int, end: int) -> str:
        """A slice of the tokens."""
        starts, ends, axes = (self.constant(np.array([i])) for i in (start, end, self.axis))
        return self.node(f"Slice({x}, {starts}, {ends}, {axes})")

    def heads(self, x: str, tokens: int, *, turned: bool = False) -> str:
        """[B, heads, T, D], or [B, heads, D, T], in the way that exporters write for the layout."""
        if self.first:  # as torch: the batch merged with the heads
            merged = self.node(f"Reshape({x}, {self.constant(np.array([tokens, -1, D]))})")
            ahead = self.node(f"Transpose<perm=[1,0,2]>({merged})")
            apart = self.node(f"Reshape({ahead}, {self.constant(np.array([-1, HEADS, tokens, D]))})")
            return self.node(f"Transpose<perm=[0,1,3,2]>({apart})") if turned else apart
        apart = self.node(f"Reshape({x}, {self.constant(np.array([-1, tokens, HEADS, D]))})")
        return self.node(f"Transpose<perm={'[0,2,3,1]' if turned else '[0,2,1,3]'}>({apart})")

    def attention(self, query: str, x: str) -> str:
        """[B, 1, C] or [1, B, C]: one query [B or 1, heads, 1, D] attends to all tokens."""
        keys, values = self.heads(self.linear(x), self.tokens, turned=True), self.heads(self.linear(x), self.tokens)
        logits = self.node(f"Mul({self.node(f'MatMul({query}, {keys})')}, {self.constant(np.float32([0.5]))})")
        attended = self.node(f"MatMul({self.node(f'Softmax<axis=-1>({logits})')}, {values})")
        order, shape = ("[2,0,1,3]", [1, -1, C]) if self.first else ("[0,2,1,3]", [-1, 1, C])
        laid = self.node(f"Transpose<perm={order}>({attended})")
        return self.linear(self.node(f"Reshape({laid}, {self.constant(np.array(shape))})"))

    def query(self, x: str) -> str:
        """[B, heads, 1, D], of one token."""
        return self.heads(self.linear(x), 1)


Layer = Callable[[Net, str], str]


def tanh(net: Net, x: str) -> str:
    return net.node(f"Tanh({x})")


def places(net: Net, x: str) -> str:
    return net.node(f"Add({x}, {net.weight(*net.sizes(net.tokens))})")


def norm(net: Net, x: str) -> str:
    mean = net.node(f"ReduceMean<axes=[-1]>({x})")
    centred = net.node(f"Sub({x}, {mean})")
    variance = net.node(f"ReduceMean<axes=[-1]>({net.node(f'Mul({centred}, {centred})')})")
    more = net.node(f"Add({variance}, {net.constant(np.float32([0.1]))})")
    deviation = net.node(f"Sqrt({more})")
    return net.node(f"Div({centred}, {deviation})")


def residual(net: Net, x: str) -> str:
    return net.node(f"Add({x}, {net.linear(tanh(net, net.linear(x)))})")


LAYERS: dict[str, Layer] = {"tanh": tanh, "places": places, "norm": norm, "linear": Net.linear, "residual": residual}


def of_each_image(net: Net, tokens: int) -> str:
    """Tokens that are the same for all images, for as many images as there are."""
    count = net.node(f"Slice({net.node('Shape(image)')}, {net.constant(np.array([0]))}, {net.constant(np.array([1]))})")
    parts = [net.constant(np.array([size])) for size in net.sizes(tokens)]
    parts[1 - net.axis] = count
    sizes = net.node(f"Concat<axis=0>({', '.join(parts)})")
    return net.node(f"Expand({net.weight(*net.sizes(tokens))}, {sizes})")


def squeezed(net: Net, x: str) -> str:
    return net.node(f"Squeeze({x}, {net.constant(np.array([net.axis]))})")


def joined(net: Net, first: str, x: str, tokens: int) -> str:
    net.tokens += tokens
    return net.node(f"Concat<axis={net.axis}>({first}, {x})")


def pool(net: Net, x: str) -> str:
    return net.node(f"ReduceMean<axes=[{net.axis}], keepdims=0>({x})")


def greatest(net: Net, x: str) -> str:
    return net.node(f"ReduceMax<axes=[{net.axis}], keepdims=0>({x})")


def weight_asks(net: Net, x: str) -> str:
    """SigLIP's head: a query that is a weight, a residual MLP behind it."""
    return squeezed(net, residual(net, net.attention(net.weight(1, HEADS, 1, D), x)))


def mean_asks(net: Net, x: str) -> str:
    """CLIP's head: the mean of the cells stands ahead of them, and asks."""
    mean = net.node(f"ReduceMean<axes=[{net.axis}], keepdims=1>({x})")
    y = places(net, joined(net, mean, x, 1))
    return squeezed(net, net.attention(net.query(net.some(y, 0, 1)), y))


def class_attention(net: Net, x: str) -> str:
    """CaiT's last layers: a class token beside the cells asks them, twice."""
    token = of_each_image(net, 1)
    for _ in range(2):
        y = norm(net, joined(net, token, x, 1))
        attended = net.attention(net.query(net.some(y, 0, 1)), y)
        token = residual(net, net.node(f"Add({token}, {attended})"))
        net.tokens -= 1
    return squeezed(net, token)


HEADS_OF: dict[str, Layer] = {
    "mean": pool,
    "maximum": greatest,
    "a weight asks": weight_asks,
    "the mean asks": mean_asks,
    "class attention": class_attention,
}
PREFIXED: dict[str, Layer] = {
    "class token and mean": lambda net, x: net.node(
        f"Concat<axis=-1>({squeezed(net, net.some(x, 0, 1))}, {pool(net, net.some(x, net.tokens - CELLS, net.tokens))})"
    ),
    "mean of all": pool,
    "maximum of all": greatest,
    "a weight asks all": weight_asks,
}


def network(head: str, first: bool, layers: list[str], *, prefix: int = 0, batch: int | str = "B") -> onnx.ModelProto:
    """The layer `x`, then some that treat tokens alike, then a head; `prefix` tokens stand ahead of the cells at `x`."""
    net = Net(first, [], {})
    net.node(f"Conv<strides=[2,2]>(image, {net.weight(C, 3, 2, 2)})", "c")
    flat = net.node(f"Reshape(c, {net.constant(np.array([0, C, CELLS]))})")
    net.node(f"Transpose<perm={'[2,0,1]' if first else '[0,2,1]'}>({flat})", "stem")
    tokens = "stem"
    if prefix:
        zeros = net.node(
            f"Mul({net.node(f'ReduceMean<axes=[{net.axis}], keepdims=1>(stem)')}, {net.constant(np.float32([0]))})"
        )
        ahead = net.node(f"Add({zeros}, {net.weight(*net.sizes(prefix))})")
        tokens = joined(net, ahead, tokens, prefix)
        attended = net.attention(net.query(net.some(tokens, 0, 1)), tokens)  # so that the tokens ahead know of the image
        tokens = net.node(f"Add({tokens}, {attended})")
    net.node(f"Tanh({tokens})", "x")
    x = "x"
    for name in layers:
        x = LAYERS[name](net, x)
    x = (PREFIXED if prefix else HEADS_OF)[head](net, x)
    width = 2 * C if head == "class token and mean" else C
    last = net.node(f"MatMul({x}, {net.weight(width, CLASSES)})")
    net.node(f"Add({last}, {net.weight(CLASSES)})", "logits")
    return tiny(" ".join(net.nodes), batch=batch, opset=13, **net.weights)


def definition(model: onnx.ModelProto, first: bool, prefix: int, batch: np.ndarray) -> np.ndarray:
    """[B, K, H, W]: the softmax of the logits where one cell is all there is, in f64: a batch of copies for each image."""
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(doubled(model)))
    ahead = ReferenceEvaluator(extractor.extract_model(["image"], ["x"]))
    tail = ReferenceEvaluator(extractor.extract_model(["x", "image"], ["logits"]))
    keeps = np.hstack([np.ones((CELLS, prefix)), np.eye(CELLS)])
    mask = keeps.T[:, :, None] if first else keeps[:, :, None]
    maps = np.zeros((len(batch), CLASSES, CELLS))
    for b, image in enumerate(batch.astype(np.float64)):
        (features,) = ahead.run(None, {"image": image[None]})
        y = tail.run(None, {"x": features * mask, "image": np.repeat(image[None], CELLS, axis=0)})[0]
        maps[b] = (np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)).T
    return maps.reshape(len(batch), CLASSES, HEIGHT, WIDTH)


def planned(model: onnx.ModelProto, batch: np.ndarray) -> np.ndarray:
    """[B, K, H, W]: what the lazy plan computes, in f64, of the values of the model."""
    located = Located.of(open_model(model), Where(layer="x"))
    layer = located.choose("reciprocam")
    hook = plan(located.at(layer), decide(Request(scale="none"), layer))
    double = doubled(model)
    names = [name for node in double.graph.node for name in node.output]
    del double.graph.output[:]
    double.graph.output.extend(onnx.helper.make_value_info(name, onnx.TypeProto()) for name in names)
    results = dict(zip(names, ReferenceEvaluator(double).run(None, {"image": batch.astype(np.float64)}), strict=True))
    arrays = {value: results[value.name] for node in located.graph.nodes for value in node.outputs if value.name in results}
    for node in hook.nodes:
        for _, value in node.operands:
            if value.native is not None and value not in arrays:
                array = np.asarray(located.graph.constant(value))
                arrays[value] = array.astype(np.float64) if array.dtype.kind == "f" else array
    return computed(hook.nodes, arrays, {})[hook.outputs[MAP]]


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_plan_is_the_definition_in_f64(data: st.DataObject) -> None:
    prefix = data.draw(st.sampled_from([0, 0, 1, 3]))
    head = data.draw(st.sampled_from(sorted(PREFIXED if prefix else HEADS_OF)))
    layers = data.draw(st.lists(st.sampled_from(sorted(LAYERS)), max_size=4))
    first, count = data.draw(st.booleans()), data.draw(st.sampled_from([1, 2]))
    model = network(head, first, layers, prefix=prefix, batch=count)
    batch = images(model, count, seed=data.draw(st.integers(0, 9)))
    true = definition(network(head, first, layers, prefix=prefix), first, prefix, batch)
    np.testing.assert_allclose(planned(model, batch), true, atol=EXACT)


CASES = [(head, 0) for head in HEADS_OF] + [(head, 1) for head in PREFIXED]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("first", [False, True], ids=["batch first", "tokens first"])
@pytest.mark.parametrize(("head", "prefix"), CASES, ids=[head for head, _ in CASES])
@pytest.mark.slow
def test_maps_are_the_definition(head: str, prefix: int, first: bool, dialect: str) -> None:
    layers = ["norm", "places"]
    model = network(head, first, layers, prefix=prefix)
    hooked = xai.insert(in_dialect(model, dialect), layer="x", scale="none")
    batch = images(model, 3)
    maps = xai.load(hooked)(batch)["saliency_map"]
    true = definition(network(head, first, layers, prefix=prefix), first, prefix, batch)
    np.testing.assert_allclose(maps, true, atol=ROUNDING)
    assert np.ptp(true, axis=(2, 3)).max() > 100 * ROUNDING  # far from flat
    direct = xai.insert(in_dialect(model, dialect), layer="x", plan="direct").layer.cost
    assert (hooked.layer.cost or 0) - 1 < 0.6 * ((direct or 0) - 1)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_the_layer_is_chosen_by_what_the_scores_read(dialect: str) -> None:
    """Of a class token beside a mean, cells matter behind the last block; of a mean that asks, ahead of it."""
    hooked = xai.insert(in_dialect(network("class token and mean", False, ["norm"], prefix=1), dialect))
    assert (hooked.record["method"], hooked.layer.cells) == ("reciprocam", (HEIGHT, WIDTH))
    model = in_dialect(network("the mean asks", True, []), dialect)
    assert xai.insert(model).layer.cells == (HEIGHT, WIDTH)
    for layout in (False, True):  # keys and values, or attention weights and values, are no branches
        assert "," not in xai.insert(in_dialect(network("a weight asks", layout, []), dialect)).layer.name
    reasons = [str(layer.reason) for layer in xai.layers(model)]
    assert any("tokens beside its cells are made of these" in reason for reason in reasons)


@pytest.mark.slow
def test_a_token_grid_is_obeyed() -> None:
    for first, prefix, head in ((True, 0, "mean"), (False, 1, "class token and mean")):
        hooked = xai.insert(network(head, first, [], prefix=prefix), token_grid="2x6")
        assert hooked.layer.cells == (2, 6)
        with pytest.raises(LayerError, match="no layer near the scores has tokens of 5 x 5 cells"):
            xai.insert(network(head, first, [], prefix=prefix), token_grid="5x5")

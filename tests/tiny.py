"""Tiny classifiers, written as ONNX text, and the slow definition of their explanations.

The oracle knows nothing of the package: it cuts the ONNX file at the layer with onnx's own extractor, keeps one cell at a
time, one image at a time, and evaluates the tail with onnx's reference implementation in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import openvino as ov
from onnx.reference import ReferenceEvaluator

DIALECTS: dict[str, Callable[[onnx.ModelProto], Any]] = {  # each with how it comes to a model that is written as ONNX
    "openvino": lambda model: ov.Core().read_model(model.SerializeToString()),
    "onnx": lambda model: model,
}


def in_turn(cases: Iterable[Any]) -> list[tuple[Any, str]]:
    """Each case in one dialect, in turn: where hooks take seconds to make, and what is emitted is held in both elsewhere."""
    return [(case, ("onnx", "openvino")[place % 2]) for place, case in enumerate(cases)]


FEATURES = 4
CLASSES = 5


def tiny(
    body: str,
    *,
    batch: int | str = "B",
    opset: int = 17,
    image: Sequence[int] = (3, 6, 8),
    output: str = "float[B,5] logits",
    inputs: str = "",
    image_input: str | None = None,
    **weights: Sequence[int] | np.ndarray,
) -> onnx.ModelProto:
    """A model of `body`, which computes `logits` from `image` [batch, *image] and more `inputs`; weights given or seeded.

    `image_input` writes the first input out, where it is not floats, or not called `image`.
    """
    image_input = image_input or f"float[{','.join(map(str, (batch, *image)))}] image"
    text = f"""<ir_version: 8, opset_import: ["": {opset}]>
    tiny ({image_input}{inputs and ", "}{inputs}) => ({output.replace("B", str(batch))}) {{ {body} }}"""
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(7)
    for name, content in weights.items():
        array = content if isinstance(content, np.ndarray) else rng.normal(0.1, 0.7, content).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.checker.check_model(model, full_check=True)
    return model


def in_dialect(model: onnx.ModelProto, dialect: str) -> Any:
    """The model in one of `DIALECTS`."""
    return DIALECTS[dialect](model)


def images(model: onnx.ModelProto, batch: int, seed: int = 3) -> np.ndarray:
    """Random images for a model."""
    sizes = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(seed).normal(0, 1, (batch, *sizes[1:])).astype(np.float32)


def with_open_sizes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model for images of any height and width."""
    for axis, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    return model


@dataclass(frozen=True)
class Oracle:
    """Recipro-CAM as the paper says it, one image, one cell and one class at a time."""

    model: onnx.ModelProto
    layer: str
    score: str = "softmax"
    output: str = "logits"
    grid: tuple[int, int] | None = None

    def features(self, image: np.ndarray) -> np.ndarray:
        """The layer's value for one image."""
        part = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(self.model)).extract_model(["image"], [self.layer])
        return ReferenceEvaluator(part).run(None, {"image": image})[0]

    def scores(self, features: np.ndarray, image: np.ndarray) -> np.ndarray:
        """[K] for one image's features; the image itself is there for what reads its shape."""
        extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(self.model))
        part = extractor.extract_model([self.layer, "image"], [self.output])
        y = ReferenceEvaluator(part).run(None, {self.layer: features, "image": image})[0].reshape(-1).astype(np.float64)
        if self.score == "softmax":
            return np.exp(y) / np.exp(y).sum()
        return 1 / (1 + np.exp(-y)) if self.score == "sigmoid" else y

    def raw(self, batch: np.ndarray) -> np.ndarray:
        """[B, K, H, W] scores."""
        maps = []
        for image in batch:
            features = self.features(image[None])
            high, wide = features.shape[2:]
            height, width = self.grid or (high, wide)
            high, wide = high // height, wide // width
            cells = np.zeros((self.scores(features, image[None]).size, height, width))
            for h in range(height):
                for w in range(width):
                    block_alone = np.zeros_like(features)
                    block = np.s_[:, :, h * high : (h + 1) * high, w * wide : (w + 1) * wide]
                    block_alone[block] = features[block]
                    cells[:, h, w] = self.scores(block_alone, image[None])
            maps.append(cells)
        return np.stack(maps)

    def unit(self, batch: np.ndarray) -> np.ndarray:
        """[B, K, H, W] in [0, 1], a constant map 0."""
        maps = self.raw(batch)
        for image in maps:
            for k, y in enumerate(image):
                image[k] = 0 if y.max() == y.min() else (y - y.min()) / (y.max() - y.min())
        return maps


@dataclass(frozen=True)
class Case:
    """A classifier and a layer of it; `static` where the batch is written into the model."""

    layer: str
    body: str
    weights: dict[str, Sequence[int] | np.ndarray]
    score: str = "softmax"
    static: bool = False

    def build(self, batch: int | str, opset: int) -> onnx.ModelProto:
        """The model with a batch size or a batch that is open."""
        return tiny(self.body, batch=batch, opset=opset, **self.weights)


HEAD = "p = GlobalAveragePool({}) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
STEM = "c = Conv<pads=[1,1,1,1]>(image, w0) f = Relu(c) "
LINEAR = {"w0": (FEATURES, 3, 3, 3), "w": (CLASSES, FEATURES), "b": (CLASSES,)}
INTS = np.array

CASES = {
    "pool and linear": Case("f", STEM + HEAD.format("f"), LINEAR),
    "residual, layer second": Case(
        "f", STEM + "d = Conv(f, w1) s = Add(d, f) r = Relu(s) " + HEAD.format("r"), {**LINEAR, "w1": (4, 4, 1, 1)}
    ),
    "residual, layer first": Case(
        "f", STEM + "d = Conv(f, w1) s = Add(f, d) r = Relu(s) " + HEAD.format("r"), {**LINEAR, "w1": (4, 4, 1, 1)}
    ),
    "layer on both ports": Case("f", STEM + "s = Mul(f, f) " + HEAD.format("s"), LINEAR),
    "concatenation": Case(
        "f",
        STEM + "d = Conv(f, w1) j = Concat<axis=1>(d, f) " + HEAD.format("j"),
        {**LINEAR, "w1": (4, 4, 1, 1), "w": (CLASSES, 8)},
    ),
    "3x3 convolution after the layer": Case(
        "f",
        STEM + "d = Conv<pads=[1,1,1,1]>(f, w1, b1) g = Relu(d) " + HEAD.format("g"),
        {**LINEAR, "w1": (4, 4, 3, 3), "b1": (4,)},
    ),
    "strided depthwise convolution": Case(
        "f",
        STEM + "d = Conv<pads=[1,1,1,1], strides=[2,2], group=4>(f, w1) " + HEAD.format("d"),
        {**LINEAR, "w1": (4, 1, 3, 3)},
    ),
    "batch norm": Case(
        "f",
        STEM + "n = BatchNormalization(f, s1, b1, m1, v1) g = Relu(n) " + HEAD.format("g"),
        {**LINEAR, "s1": (4,), "b1": (4,), "m1": (4,), "v1": np.array([0.5, 1, 2, 3], np.float32)},
    ),
    "squeeze and excite": Case(
        "f",
        STEM + "q = GlobalAveragePool(f) e = Conv(q, w1) g = Sigmoid(e) x = Mul(g, f) " + HEAD.format("x"),
        {**LINEAR, "w1": (4, 4, 1, 1)},
    ),
    "twice as large": Case(
        "f",
        STEM
        + 'j = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(f, none, factors) '
        "d = Conv<pads=[1,1,1,1]>(j, w1) r = Relu(d) " + HEAD.format("r"),
        {**LINEAR, "w1": (4, 4, 3, 3), "none": np.zeros(0, np.float32), "factors": np.array([1, 1, 2, 2], np.float32)},
    ),
    "to a size that is told": Case(
        "f",
        STEM + "h = Shape<end=2>(image) i = Slice(h, i0, i1) k = Concat<axis=0>(i, rest) "
        'j = Resize<mode="linear">(f, , , k) d = Conv<pads=[1,1,1,1]>(j, w1) r = Relu(d) ' + HEAD.format("r"),
        {**LINEAR, "w1": (4, 4, 3, 3), "i0": INTS([0]), "i1": INTS([1]), "rest": INTS([4, 9, 12])},
    ),
    "max pool, flatten, linear": Case(
        "f",
        STEM + "m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(f) v = Flatten(m) logits = Gemm<transB=1>(v, w, b)",
        {**LINEAR, "w": (CLASSES, FEATURES * 3 * 4)},
    ),
    "mlp head": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) v = Flatten(p) h = Gemm(v, w1, b1) a = Tanh(h) m = MatMul(a, w2) logits = Add(m, b)",
        {**LINEAR, "w1": (4, 7), "b1": (7,), "w2": (7, CLASSES)},
    ),
    "scores from a convolution": Case(
        "f", STEM + "k = Conv(f, w1, b) p = GlobalAveragePool(k) logits = Flatten(p)", {**LINEAR, "w1": (5, 4, 1, 1)}
    ),
    "softmax inside": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) v = Flatten(p) g = Gemm<transB=1>(v, w, b) logits = Softmax<axis=-1>(g)",
        LINEAR,
        score="logit",  # what the oracle does to the output: nothing
    ),
    "sigmoid inside": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) v = Flatten(p) g = Gemm<transB=1>(v, w, b) logits = Sigmoid(g)",
        LINEAR,
        score="logit",
    ),
    "batch from a shape": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) sh = Shape(p) n = Gather<axis=0>(sh, zero) t = Concat<axis=0>(n, minus) "
        "v = Reshape(p, t) logits = Gemm<transB=1>(v, w, b)",
        {**LINEAR, "zero": INTS([0]), "minus": INTS([-1])},
    ),
    "batch from the image's shape": Case(
        "f",
        STEM + "sh = Shape(image) n = Gather<axis=0>(sh, zero) t = Concat<axis=0>(n, four) "
        "p = GlobalAveragePool(f) v = Reshape(p, t) logits = Gemm<transB=1>(v, w, b)",
        {**LINEAR, "zero": INTS([0]), "four": INTS([4])},
    ),
    "batch of 1 written into a reshape": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) v = Reshape(p, t) logits = Gemm<transB=1>(v, w, b)",
        {**LINEAR, "t": INTS([1, 4])},
        static=True,
    ),
    "joined with a map of constants": Case(  # as where a network is told the place of each cell
        "f",
        STEM + "t = Tanh(f) s = Add(t, b1) j = Concat<axis=1>(places, s) r = Relu(j) "
        "p = GlobalAveragePool(r) v = Flatten(p) logits = Gemm<transB=1>(v, w5, b)",
        {**LINEAR, "b1": (1, FEATURES, 1, 1), "places": (1, 1, 6, 8), "w5": (CLASSES, FEATURES + 1)},
        static=True,
    ),
    "batch of 1 squeezed away and put back": Case(
        "f",
        STEM + "p = GlobalAveragePool(f) v = Squeeze(p, t) logits = Gemm<transB=1>(v, w, b)",
        {**LINEAR, "t": INTS([2, 3])},
    ),
    "tokens": Case(
        "f",
        STEM + "q = Reshape(f, t) u = Transpose<perm=[0,2,1]>(q) m = MatMul(u, w1) n = Softmax<axis=-1>(m) "
        "y = Transpose<perm=[0,2,1]>(n) o = Reshape(y, back) " + HEAD.format("o"),
        {**LINEAR, "w1": (4, 4), "t": INTS([0, 4, 48]), "back": INTS([0, 4, 6, 8])},
    ),
}

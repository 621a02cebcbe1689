"""Tiny vision transformers, written as ONNX text in the ways exporters write them, and the slow definition of their maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from tiny import CLASSES, tiny

HEIGHT, WIDTH, CHANNELS, HEADS, DEPTH = 3, 4, 8, 2, 4
CELLS = HEIGHT * WIDTH
KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
INTS = np.array


@dataclass(frozen=True)
class Transformer:
    """Two blocks of attention over a grid of 3 x 4 patches; `prefix` tokens go ahead of them.

    `attention` is how queries, keys and values come about: `fused`, `split`, `torch` (tokens first, the batch merged with
    heads), `rope` (tokens turned by their position), `shared` (a bias of positions on the scores) or `masked` (a mask for
    every image). `norm` is `pre` or `post` (behind each branch). `head` reads the class token, two of them, or the mean of
    the patches. Ahead of the last block, `rejoined` patches are taken from beside the class token, and a second branch is
    added to them.
    """

    prefix: int = 1
    attention: str = "fused"
    norm: str = "pre"
    mlp: str = "gelu"
    head: str = "class"
    layer_scale: bool = False
    softmax: bool = False
    repeats: int = 2
    rejoined: bool = False

    @property
    def tokens(self) -> int:
        return self.prefix + CELLS

    def build(self, batch: int | str, opset: int = 17) -> onnx.ModelProto:
        """The model with a batch size or a batch that is open."""
        body = [f"c = Conv<strides=[2,2]>(image, w0, b0) r = Reshape(c, flat) {self._stem(batch)}"]
        names = [f"x{i}" for i in range(self.repeats + 1)]
        for block, (before, after) in enumerate(pairwise(names)):
            is_apart = self.rejoined and after == names[-2]
            body.append(self._block(before, "apart_x" if is_apart else after, block, batch))
            body += [self._rejoined(after)] if is_apart else []
        body.append(f"n = LayerNormalization({names[-1]}, gn, bn) {self._head()}")
        model = tiny(" ".join(body), batch=batch, opset=opset, **self._weights(batch))
        del model.graph.value_info[:]
        return model

    def _stem(self, batch: int | str) -> str:
        patches = "t = Transpose<perm=[0,2,1]>(r) "
        if not self.prefix:
            return patches + "x0 = Add(t, pos)"
        return patches + (
            "s = Shape(image) s0 = Gather<axis=0>(s, zero) s1 = Concat<axis=0>(s0, few, wide) ce = Expand(cls, s1) "
            "a = Concat<axis=1>(ce, t) x0 = Add(a, pos)"
        )

    def _rejoined(self, out: str) -> str:
        """As TNT has it: the class token of the block before, and patches with what a second branch makes of the image."""
        return (
            "ct = Slice(apart_x, from0, to1, along) pt = Slice(apart_x, to1, far, along) ih = Tanh(r) "
            f"it = Transpose<perm=[0,2,1]>(ih) ph = Add(pt, it) {out} = Concat<axis=1>(ct, ph)"
        )

    def _block(self, x: str, out: str, k: int, batch: int | str) -> str:
        """A block: attention and MLP, each with its norm and its residual sum; every name ends in the number of the block."""
        text = f"z = LayerNormalization({x}, g1, b1) " if self.norm == "pre" else ""
        read = "z" if self.norm == "pre" else x
        text += self._attention(read) + "pr = MatMul(o, wo) pb = Add(pr, bo) "
        branch = "pb"
        if self.norm == "post":
            text, branch = text + "pn = LayerNormalization(pb, g1, b1) ", "pn"
        if self.layer_scale:
            text, branch = text + f"ls = Mul({branch}, gamma) ", "ls"
        text += f"y = Add({x}, {branch}) "
        text += "m0 = LayerNormalization(y, g2, b2) m1 = MatMul(m0, w1) m2 = Add(m1, c1) "
        if self.mlp == "gated":
            text += "ma, mb = Split<axis=-1>(m2, halves) mg = Sigmoid(ma) m3 = Mul(mg, mb) m4 = MatMul(m3, w2g) "
        else:
            text += "me = Erf(m2) mf = Add(me, unit) m3 = Mul(m2, mf) m4 = MatMul(m3, w2) "
        text += f"m5 = Add(m4, c2) {out} = Add(y, m5) "
        local = sorted(_outputs(text) - {out}, key=len, reverse=True)
        return _renamed(text, {name: f"{name}_{k}" for name in local})

    def _attention(self, z: str) -> str:
        split = "{0}p = MatMul({1}, w{0}) {0}b = Add({0}p, b{0}) {0}r = Reshape({0}b, apart) "
        if self.attention == "fused":
            text = (
                f"qkv = MatMul({z}, wqkv) qkvb = Add(qkv, bqkv) qkvr = Reshape(qkvb, three) "
                "qkvt = Transpose<perm=[2,0,3,1,4]>(qkvr) q0, k0, v0 = Split<axis=0>(qkvt, ones) "
                "q = Squeeze(q0, ax0) k = Squeeze(k0, ax0) v = Squeeze(v0, ax0) kt = Transpose<perm=[0,1,3,2]>(k) "
                "qs = Mul(q, scale) sc = MatMul(qs, kt) p = Softmax<axis=-1>(sc) "
            )
            return text + "g = MatMul(p, v) gt = Transpose<perm=[0,2,1,3]>(g) o = Reshape(gt, joined) "
        if self.attention == "torch":
            text = f"zt = Transpose<perm=[1,0,2]>({z}) " + "".join(
                f"{name}p = MatMul(zt, w{name}) {name}b = Add({name}p, b{name}) {name}r = Reshape({name}b, merged) "
                f"{name}s = Transpose<perm=[1,0,2]>({name}r) {name} = Reshape({name}s, heads) "
                for name in "qkv"
            )
            return text + (
                "kt = Transpose<perm=[0,1,3,2]>(k) sc = MatMul(q, kt) sd = Mul(sc, scale) p = Softmax<axis=-1>(sd) "
                "g = MatMul(p, v) gt = Transpose<perm=[2,0,1,3]>(g) gm = Reshape(gt, rows) go = Gemm<transB=1>(gm, wg, bg) "
                "gr = Reshape(go, back) o = Transpose<perm=[1,0,2]>(gr) "
            )
        text = "".join(split.format(name, z) for name in "qkv")
        text += "q = Transpose<perm=[0,2,1,3]>(qr) v = Transpose<perm=[0,2,1,3]>(vr) "
        if self.attention == "rope":  # the tokens ahead of the patches are not turned
            text += (
                "k1 = Transpose<perm=[0,2,1,3]>(kr) kh = Slice(k1, zero, few, two2) ki = Slice(k1, few, far, two2) "
                "ka, ke = Split<axis=-1>(ki, pairs) kn = Neg(ke) kc = Concat<axis=-1>(kn, ka) k2 = Mul(ki, cosines) "
                "k3 = Mul(kc, sines) k4 = Add(k2, k3) k5 = Concat<axis=2>(kh, k4) kt = Transpose<perm=[0,1,3,2]>(k5) "
            )
        else:
            text += "kt = Transpose<perm=[0,2,3,1]>(kr) "
        text += "sc = MatMul(q, kt) sd = Div(sc, two) "
        weights = "sd"
        if self.attention == "shared":
            text, weights = text + "se = Add(sd, places) ", "se"
        return (
            text
            + f"p = Softmax<axis=-1>({weights}) g = MatMul(p, v) gt = Transpose<perm=[0,2,1,3]>(g) o = Reshape(gt, joined) "
        )

    def _head(self) -> str:
        end = "l = Gemm<transB=1>(h, w, b) logits = Softmax<axis=-1>(l)" if self.softmax else "logits = Gemm<transB=1>(h, w, b)"
        if self.head == "class":
            return "h = Gather<axis=1>(n, first) " + end
        if self.head == "sliced":
            return "h0 = Slice(n, from0, to1, along) h = Squeeze(h0, along) " + end
        if self.head == "distilled":
            return (
                "h = Gather<axis=1>(n, first) h1 = Gather<axis=1>(n, second) l = Gemm<transB=1>(h, w, b) "
                "l1 = Gemm<transB=1>(h1, wd, b) ls = Add(l, l1) logits = Mul(ls, half)"
            )
        if self.head == "two":  # both ahead of the patches, cut out together
            return "h0 = Slice(n, from0, second1, along) h = ReduceMean<axes=[1], keepdims=0>(h0) " + end
        return "h0 = Slice(n, fromp, far, along) h = ReduceMean<axes=[1], keepdims=0>(h0) " + end

    def _weights(self, batch: int | str) -> dict[str, Sequence[int] | np.ndarray]:
        c, t = CHANNELS, self.tokens
        images = -1 if isinstance(batch, str) else batch
        rng = np.random.default_rng(11)
        floats: dict[str, Sequence[int] | np.ndarray] = {
            "w0": (c, 3, 2, 2), "b0": (c,), "cls": (1, self.prefix, c), "pos": (1, t, c), "wo": (c, c), "bo": (c,),
            "g1": (c,), "b1": (c,), "g2": (c,), "b2": (c,), "w1": (c, 6), "c1": (6,), "w2": (6, c), "w2g": (3, c), "c2": (c,),
            "gn": (c,), "bn": (c,), "w": (CLASSES, c), "wd": (CLASSES, c), "b": (CLASSES,), "gamma": (c,), "wqkv": (c, 3 * c),
            "bqkv": (3 * c,), "wg": (c, c), "bg": (c,), "places": (1, HEADS, t, t), "cosines": (1, 1, CELLS, DEPTH),
            "sines": (1, 1, CELLS, DEPTH), **{f"w{name}": (c, c) for name in "qkv"}, **{f"b{name}": (c,) for name in "qkv"},
        }  # fmt: skip
        scaled = {name: rng.normal(0, 0.5, size).astype(np.float32) for name, size in floats.items()}  # type: ignore[arg-type]
        scaled["wo"] *= 12  # maps that are far from flat, so that rounding is small beside what is compared
        numbers = {"unit": 1.0, "scale": 0.5, "two": 2.0, "half": 0.5}
        shapes = {
            "flat": [0, c, CELLS], "zero": [0], "few": [self.prefix], "wide": [c], "three": [images, t, 3, HEADS, DEPTH],
            "ones": [1, 1, 1], "ax0": [0], "joined": [images, t, c], "apart": [images, t, HEADS, DEPTH],
            "merged": [t, -1, DEPTH], "heads": [-1, HEADS, t, DEPTH], "rows": [-1, c], "back": [t, -1, c], "pairs": [2, 2],
            "halves": [3, 3], "from0": [0], "to1": [1], "along": [1], "fromp": [self.prefix], "far": [t],
            "two2": [2], "second1": [2], "many": [t],
        }  # fmt: skip
        arrays = {
            **scaled,
            **{name: np.array([number], np.float32) for name, number in numbers.items()},
            **{name: np.array(sizes, np.int64) for name, sizes in shapes.items()},
            "yes": np.array(True).reshape(1, 1, 1, 1),
            "nothing": np.array(0, np.float32),
            "much": np.array(-1e4, np.float32),
            "first": np.array(0, np.int64),
            "second": np.array(1, np.int64),
        }
        apart = self._rejoined("x1") if self.rejoined else ""
        body = " ".join([self._stem(batch), self._block("x0", "x1", 0, batch), apart, self._head(), "w0 b0 flat gn bn"])
        words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
        return {name: array for name, array in arrays.items() if name in words}

    @property
    def layer(self) -> str:
        """The last block's normalised input, or what enters the block where there is none."""
        last = self.repeats - 1
        return f"z_{last}" if self.norm == "pre" else f"x{last}"


def _outputs(text: str) -> set[str]:
    """The names that are computed in a body."""
    words = text.replace(",", " , ").split()
    names, pending = set(), []
    for word in words:
        if word == "=":
            names.update(pending)
            pending = []
        elif word == ",":
            continue
        elif word.isidentifier():
            pending.append(word)
        else:
            pending = []
    return names


def _renamed(text: str, names: dict[str, str]) -> str:
    out, word = [], ""
    for sign in text + " ":
        if sign.isalnum() or sign == "_":
            word += sign
            continue
        out.append(names.get(word, word) + sign)
        word = ""
    return "".join(out)


@dataclass(frozen=True)
class TokenOracle:
    """The definition: the residual and the normalised input weighed, one image and one neighbourhood at a time."""

    model: onnx.ModelProto
    entry: str
    layer: str
    prefix: int
    kernel: str = "gaussian"
    score: str = "softmax"

    @cached_property
    def _parts(self) -> tuple[ReferenceEvaluator, ReferenceEvaluator]:
        extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(self.model))
        cuts = sorted({self.entry, self.layer})
        head = extractor.extract_model(["image"], cuts)
        return ReferenceEvaluator(head), ReferenceEvaluator(extractor.extract_model([*cuts, "image"], ["logits"]))

    def raw(self, batch: np.ndarray) -> np.ndarray:
        """[B, K, H, W] scores."""
        head, tail = self._parts
        maps = np.zeros((len(batch), CLASSES, HEIGHT, WIDTH))
        cuts = sorted({self.entry, self.layer})
        for b, image in enumerate(batch):
            values = dict(zip(cuts, head.run(None, {"image": image[None]}), strict=True))
            for h in range(HEIGHT):
                for w in range(WIDTH):
                    weights = np.ones((1, self.prefix + CELLS, 1), np.float32)
                    weights[0, self.prefix :, 0] = 0
                    for dh, dw in np.ndindex(3, 3):
                        y, x = h + dh - 1, w + dw - 1
                        if 0 <= y < HEIGHT and 0 <= x < WIDTH:
                            share = KERNEL[dh, dw] if self.kernel == "gaussian" else float(dh == dw == 1)
                            weights[0, self.prefix + y * WIDTH + x, 0] = share
                    masked = {name: array * weights for name, array in values.items()}
                    y = tail.run(None, {**masked, "image": image[None]})[0].reshape(-1).astype(np.float64)
                    maps[b, :, h, w] = np.exp(y) / np.exp(y).sum() if self.score == "softmax" else y
        return maps

    def unit(self, batch: np.ndarray) -> np.ndarray:
        """[B, K, H, W] in [0, 1]."""
        maps = self.raw(batch)
        low, high = maps.min(axis=(2, 3), keepdims=True), maps.max(axis=(2, 3), keepdims=True)
        return np.where(high > low, (maps - low) / np.where(high > low, high - low, 1), 0)


ROUNDING = 5e-6  # of the scores: f32 through a block, in another order of sums
VARIANTS = {
    "fused": Transformer(),
    "split": Transformer(attention="split", head="sliced"),
    "tokens first": Transformer(attention="torch"),
    "positions turn": Transformer(attention="rope", prefix=2),
    "positions bias": Transformer(attention="shared", layer_scale=True),
    "masked": Transformer(attention="masked"),
    "norm behind": Transformer(norm="post", attention="split"),
    "gated": Transformer(mlp="gated", layer_scale=True),
    "registers": Transformer(prefix=4),
    "distilled": Transformer(prefix=2, head="distilled"),
    "two together": Transformer(prefix=3, head="two"),
    "softmax inside": Transformer(softmax=True),
    "one block": Transformer(repeats=1),
    "no prefix": Transformer(prefix=0, head="mean", attention="split"),
    "mean of patches": Transformer(prefix=2, head="mean"),
    "rejoined": Transformer(rejoined=True),
}


def oracle(variant: Transformer, **options: Any) -> TokenOracle:
    score = "logit" if variant.softmax else "softmax"
    entry = f"x{variant.repeats - 1}"
    return TokenOracle(variant.build("B"), entry, variant.layer, variant.prefix, **{"score": score, **options})

"""What explains a detector by definition: slopes of log-odds by finite differences, in f64, by onnx's reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator
from tails import EXACT, doubled
from tiny_detectors import Tiny

STEP = 1e-6
NOISE = 1e-8  # slopes of less are those of rounding: 1e-16 of a log-odds over 2e-6
AT_ONCE = 128  # features that are moved, each in an image of its own


@dataclass(frozen=True)
class Slow:
    """A detector with an open batch, cut at `cut`, the finest layer first."""

    tiny: Tiny
    cut: tuple[str, ...]

    @cached_property
    def _parts(self) -> tuple[ReferenceEvaluator, ReferenceEvaluator]:
        model = onnx.shape_inference.infer_shapes(doubled(self.tiny.model))
        names = {value.name for value in (*model.graph.value_info, *model.graph.output)}
        for name in (*self.cut, *self.tiny.truth.values):
            if name not in names:
                model.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None))
        extractor = onnx.utils.Extractor(model)
        head = extractor.extract_model(["image"], list(self.cut))
        tail = extractor.extract_model(list(self.cut), list(self.tiny.truth.values))
        return ReferenceEvaluator(head, new_ops=EXACT), ReferenceEvaluator(tail, new_ops=EXACT)

    def features(self, images: np.ndarray) -> list[np.ndarray]:
        """For each layer [B, C, H, W]."""
        return list(self._parts[0].run(None, {"image": images.astype(np.float64)}))

    def returned(self, images: np.ndarray) -> np.ndarray | None:
        """[B, N]: which of all rows each is that the model returns; None where it returns all."""
        truth = self.tiny.truth
        if truth.returned is None:
            return None
        model = onnx.ModelProto.FromString(self.tiny.model.SerializeToString())
        model.graph.output.append(onnx.helper.make_tensor_value_info(truth.read[0], onnx.TensorProto.FLOAT, None))
        session = ort.InferenceSession(model.SerializeToString())  # onnx's reference gathers from 64 rows at most
        rows, p = session.run([truth.returned, truth.read[0]], {"image": images})
        if rows.shape[2] == truth.classes:
            return np.array([[np.abs(of_all - row).sum(axis=1).argmin() for row in rows[i]] for i, of_all in enumerate(p)])
        pairs = [[np.abs(p[i][:, int(row[5])] - row[4]).argmin() for row in of_image] for i, of_image in enumerate(rows)]
        return np.array(pairs)

    def log_odds(self, features: Sequence[np.ndarray], rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """[B, D]"""
        arrays = self._parts[1].run(None, dict(zip(self.cut, features, strict=True)))
        return self.tiny.truth.log_odds(arrays, rows, labels)

    def gradients(self, images: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
        """For each layer [B, D, C, H, W]: the slopes of the log-odds of rows [B, D]."""
        result = []
        features = self.features(images)
        for layer, feature in enumerate(features):
            slopes = np.zeros((*rows.shape, feature[0].size))
            for image in range(len(images)):
                for start in range(0, feature[0].size, AT_ONCE):
                    elements = np.arange(start, min(start + AT_ONCE, feature[0].size))
                    ends = []
                    for sign in (1, -1):
                        moved = [np.repeat(f[image : image + 1], len(elements), axis=0) for f in features]
                        moved[layer].reshape(len(elements), -1)[np.arange(len(elements)), elements] += sign * STEP
                        each = [np.repeat(array[image : image + 1], len(elements), axis=0) for array in (rows, labels)]
                        ends.append(self.log_odds(moved, *each))
                    slopes[image][:, elements] = ((ends[0] - ends[1]) / (2 * STEP)).T
            slopes[np.abs(slopes) < NOISE] = 0  # a layer's map is scaled by its largest value, which may be 0
            result.append(slopes.reshape(*rows.shape, *feature.shape[1:]))
        return result


def bilinear(maps: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """[..., H, W]: between the middles of cells, one pixel at a time."""
    height, width = maps.shape[-2:]
    large = np.zeros((*maps.shape[:-2], *grid))
    for y, x in np.ndindex(*grid):
        at = [min(max((i + 0.5) * n / m - 0.5, 0), n - 1) for i, n, m in ((y, height, grid[0]), (x, width, grid[1]))]
        (y0, x0), (fy, fx) = (int(a) for a in at), (a - int(a) for a in at)
        y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
        top = maps[..., y0, x0] * (1 - fx) + maps[..., y0, x1] * fx
        bottom = maps[..., y1, x0] * (1 - fx) + maps[..., y1, x1] * fx
        large[..., y, x] = top * (1 - fy) + bottom * fy
    return large


def nearest(maps: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """[..., H, W]: the cell that the middle of a pixel lies in."""
    large = np.zeros((*maps.shape[:-2], *grid))
    for y, x in np.ndindex(*grid):
        large[..., y, x] = maps[..., int((y + 0.5) * maps.shape[-2] / grid[0]), int((x + 0.5) * maps.shape[-1] / grid[1])]
    return large


def slow_layer_cam(features: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> np.ndarray:
    """[B, D, H, W], equations 4 - 6 of the paper for each layer; then its largest over the layers, each over its maximum."""
    maps = []
    for feature, gradient in zip(features, gradients, strict=True):
        layer = np.maximum((np.maximum(gradient, 0) * feature[:, None]).sum(axis=2), 0)
        large = bilinear(layer, features[0].shape[2:])
        peak = large.max(axis=(2, 3), keepdims=True)
        maps.append(large / np.where(peak > 0, peak, 1))
    return np.asarray(np.max(maps, axis=0))


def slow_hires_cam(features: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> np.ndarray:
    """[B, D, H, W]: what each cell adds to the log-odds, of all layers, and no less than 0."""
    total = np.zeros((*gradients[0].shape[:2], *features[0].shape[2:]))
    for feature, gradient in zip(features, gradients, strict=True):
        total += nearest((gradient * feature[:, None]).sum(axis=2), features[0].shape[2:])
    return np.asarray(np.maximum(total, 0))


SLOW = {"layer_cam": slow_layer_cam, "hires_cam": slow_hires_cam}

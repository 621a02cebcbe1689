"""A hooked detector, verified by running: its old outputs are the old ones, its rows are chosen as its own outputs say, and its
maps are made of gradients that are the slopes of the rows' log-odds.

Log-odds are those of the *original* model: the layers' features are put in, changed, and the heads are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from openvino_xai.contract import BOX, CLASS, GATE, GRADIENT, INDEX, MAP, SCORE, WANTED, WANTED_INDEX
from openvino_xai.dialects.open import compile_for
from openvino_xai.dialects.protocol import Deployed, Running, Runtime
from openvino_xai.dialects.random_inputs import random_inputs
from openvino_xai.errors import ModelError, NoneRefused, VerificationError
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import shape_of
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.hooks import SCALES
from openvino_xai.locate.detector import RowLocation
from openvino_xai.locate.layers import is_quantised
from openvino_xai.locate.provenance.returned import OwnRows
from openvino_xai.surgery.emit import emit
from openvino_xai.surgery.rows.decision import RowDecision
from openvino_xai.surgery.rows.levels import ClassLevels, Levels
from openvino_xai.surgery.rows.plan import masks_of, plan_gradients, plan_raw, selected
from openvino_xai.surgery.rows.returned import anchors_in, best_own
from openvino_xai.surgery.verify.finite_differences import step_along
from openvino_xai.surgery.verify.hook import HALF_TOLERANCE, QUANTISED_TOLERANCE, TOLERANCE, Verified
from openvino_xai.surgery.verify.outputs import more_batches, same_outputs
from openvino_xai.tail.rows.masked import MaskGrid
from openvino_xai.tail.rows.pick import EveryClass, RowsAtRunTime, TopBoxes

MASKS = 6  # of a row, that are held to the original model, beside the one of the largest value
CHECKED = 4  # rows of an image whose maps and gradients are held to the original model
SMALLEST = 1e-30
CLASS_TOLERANCE = 1e-3  # log-odds near the ends of what f32 tells apart
TIES = 1e-5  # probabilities nearer than that may change places


def verify_rows(
    original: Deployed, hooked: Deployed, location: RowLocation, decision: RowDecision, *, cost: float = 1.0
) -> Verified:
    """Run both models on random batches, by each runtime that was decided on. Raises VerificationError."""
    results = [_verify_in(_Reference(original, location, decision, name), hooked, cost) for name in decision.runtimes]
    difference = float(np.max([result.difference for result in results]))
    return replace(results[0], difference=difference, runtimes=decision.runtimes)


@dataclass(frozen=True)
class _Reference:
    """The model without a hook, and what was decided of the hook."""

    model: Deployed
    location: RowLocation
    decision: RowDecision
    runtime: Runtime

    def compiled(self, model: Deployed) -> Running:
        return compile_for(model, self.runtime)

    def plain(self) -> Running:
        """The model as its file has it."""
        conversion = self.model.conversion
        return self.compiled(self.model if conversion is None else conversion.original)


def _verify_in(original: _Reference, hooked: Deployed, cost: float) -> Verified:
    decision, runtime, location = original.decision, original.runtime, original.location
    inputs = random_inputs(original.model)
    reference, running = original.plain(), original.compiled(hooked)
    plain = reference(inputs)
    batch = len(next(iter(inputs.values())))
    extra = {**_wanted(location, decision, batch), **({GATE: np.ones(batch, bool)} if decision.gate != "off" else {})}
    new = running({**inputs, **extra})
    same_outputs(plain, new, runtime)
    for other in more_batches(original.model, plain, cost):
        count = min(batch, len(next(iter(other.values()))))
        same_outputs(reference(other), running({**other, **{name: array[:count] for name, array in extra.items()}}), runtime)
    if decision.gate != "off":
        _hold_gates(running, inputs=inputs, extra=extra, plain=plain, new=new, runtime=runtime)
    if not np.isfinite(new[MAP]).all():
        raise VerificationError("the maps hold values that are not finite")
    if isinstance(decision.pick, EveryClass):
        return Verified(len(new[MAP]), new[MAP][0].size, _held_classes(original, inputs, new[MAP]), (runtime,), inputs, new)
    if isinstance(decision.pick, TopBoxes):
        _hold_selection(original, inputs, new, decision.pick.count)
        index, label = new[INDEX], new[CLASS]
    else:
        index, label = extra[WANTED_INDEX], extra[WANTED]
    _hold_alone(running, inputs, extra, new)
    hold = _hold_masked if decision.traits.masks else _hold_maps
    difference = hold(original, inputs, new[MAP], _among_all(original, inputs, index), label)
    tolerance = QUANTISED_TOLERANCE if is_quantised(original.model.graph) else TOLERANCE
    if np.float16 in {value.dtype for value in location.cut}:
        tolerance = max(tolerance, HALF_TOLERANCE)
    if not difference <= tolerance:
        raise VerificationError(
            f"the maps differ from their definition by {difference:.2g} of their largest value in {runtime}, more than "
            f"{tolerance:g}: layers '{location.layer.name}' are not explained as they should be; choose others",
            options=("layer",),
        )
    return Verified(len(new[MAP]), CHECKED, difference, (runtime,), {**inputs, **extra}, new)


def _wanted(location: RowLocation, decision: RowDecision, batch: int) -> dict[str, np.ndarray]:
    """Rows that are asked for: of every level, and of all sorts of classes."""
    if not isinstance(decision.pick, RowsAtRunTime):
        return {}
    rng, rows, shape = np.random.default_rng(4), location.rows, (batch, decision.pick.count)
    if rows.returned is not None:
        return {WANTED_INDEX: rng.integers(0, rows.returned.count, shape), WANTED: rng.integers(0, rows.classes, shape)}
    levels = rng.integers(0, len(location.table.levels), shape)
    index = np.array([[rng.choice(np.flatnonzero(location.table.level == level)) for level in row] for row in levels])
    return {WANTED_INDEX: index.astype(np.int64), WANTED: rng.integers(0, rows.classes, shape).astype(np.int64)}


def _hold_gates(
    running: Running,
    *,
    inputs: Mapping[str, np.ndarray],
    extra: Mapping[str, np.ndarray],
    plain: dict[str, np.ndarray],
    new: dict[str, np.ndarray],
    runtime: Runtime,
) -> None:
    """Hold maps of some images, and of none, to those of all."""
    batch = len(new[MAP])
    for gates in (np.arange(batch) % 2 == 1, np.zeros(batch, bool)):
        try:
            outputs = running({**inputs, **extra, GATE: gates})
        except ModelError as error:
            if gates.any():
                raise
            raise NoneRefused(f"the runtime cannot explain no image at all: {error}") from error
        same_outputs(plain, outputs, runtime)
        for name in (MAP, CLASS, INDEX, BOX, SCORE):
            if name in outputs and outputs[name][~gates].any():
                raise VerificationError(f"'{name}' is not 0 for an image that is not asked for")
            if name in outputs and not np.allclose(outputs[name][gates], new[name][gates], atol=TOLERANCE, rtol=TOLERANCE):
                raise VerificationError(f"'{name}' of an image changes when another is not asked for")


def _hold_alone(
    running: Running, inputs: Mapping[str, np.ndarray], extra: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray]
) -> None:
    """Hold each image's maps to what it gives with the images in another order. Raises VerificationError."""
    if len(new[MAP]) < 2:
        return
    turned = running({name: array[::-1] for name, array in {**inputs, **extra}.items()})
    for name in (MAP, SCORE):
        if name in new and not np.allclose(turned[name][::-1].astype(float), new[name].astype(float), atol=1e-3, rtol=1e-3):
            raise VerificationError(f"'{name}' of an image depends on which images stand beside it")


def _hold_selection(original: _Reference, inputs: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray], count: int) -> None:
    """Hold rows, classes, boxes and scores to what the original model's own outputs say. Raises VerificationError."""
    rows, boxes = original.location.rows, original.location.boxes
    assert boxes is not None
    read = {**{f"rows {name}": value for name, value in rows.read.items()}, **{f"box {n}": v for n, v in boxes.read.items()}}
    values = original.compiled(original.model.probing(read=read, inputs={}))(inputs)
    arrays = {name: values[f"rows {name}"] for name in rows.read}
    numbers = {name: values[f"box {name}"] for name in boxes.read}
    if rows.returned is None:
        expected = selected(numpy_namespace(), original.location, arrays, numbers, count)
    else:
        decoded = boxes.decoded(numpy_namespace(), [numbers[name] for name in boxes.read])
        returned = _returned(original, inputs, rows.returned)
        expected, _ = best_own(numpy_namespace(), rows.returned, returned, boxes=decoded, count=count)
    for name, array in ((SCORE, expected.scores), (BOX, expected.boxes), (CLASS, expected.classes), (INDEX, expected.index)):
        close = np.isclose(new[name], array, atol=1e-3 * max(1.0, float(np.abs(array).max())), rtol=1e-3)
        ties = np.abs(np.diff(expected.scores, axis=1, append=-1)) < TIES
        ties |= np.abs(np.diff(expected.scores, axis=1, prepend=2)) < TIES
        settled = ~ties.reshape(*ties.shape, *[1] * (close.ndim - 2))
        if not (close | ~settled).all():
            raise VerificationError(f"'{name}' is not what the model's own outputs say: the rows that are explained are others")


def _returned(original: _Reference, inputs: Mapping[str, np.ndarray], returned: OwnRows) -> tuple[np.ndarray, np.ndarray]:
    """The rows [B, N, n] that a model returns, and which of all rows [B, N] each is."""
    names = {"ovxai_own": returned.output, "ovxai_source": returned.source}
    values = original.compiled(original.model.probing(read=names, inputs={}))(inputs)
    return values["ovxai_own"], anchors_in(returned, values["ovxai_source"], values["ovxai_own"])


def _among_all(original: _Reference, inputs: Mapping[str, np.ndarray], index: np.ndarray) -> np.ndarray:
    """[B, D]: which of all rows those are that a model returns at an index; -1 stays what it is."""
    returned = original.location.rows.returned
    if returned is None:
        return index
    _, anchors = _returned(original, inputs, returned)
    return np.where(index < 0, -1, np.take_along_axis(anchors, np.maximum(index, 0), axis=1))


def _held_classes(original: _Reference, inputs: Mapping[str, np.ndarray], maps: np.ndarray) -> float:
    """Hold maps of classes to what the original model's heads say: the largest difference. Raises VerificationError."""
    decision, table, xp = original.decision, original.location.table, numpy_namespace()
    names = {head.value: f"ovxai_head_{i}" for i, head in enumerate(original.location.rows.heads)}
    outputs = original.compiled(original.model.probing(read={name: v for v, name in names.items()}, inputs={}))(inputs)
    site = ClassLevels(xp, table, lambda head: outputs[names[head]])
    expected = scaled(decision.traits.hook(xp, site), decision)
    error = np.maximum(np.abs(maps.astype(np.float64) - expected).max(axis=(2, 3)) - (1 if decision.scale == "u8" else 0), 0)
    difference = float((error / np.maximum(np.abs(expected).max(axis=(2, 3)), SMALLEST)).max())
    if not difference <= CLASS_TOLERANCE:
        raise VerificationError(f"the maps of classes differ by {difference:.2g} from what the model's heads say")
    return difference


def scaled(maps: np.ndarray, decision: RowDecision) -> np.ndarray:
    """[B, D, H, W], f64: maps on the scale that was decided."""
    by_mask = SCALES[decision.scale](numpy_namespace(), maps.reshape(*maps.shape[:2], -1).transpose(0, 2, 1))
    return np.asarray(by_mask.transpose(0, 2, 1).reshape(maps.shape), np.float64)


def _hold_maps(
    original: _Reference, inputs: dict[str, np.ndarray], maps: np.ndarray, index: np.ndarray, label: np.ndarray
) -> float:
    """Hold gradients to slopes, and maps to what their method makes of them: the largest difference, as a share of the map."""
    location, decision = original.location, original.decision
    chosen = np.unique(np.linspace(0, index.shape[1] - 1, CHECKED).astype(int))
    index, label, maps = index[:, chosen], label[:, chosen], maps[:, chosen]
    there = index >= 0
    index, label = np.maximum(index, 0), np.maximum(label, 0)
    grown = original.model.twin()
    plan = plan_gradients(location.within(grown.graph), decision, len(chosen))
    emit(plan, grown)
    asked_for = {**inputs, WANTED_INDEX: index.astype(np.int64), WANTED: label.astype(np.int64)}
    gradients = original.compiled(grown)(asked_for)
    slopes = [gradients[f"{GRADIENT} {i}"].astype(np.float64) for i in range(len(location.cut))]
    tail = LogOdds(original, inputs, index, label)
    flat = np.concatenate([slope.reshape(*slope.shape[:2], -1) for slope in slopes], axis=2)
    for place in range(len(chosen)):
        step_along(
            tail,
            tail.features,
            flat[:, place],
            [place] * len(flat),
            cells=(1,),
            where=f"layers '{location.layer.name}'",
            quantised=is_quantised(original.model.graph),
        )
    site = ArrayRowSite(tail.arrays, slopes)
    true = decision.traits.hook(numpy_namespace(), site)
    expected = scaled(true, decision) * there[:, :, None, None]
    error = np.maximum(np.abs(maps - expected).max(axis=(2, 3)) - (1 if decision.scale == "u8" else 0), 0)
    return float((error / np.maximum(np.abs(expected).max(axis=(2, 3)), SMALLEST))[there].max(initial=0))


def _hold_masked(
    original: _Reference, inputs: dict[str, np.ndarray], maps: np.ndarray, index: np.ndarray, label: np.ndarray
) -> float:
    """Hold maps of masks to the original heads for masked layers: the largest difference, as a share of the log-odds."""
    location, decision = original.location, original.decision
    chosen = np.unique(np.linspace(0, index.shape[1] - 1, CHECKED).astype(int))
    index, label, maps = index[:, chosen], label[:, chosen], maps[:, chosen]
    there = index >= 0
    index, label = np.maximum(index, 0), np.maximum(label, 0)
    grown = original.model.twin()
    emit(plan_raw(location.within(grown.graph), decision, len(chosen)), grown)
    raw = original.compiled(grown)({**inputs, WANTED_INDEX: index.astype(np.int64), WANTED: label.astype(np.int64)})[MAP]
    expected = scaled(raw, decision) * there[:, :, None, None]
    off = np.maximum(np.abs(maps - expected).max(axis=(2, 3)) - (1 if decision.scale == "u8" else 0), 0)
    difference = float((off / np.maximum(np.abs(expected).max(axis=(2, 3)), SMALLEST))[there].max(initial=0))
    tail, masks = LogOdds(original, inputs, index, label), masks_of(location, decision)
    assert masks is not None
    plain = tail.at(tail.arrays)
    scale = np.maximum(np.abs(plain), 1.0)
    rng, (height, width) = np.random.default_rng(5), raw.shape[2:]
    for image, place in np.argwhere(there):
        top = np.unravel_index(raw[image, place].argmax(), (height, width))
        for h, w in [top, *zip(rng.integers(0, height, MASKS), rng.integers(0, width, MASKS), strict=True)]:
            weights = _weights(original, masks.grid, (int(h), int(w)), (height, width), int(index[image, place]))
            pairs = list(zip(tail.arrays, weights, strict=True))
            z = tail.at([(x * (1 - m if masks.drop else m)).astype(x.dtype) for x, m in pairs])[image, place]
            z = plain[image, place] - z if masks.drop else z
            difference = max(difference, float(abs(raw[image, place, h, w] - z) / scale[image, place]))
    return difference


def _weights(
    original: _Reference, grid: MaskGrid | None, cell: tuple[int, int], cells: tuple[int, int], row: int
) -> list[np.ndarray]:
    """[H, W] for each layer: what the mask of a cell keeps of it."""
    location, weights = original.location, []
    level = location.table.levels[location.table.level[row]].grid
    for value in location.cut:
        height, width = concrete(shape_of(value)[2:], f"layer '{value.name}'")
        weight = np.zeros((height, width))
        for y in range(height):
            for x in range(width):
                if grid is None:  # a cell of the row's own level, as often as the finest one is finer
                    here = (cell[0] * level[0] // cells[0], cell[1] * level[1] // cells[1])
                    weight[y, x] = float((height, width) == level and (y, x) == here)
                elif original.decision.kernel == "gaussian":
                    down = (y + 0.5) * grid.rows / height - 0.5 - cell[0]
                    across = (x + 0.5) * grid.columns / width - 0.5 - cell[1]
                    weight[y, x] = np.exp(-(down**2 + across**2) / (2 * 1.5**2))
                else:
                    lies_in = int((y + 0.5) * grid.rows / height), int((x + 0.5) * grid.columns / width)
                    weight[y, x] = float(lies_in == cell)
        weights.append(weight)
    return weights


class LogOdds:
    """The log-odds of D rows of each image as a function of the layers' features, by the original model's own nodes."""

    def __init__(self, original: _Reference, inputs: dict[str, np.ndarray], index: np.ndarray, label: np.ndarray) -> None:
        self._rows, self._index, self._label, self._inputs = original.location.rows, index, label, inputs
        cut = {f"ovxai_cut_{i}": value for i, value in enumerate(original.location.cut)}
        outputs = original.compiled(original.model.probing(read=cut, inputs={}))(inputs)
        self.arrays = [outputs[name] for name in cut]
        self._names, self._shapes = list(cut), [array.shape for array in self.arrays]
        heads = {
            f"ovxai_head_{f}_{i}": head.value
            for f, factor in enumerate(self._rows.factors)
            for i, head in enumerate(factor.heads)
        }
        self._tail = original.compiled(original.model.probing(read=heads, inputs=cut))

    @property
    def features(self) -> np.ndarray:
        """[B, everything]: all layers, side by side."""
        return np.concatenate([array.reshape(len(array), -1) for array in self.arrays], axis=1).astype(np.float64)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """[B, D], f64."""
        values, start = {}, 0
        for name, shape, array in zip(self._names, self._shapes, self.arrays, strict=True):
            size = int(np.prod(shape[1:]))
            values[name] = features[:, start : start + size].reshape(shape).astype(array.dtype)
            start += size
        return self._of(values)

    def at(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """[B, D], f64: where the layers hold these arrays."""
        return self._of(dict(zip(self._names, arrays, strict=True)))

    def _of(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        heads = self._tail({**self._inputs, **values})
        return self.of_heads(lambda f, i: heads[f"ovxai_head_{f}_{i}"])

    def of_heads(self, head_at: Callable[[int, int], np.ndarray]) -> np.ndarray:
        """[B, D]: the sum over factors of the log-odds of each row's score."""
        total = np.zeros(self._index.shape)
        for f, factor in enumerate(self._rows.factors):
            for (image, place), row in np.ndenumerate(self._index):
                head = head_at(f, int(factor.level[row]))[image].reshape(-1).astype(np.float64)
                logits = head[factor.element[row]]
                total[image, place] += log_odds(logits, int(self._label[image, place]), factor.squash)
        return total


def log_odds(logits: np.ndarray, label: int, squash: str) -> float:
    """log(p / (1 - p)) of one class: its logit for a sigmoid; of a softmax, less the log of the others' summed exponents."""
    if squash != "softmax" or len(logits) == 1:
        return float(logits[label if len(logits) > 1 else 0])
    others = np.delete(logits, label)
    most = others.max()
    return float(logits[label] - most - np.log(np.exp(others - most).sum()))


@dataclass(frozen=True)
class ArrayRowSite(Levels):
    """The `RowSite` of arrays: features [B, C, H, W] and gradients [B, D, C, H, W] of each layer."""

    features: Sequence[np.ndarray]
    slopes: Sequence[np.ndarray]
    xp: Any = field(default_factory=numpy_namespace)

    @property
    def grids(self) -> list[tuple[int, int]]:  # type: ignore[override]
        """(H, W) of each layer."""
        return [(array.shape[2], array.shape[3]) for array in self.features]

    def products(self, weigh: Callable[[Any, np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """L of [B, D, H, W]."""
        pairs = zip(self.features, self.slopes, strict=True)
        return [(array[:, None].astype(np.float64) * weigh(self.xp, slope)).sum(axis=2) for array, slope in pairs]

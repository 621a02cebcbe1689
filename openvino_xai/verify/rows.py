"""A hooked detector, verified by running: its old outputs are the old ones, its rows are chosen as its own outputs say, and its
maps are made of gradients that are the slopes of the rows' log-odds.

Log-odds are those of the *original* model: the layers' features are put in, changed, and the heads are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openvino_xai.contract import BOX, CLASS, GATE, GRADIENT, INDEX, MAP, SCORE, WANTED, WANTED_INDEX
from openvino_xai.dialects.protocol import Deployed, Running
from openvino_xai.errors import VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import shape_of
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.locate.detector import RowLocation
from openvino_xai.locate.layers import is_quantised
from openvino_xai.locate.located import counterparts
from openvino_xai.locate.provenance.probe import Probe
from openvino_xai.plan.emit import emit
from openvino_xai.plan.rows.decision import RowDecision
from openvino_xai.plan.rows.hook import masks_of, plan_chosen, plan_gradients, plan_raw, selected
from openvino_xai.plan.rows.levels import ClassLevels, Levels, scaled
from openvino_xai.plan.rows.queries import ArrayQuerySite
from openvino_xai.plan.rows.returned import ListedRows
from openvino_xai.tail.rows.masked import MaskGrid
from openvino_xai.tail.rows.pick import EveryClass, RowsAtRunTime, TopBoxes
from openvino_xai.tail.rows.queries import rankings
from openvino_xai.verify.finite_differences import step_along
from openvino_xai.verify.hook import QUANTISED_TOLERANCE, Verified, tolerance_of
from openvino_xai.verify.images import SampleImages
from openvino_xai.verify.original import Original, worst
from openvino_xai.verify.outputs import TOLERANCE, hold_gates, more_batches, refuse_random, same_outputs
from openvino_xai.verify.sight import Comparison, Sight, spread_of

MASKS = 6  # of a row, that are held to the original model, beside the one of the largest value
CHECKED = 4  # rows of an image whose maps and gradients are held to the original model
SMALLEST = 1e-30
CLASS_TOLERANCE = 1e-3  # log-odds near the ends of what f32 tells apart
FIRST = 20  # boxes on a list of a length that only a run knows
ROWS, OF_BOX = "rows", "box"  # what values are called that are read of the original model
TIES = 1e-5  # probabilities nearer than that may change places


def verify_rows(
    original: Deployed, hooked: Deployed, location: RowLocation, decision: RowDecision, *, cost: float = 1.0
) -> Verified:
    """Run both models on batches of sample images, by each runtime that was decided on. Raises VerificationError."""
    references = [
        _Reference(model=original, runtime=runtime, location=location, decision=decision) for runtime in decision.runtimes
    ]
    results = [_verify_in(reference, hooked, cost) for reference in references]
    sights = (min((result.sights[0] for result in results), key=lambda sight: sight.spread),)
    difference = worst(result.difference for result in results)
    return replace(results[0], difference=difference, runtimes=decision.runtimes, sights=sights)


@dataclass(frozen=True, kw_only=True)
class _Reference(Original):
    """The model without a hook, and what was decided of the hook at a location of it."""

    location: RowLocation
    decision: RowDecision


def _verify_in(original: _Reference, hooked: Deployed, cost: float) -> Verified:
    decision, runtime, location = original.decision, original.runtime, original.location
    slopes = not decision.traits.masks and not isinstance(decision.pick, EveryClass)
    images = SampleImages(original.model, location.image, location.image_place, slopes=slopes)
    inputs = images.batch()
    reference, running = original.plain(), original.compiled(hooked)
    plain = reference(inputs)
    refuse_random(plain, reference(inputs))
    batch = len(next(iter(inputs.values())))
    extra = {**_wanted(location, decision, batch), **({GATE: np.ones(batch, bool)} if decision.gate != "off" else {})}
    new = running({**inputs, **extra})
    same_outputs(plain, new, runtime)
    for other in more_batches(images, plain, cost):
        count = min(batch, len(next(iter(other.values()))))
        same_outputs(reference(other), running({**other, **{name: array[:count] for name, array in extra.items()}}), runtime)
    if decision.gate != "off":
        hold_gates(running, inputs={**inputs, **extra}, plain=plain, new=new, runtime=runtime)
    if not np.isfinite(new[MAP]).all():
        raise VerificationError("the maps hold values that are not finite")
    if isinstance(decision.pick, EveryClass):
        difference, spreads = _held_classes(original, inputs, new[MAP])
        return Verified(
            len(new[MAP]),
            new[MAP][0].size,
            difference,
            (runtime,),
            inputs,
            new,
            (Sight(spreads, CLASS_TOLERANCE),),
            images.content,
        )
    listed = _listed(original, original.probing(read=_named(location))(inputs))
    if isinstance(decision.pick, TopBoxes):
        _hold_selection(original, inputs, new, count=decision.pick.count)
        if listed is not None:
            _hold_scattered(original, inputs, count=decision.pick.count)
        index, label = new[INDEX], new[CLASS]
    else:
        index, label = extra[WANTED_INDEX], extra[WANTED]
    _hold_alone(running, inputs, extra, new)
    checked = _Checked.of(new[MAP], index if listed is None else _among_all(listed, index), label)
    comparison = (_hold_masked if decision.traits.masks else _hold_maps)(original, inputs, checked)
    tolerance = QUANTISED_TOLERANCE if is_quantised(original.model.graph) else TOLERANCE
    tolerance = max(tolerance, tolerance_of(location.cut))
    if not comparison.difference <= tolerance:
        raise VerificationError(
            f"the maps differ from their definition by {comparison.difference:.2g} of their largest value in {runtime}, more "
            f"than {tolerance:g}: layers '{location.layer.name}' are not explained as they should be; choose others",
            options=("layer",),
        )
    sights = (Sight(comparison.spreads, tolerance),)
    sample = {**inputs, **extra}
    return Verified(len(new[MAP]), comparison.cells, comparison.difference, (runtime,), sample, new, sights, images.content)


def _wanted(location: RowLocation, decision: RowDecision, batch: int) -> dict[str, np.ndarray]:
    """Rows that are asked for: of every level, and of all sorts of classes."""
    if not isinstance(decision.pick, RowsAtRunTime):
        return {}
    rng, rows, shape = np.random.default_rng(4), location.rows, (batch, decision.pick.count)
    if rows.returned is not None:
        index = rng.integers(0, FIRST if rows.returned.count is None else rows.returned.count, shape)
        return {WANTED_INDEX: index, WANTED: rng.integers(0, rows.classes, shape)}
    if rows.of_queries:
        return {WANTED_INDEX: rng.integers(0, rows.count, shape), WANTED: rng.integers(0, rows.classes, shape)}
    levels = rng.integers(0, len(location.table.levels), shape)
    index = np.array([[rng.choice(np.flatnonzero(location.table.level == level)) for level in row] for row in levels])
    return {WANTED_INDEX: index.astype(np.int64), WANTED: rng.integers(0, rows.classes, shape).astype(np.int64)}


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


def _hold_selection(
    original: _Reference,
    inputs: Mapping[str, np.ndarray],
    new: Mapping[str, np.ndarray],
    *,
    count: int,
) -> None:
    """Hold rows, classes, boxes and scores to what the original model's own outputs say. Raises VerificationError."""
    results = original.probing(read=_named(original.location))(inputs)
    _hold_chosen(original, results, new, count=count)


def _hold_chosen(original: _Reference, results: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray], *, count: int) -> None:
    """Hold what a hook says of the boxes that it explains to the `results` of the original model. Raises VerificationError."""
    location, boxes = original.location, original.location.boxes
    assert boxes is not None
    arrays = {name: results[f"{ROWS} {name}"] for name in location.rows.read}
    listed = _listed(original, results)
    if listed is None:
        numbers = {name: results[f"{OF_BOX} {name}"] for name in boxes.read}
        expected = selected(numpy_namespace(), location, arrays, numbers, count)
    else:
        expected = listed.best(count).detections
        _hold_list(listed, new)
    ties = np.abs(np.diff(expected.scores, axis=1, append=-1)) < TIES
    ties |= np.abs(np.diff(expected.scores, axis=1, prepend=2)) < TIES
    for name, array in ((SCORE, expected.scores), (BOX, expected.boxes), (CLASS, expected.classes), (INDEX, expected.index)):
        close = np.isclose(new[name], array, atol=1e-3 * max(1.0, float(np.abs(array).max())), rtol=1e-3)
        settled = ~ties.reshape(*ties.shape, *[1] * (close.ndim - 2))
        if not (close | ~settled).all():
            raise VerificationError(f"'{name}' is not what the model's own outputs say: the rows that are explained are others")


def _hold_scattered(original: _Reference, inputs: Mapping[str, np.ndarray], *, count: int) -> None:
    """As `_hold_selection`, while the heads hold random scores: of noise, a model may list no box at all."""
    location, probe = original.location, Probe(original.model)
    arrays = {f"ovxai_head_{i}": pair for i, pair in enumerate(probe.scattered(location.rows.elements).items())}
    grown = original.model.twin()
    here = location.within(grown.graph)
    emit(plan_chosen(here, original.decision), grown)
    feeds = {name: array[: probe.batch] for name, array in inputs.items()} | {name: pair[1] for name, pair in arrays.items()}
    values, read = {name: pair[0] for name, pair in arrays.items()}, _named(location)
    counterpart = counterparts(location.graph, here.graph)
    results = [
        original.compiled(model)(feeds)
        for model in (
            original.model.probing(read=read, inputs=values),
            grown.probing(read={}, inputs={name: counterpart[value] for name, value in values.items()}),
        )
    ]
    _hold_chosen(original, *results, count=count)


def _hold_list(listed: ListedRows, new: Mapping[str, np.ndarray]) -> None:
    """Hold each box to what the model's own list has at its index. Raises VerificationError."""
    for image, index in enumerate(new[INDEX]):
        there = index >= 0
        scores, labels = listed.scores[image], listed.labels[image]
        if (index >= len(scores)).any() or not (
            np.allclose(scores[index[there]], new[SCORE][image][there], atol=TIES)
            and (labels[index[there]] == new[CLASS][image][there]).all()
        ):
            raise VerificationError(f"'{INDEX}' is not where the model's own list has the boxes that are explained")


def _named(location: RowLocation) -> dict[str, Value]:
    """What is read of the original model to tell which rows there are, by names."""
    rows, boxes = location.rows, location.boxes
    named = {f"{ROWS} {name}": value for name, value in rows.read.items()}
    values = [] if rows.returned is None else list(rows.returned.values)
    if boxes is not None:
        named |= {f"{OF_BOX} {name}": value for name, value in boxes.read.items()}
        values += [] if boxes.listed is None else [boxes.listed.columns.value]
    return named | {f"ovxai_own_{i}": value for i, value in enumerate(dict.fromkeys(values))}


def _listed(original: _Reference, results: Mapping[str, np.ndarray]) -> ListedRows | None:
    """The list that the original model makes of its rows; None where it returns all."""
    location = original.location
    if location.rows.returned is None or location.boxes is None:
        return None
    by_value = {value: results[name] for name, value in _named(location).items()}
    return ListedRows(numpy_namespace(), location.rows, location.boxes, by_value.__getitem__)


def _among_all(listed: ListedRows, index: np.ndarray) -> np.ndarray:
    """[B, D]: which of all rows those are that a model lists at an index; -1 for those that it does not."""
    chosen = listed.at(index)
    return np.where(chosen.there, chosen.anchors, -1)


def _held_classes(original: _Reference, inputs: Mapping[str, np.ndarray], maps: np.ndarray) -> tuple[float, tuple[float, ...]]:
    """Hold maps of classes to what the original model's heads say: the largest difference, and what each map spreads.

    Raises VerificationError.
    """
    decision, table, xp = original.decision, original.location.table, numpy_namespace()
    names = {head.value: f"ovxai_head_{i}" for i, head in enumerate(original.location.rows.heads)}
    outputs = original.probing(read={name: value for value, name in names.items()})(inputs)
    site = ClassLevels(xp, table, lambda head: outputs[names[head]])
    true = decision.traits.hook(xp, site)
    difference = _off(maps, true, decision)
    if not difference <= CLASS_TOLERANCE:
        raise VerificationError(f"the maps of classes differ by {difference:.2g} from what the model's heads say")
    return difference, tuple(_spreads(true, np.ones(maps.shape[:2], bool)))


def _off(maps: np.ndarray, expected: np.ndarray, decision: RowDecision, there: np.ndarray | None = None) -> float:
    """The largest difference of maps from those `expected`, once on their scale, as a share of each one's largest value.

    Where rows are not `there`, [B, D], maps are 0, and no share is taken.
    """
    there = np.ones(maps.shape[:2], bool) if there is None else there
    true = np.asarray(scaled(numpy_namespace(), expected, decision.scale), np.float64) * there[:, :, None, None]
    error = np.maximum(np.abs(maps.astype(np.float64) - true).max(axis=(2, 3)) - (1 if decision.scale == "u8" else 0), 0)
    return worst((error / np.maximum(np.abs(true).max(axis=(2, 3)), SMALLEST))[there])


def _spreads(maps: np.ndarray, there: np.ndarray) -> list[float]:
    """How far the cells of each map [B, D, H, W] lie apart, as a share of its largest value, of those that are `there`."""
    return [spread_of(saliency, float(np.abs(saliency).max())) for saliency in np.asarray(maps)[there]]


@dataclass(frozen=True)
class _Checked:
    """Some rows of each image with their maps [B, D, H, W]: `index` and `label` [B, D] of all rows, 0 for those not `there`."""

    maps: np.ndarray
    index: np.ndarray
    label: np.ndarray
    there: np.ndarray

    @classmethod
    def of(cls, maps: np.ndarray, index: np.ndarray, label: np.ndarray) -> _Checked:
        """Of all that a hook explains, -1 for a row that is not there: the first, the last, and between."""
        chosen = np.unique(np.linspace(0, index.shape[1] - 1, CHECKED).astype(int))
        rows, labels = (np.maximum(ids[:, chosen], 0).astype(np.int64) for ids in (index, label))
        return cls(maps[:, chosen], rows, labels, index[:, chosen] >= 0)

    @property
    def count(self) -> int:
        """D."""
        return int(self.index.shape[1])

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """What asks for these rows."""
        return {WANTED_INDEX: self.index, WANTED: self.label}


def _hold_maps(original: _Reference, inputs: dict[str, np.ndarray], checked: _Checked) -> Comparison:
    """Hold gradients to slopes, and maps to what their method makes of them, in shares of the map."""
    location, decision = original.location, original.decision
    grown = original.model.twin()
    emit(plan_gradients(location.within(grown.graph), decision, checked.count), grown)
    gradients = original.compiled(grown)({**inputs, **checked.inputs})
    slopes = [gradients[f"{GRADIENT} {i}"].astype(np.float64) for i in range(len(location.cut))]
    tail = LogOdds(original, inputs, checked)
    flat = np.concatenate([slope.reshape(*slope.shape[:2], -1) for slope in slopes], axis=2)
    for place in range(checked.count):
        step_along(
            tail,
            tail.features,
            flat[:, place],
            [place] * len(flat),
            cells=(1,),
            where=f"layers '{location.layer.name}'",
            quantised=is_quantised(original.model.graph),
        )
    if location.rows.of_queries:
        site: ArrayRowSite | ArrayQuerySite = ArrayQuerySite(location.layer.cut, tail.arrays, slopes)
    else:
        site = ArrayRowSite(tail.arrays, slopes)
    true = decision.traits.hook(numpy_namespace(), site)
    difference = _off(checked.maps, true, decision, checked.there)
    return Comparison(CHECKED, difference, tuple(_spreads(true, checked.there)))


def _hold_masked(original: _Reference, inputs: dict[str, np.ndarray], checked: _Checked) -> Comparison:
    """Hold maps of masks to the original heads for masked layers, in shares of the log-odds."""
    location, decision = original.location, original.decision
    grown = original.model.twin()
    emit(plan_raw(location.within(grown.graph), decision, checked.count), grown)
    raw = original.compiled(grown)({**inputs, **checked.inputs})[MAP]
    tail, masks = LogOdds(original, inputs, checked), masks_of(location, decision)
    assert masks is not None
    differences = [_off(checked.maps, raw, decision, checked.there)]
    plain = tail.at(tail.arrays)
    scale = np.maximum(np.abs(plain), 1.0)
    rng, (height, width) = np.random.default_rng(5), raw.shape[2:]
    for image, place in np.argwhere(checked.there):
        top = np.unravel_index(raw[image, place].argmax(), (height, width))
        for h, w in [top, *zip(rng.integers(0, height, MASKS), rng.integers(0, width, MASKS), strict=True)]:
            weights = _weights(original, masks.grid, (int(h), int(w)), (height, width), int(checked.index[image, place]))
            pairs = list(zip(tail.arrays, weights, strict=True))
            z = tail.at([(x * (1 - m if masks.drop else m)).astype(x.dtype) for x, m in pairs])[image, place]
            z = plain[image, place] - z if masks.drop else z
            differences.append(abs(float(raw[image, place, h, w] - z)) / scale[image, place])
    spreads = [spread_of(raw[image, place], scale[image, place]) for image, place in np.argwhere(checked.there)]
    return Comparison(CHECKED, worst(differences), tuple(spreads))


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
                if grid is None:  # a cell of the row's own level: the one that the middle of the finest level's cell lies in
                    here = tuple(int((at + 0.5) * n / m) for at, n, m in zip(cell, level, cells, strict=True))
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
    """The log-odds of D rows of each image as a function of the layers' features, by the original model's own nodes.

    Where the model ranks rows in between, to pick its queries, the ranks are held: the features are moved, and the rows that
    were picked of them stay picked. So it is where no pick changes, and a pick has no slope.
    """

    def __init__(self, original: _Reference, inputs: dict[str, np.ndarray], checked: _Checked) -> None:
        self._rows, self._checked, self._inputs = original.location.rows, checked, inputs
        location = original.location
        cut = {f"ovxai_cut_{i}": value for i, value in enumerate(location.cut)}
        ranks = {f"ovxai_rank_{i}": value for i, value in enumerate(rankings(location.graph, location.cut, location.rows))}
        outputs = original.probing(read={**cut, **ranks})(inputs)
        self.arrays, self._ranks = [outputs[name] for name in cut], {name: outputs[name] for name in ranks}
        self._names, self._shapes = list(cut), [array.shape for array in self.arrays]
        heads = {
            f"ovxai_head_{f}_{i}": head.value
            for f, factor in enumerate(self._rows.factors)
            for i, head in enumerate(factor.heads)
        }
        self._tail = original.probing(read=heads, inputs={**cut, **ranks})

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
        """[B, D]: the sum over factors of the log-odds of each row's score."""
        heads, checked = self._tail({**self._inputs, **self._ranks, **values}), self._checked
        total = np.zeros(checked.index.shape)
        for f, factor in enumerate(self._rows.factors):
            for (image, place), row in np.ndenumerate(checked.index):
                head = heads[f"ovxai_head_{f}_{factor.level[row]}"][image].reshape(-1).astype(np.float64)
                scale = self._rows.scale(factor)
                total[image, place] += log_odds(head[factor.element[row]], int(checked.label[image, place]), scale)
        return total


def log_odds(logits: np.ndarray, label: int, squash: str) -> float:
    """log(p / (1 - p)) of one class: its logit for a sigmoid; of a softmax, less the log of the others' summed exponents."""
    if squash != "softmax" or len(logits) == 1:
        return float(logits[label if len(logits) > 1 else 0])
    others = np.delete(logits, label)
    most = others.max()
    return float(logits[label] - most - np.log(np.exp(others - most).sum()))


class ArrayRowSite(Levels):
    """The `RowSite` of arrays: features [B, C, H, W] and gradients [B, D, C, H, W] of each layer."""

    def __init__(self, features: Sequence[np.ndarray], slopes: Sequence[np.ndarray]) -> None:
        super().__init__(numpy_namespace(), [(array.shape[2], array.shape[3]) for array in features])
        self._features, self._slopes = features, slopes

    def products(self, weigh: Callable[[Any, np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """L of [B, D, H, W]."""
        pairs = zip(self._features, self._slopes, strict=True)
        return [(array[:, None].astype(np.float64) * weigh(self.xp, slope)).sum(axis=2) for array, slope in pairs]

"""Maps of methods that mask no cells, held to what the method makes of its parts, and the parts to the original model.

Parts are the layer's features, gradients, and what a method asks the model beside them; nothing of the plan takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import cv2
import numpy as np

from openvino_xai.contract import CONFIDENCE, GRADIENT, MAP
from openvino_xai.errors import VerificationError
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import shape_of
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.hooks import SCALES
from openvino_xai.hooks.noise.confidence import LEVEL, confidence
from openvino_xai.locate.positions import Place
from openvino_xai.plan.emit import emit
from openvino_xai.tail.tasks.regions import RegionTarget
from openvino_xai.verify.attention import differences_of_attention, hold_gradients_of_attention, stack_of
from openvino_xai.verify.elements import on_the_way
from openvino_xai.verify.finite_differences import SMALLEST, step_along
from openvino_xai.verify.masks import CUT, END, ArraySite, Reference, Visible, by_cell
from openvino_xai.verify.original import worst
from openvino_xai.verify.parts import answers_of, plan_parts
from openvino_xai.verify.sight import Comparison, spread_of

NOISE = 0.3  # of a level of noise: of a small image few numbers are drawn
SOURCE = "ovxai_source"  # the name of a part of the image that is put in while verifying
COPIES = 8  # of those that a method asks about, which the original tail is asked about, too


def hold_parts(
    original: Reference,
    inputs: dict[str, np.ndarray],
    new: Mapping[str, np.ndarray],
    chosen: Sequence[Sequence[tuple[int, int]]],
    *,
    visible: Visible | None = None,
    quantised: bool,
) -> Comparison:
    """Hold the maps of a method that masks no cells, and the parts that they are made of, to their definition.

    What is compared is told in shares of the map. `new` are the hooked model's outputs, with maps of the cells that are
    `visible`, where not all are; `chosen` the maps of each image, as (index, class). Raises VerificationError.
    """
    ids = sorted({k for pairs in chosen for _, k in pairs})
    grown = original.model.twin()
    within = original.location.within(grown.graph)
    plan = plan_parts(within, replace(original.decision, pick=original.target.alone(ids)))
    emit(plan, grown)
    running, beside = original.compiled(grown), {name: original.beside[name] for name in plan.inputs}

    def twin(images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return running({**images, **beside})

    outputs = {name: x if x.dtype.kind in "iu" else x.astype(np.float64) for name, x in twin(inputs).items()}
    answers = answers_of(plan, outputs)

    def slopes_at(features: np.ndarray) -> np.ndarray:
        features = features.astype(original.layer.value.dtype)
        if original.layer.value is original.location.image:
            return twin({**inputs, original.location.image.name: features})[GRADIENT]
        behind = original.compiled(grown.probing(read={}, inputs={CUT: within.layer.value}))
        return behind({**inputs, **beside, CUT: features})[GRADIENT]

    question = Question(original, original.tail(inputs), slopes_at, twin, inputs, original.features(inputs), ids, quantised)
    gradients = outputs.get(GRADIENT)
    for place in range(max(map(len, chosen))):
        if gradients is None:
            break
        classes = [pairs[min(place, len(pairs) - 1)][1] for pairs in chosen]
        slopes = np.stack([gradients[image, ids.index(k)] for image, k in enumerate(classes)])
        step_along(
            question.of_features,
            question.features,
            slopes,
            classes,
            cells=original.layer.place.cells,
            where=f"layer '{original.layer.name}'",
            reads=original.target.scale,
            terms=[original.target.terms(k) for k in classes],
            names=[original.target.alone([k]) for k in classes],
            quantised=quantised,
        )
    difference = worst(difference for what, answer in answers.items() for difference in ANSWERS[what](question, *answer))
    comparison = _compare(new, question, gradients=gradients, answers=answers, chosen=chosen, visible=visible)
    return comparison._replace(difference=worst((difference, comparison.difference)))


@dataclass(frozen=True)
class Question:
    """What answers are held to: the original, its tail, and a twin that returns gradients, for `ids` of the classes.

    `of_features` gives the scores [B, K] for other features of the layer, `slopes_at` the gradients [B, K, ...] there.
    """

    original: Reference
    of_features: Callable[[np.ndarray], np.ndarray]
    slopes_at: Callable[[np.ndarray], np.ndarray]
    twin: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
    inputs: Mapping[str, np.ndarray]
    features: np.ndarray
    ids: Sequence[int]
    quantised: bool = False

    def of_sum(self, seeds: np.ndarray, features: np.ndarray) -> np.ndarray:
        """[B, 1 + J]: the sum of the scores for other features of the layer, weighed by `seeds` [B, J], and the scores.

        A sum may be of nearly equal ones, which tell how far it can be from rounding, or from a quantiser's steps.
        """
        y = self.of_features(features)
        return np.concatenate([(y * seeds).sum(axis=1, keepdims=True), y], axis=1)

    def enlarged(self, maps: np.ndarray) -> np.ndarray:
        """[B, H, W]: one map [N] of each image, enlarged to its pixels, or those of the part that cells are of."""
        layer, (source, place) = self.original.layer, self.original.location.source
        grid = concrete(layer.cells, f"the cells of layer '{layer.name}'")
        height, width = concrete((shape_of(source)[axis] for axis in place.cells), f"the pixels of '{source.name}'")
        return np.stack([cv2.resize(flat.reshape(grid), (width, height)) for flat in maps.astype(np.float32)])

    @property
    def baseline(self) -> np.ndarray:
        """[C] or [1], f32: what each pixel holds where the way to an image begins."""
        return np.array(self.original.decision.baseline, np.float32)


def _channel_scores(question: Question, masks: np.ndarray, answer: np.ndarray) -> Iterator[float]:
    """The differences of what was told of some copies, which keep some channels, as shares of the scores."""
    features, axis = question.features, question.original.layer.channels
    beside = question.original.layer.place.beside(features.shape)
    for mask in np.random.default_rng(3).integers(0, masks.shape[1], COPIES):
        sizes = [len(features), *(features.shape[axis] if a == axis else 1 for a in range(1, features.ndim))]
        mask_of_each = masks[:, mask].reshape(sizes)
        some = features * (mask_of_each if beside is None else np.where(beside, 1, mask_of_each))
        y = question.of_features(some)
        yield float(np.abs(y[:, question.ids] - answer[:, mask]).max() / max(np.abs(y).max(), SMALLEST))


def _image_scores(question: Question, maps: np.ndarray, answer: np.ndarray) -> Iterator[float]:
    """The differences of what was told of images that are multiplied by maps, in probabilities."""
    original, target = question.original, question.original.target.as_probability()
    (source, place), image = original.location.source, original.location.image
    is_image = source is image
    name, plain = (image.name, question.inputs[image.name]) if is_image else (SOURCE, original.holding(source, question.inputs))
    running = original.probing(read={END: target.read}, inputs={} if is_image else {SOURCE: source})
    for mask in np.random.default_rng(3).integers(0, maps.shape[1], COPIES):
        large = question.enlarged(maps[:, mask])
        large = np.expand_dims(large, tuple(axis for axis in range(1, plain.ndim) if axis not in place.cells))
        y = running({**question.inputs, name: (plain * large).astype(plain.dtype)})[END]
        yield float(np.abs(target.reference(y, original.beside)[:, question.ids] - answer[:, mask]).max())


def _largest_channels(_question: Question, weights: np.ndarray, indices: np.ndarray) -> Iterator[float]:
    """By how much a channel that was left out weighs more than one that was picked, as a share of the largest weight."""
    count = weights.shape[2]
    if (
        indices.min() < 0
        or indices.max() >= count
        or any(len(set(row)) < len(row) for row in indices.reshape(-1, indices.shape[2]))
    ):
        raise VerificationError("the channels that the method asks about are not there, or are picked twice")
    picked = np.zeros(weights.shape, bool)
    np.put_along_axis(picked, indices, values=True, axis=2)
    least = np.where(picked, weights, np.inf).min(axis=2)
    most = np.where(picked, -np.inf, weights).max(axis=2)
    yield float(np.maximum(most - least, 0).max() / max(np.abs(weights).max(), SMALLEST))


def _enlarged_range(question: Question, maps: np.ndarray, low: np.ndarray, high: np.ndarray) -> Iterator[float]:
    """The differences of the least and largest pixels of enlarged maps, as shares of the largest value."""
    for mask in range(maps.shape[1]):
        large = question.enlarged(maps[:, mask])
        for end, answer in ((large.min(axis=(1, 2)), low), (large.max(axis=(1, 2)), high)):
            yield float(np.abs(end - answer[:, 0, mask]).max() / max(np.abs(maps).max(), SMALLEST))


def _gradients_at(question: Question, images: np.ndarray, answer: np.ndarray) -> Iterator[float]:
    """The differences from gradients at other images, noisy or on the way to the image, as shares of the largest."""
    original = question.original
    image = original.location.image
    plain = question.inputs[image.name]
    if original.decision.traits.of_elements is not None:
        yield from _gradients_on_the_way(question, images, answer)
        return
    for copy in range(images.shape[1]):
        noisy = images[:, copy].astype(plain.dtype)
        if not 0 < np.abs(noisy - plain).mean() < np.ptp(plain):
            raise VerificationError("the noisy copies of the image are not what they are meant to be")
        slopes = question.twin({**question.inputs, image.name: noisy})[GRADIENT]
        by_cells = np.stack([by_cell(slopes[:, index], original.layer.place) for index in range(len(question.ids))], axis=1)
        yield float(np.abs(by_cells - answer[:, copy]).max() / max(np.abs(by_cells).max(), SMALLEST))


def _cells_at(question: Question, images: np.ndarray, answer: np.ndarray) -> Iterator[float]:
    """The differences from features of noisy images, as shares of the largest. Raises VerificationError for another noise."""
    original, plain = question.original, question.inputs[question.original.location.image.name]
    noise = (images - plain[:, None]).reshape(len(plain), -1).std(axis=1)
    level = noise / np.ptp(plain.reshape(len(plain), -1), axis=1)
    if not (np.abs(level / LEVEL - 1) < NOISE).all():
        raise VerificationError(f"the noisy copies of the image have a noise of {level.max():.2g} of its range, not {LEVEL:g}")
    for copy in range(images.shape[1]):
        inputs = {**question.inputs, original.location.image.name: images[:, copy].astype(plain.dtype)}
        expected = by_cell(original.features(inputs), original.layer.place)
        yield float(np.abs(expected - answer[:, copy]).max() / max(np.abs(expected).max(), SMALLEST))


def _gradients_on_the_way(question: Question, images: np.ndarray, answer: np.ndarray) -> Iterator[float]:
    """The differences of some steps on the way to the image, and of gradients there, as shares of the largest."""
    original, steps = question.original, question.original.decision.steps
    if images.shape[1] != steps:
        raise VerificationError(f"the way to the image has {images.shape[1]} steps; {steps} are expected")
    for step in {0, steps - 1, *np.random.default_rng(3).permutation(steps)[:COPIES].tolist()}:
        expected = on_the_way(original, question.features, (step + 0.5) / steps)
        yield float(np.abs(images[:, step] - expected).max() / max(np.abs(expected).max(), SMALLEST))
        if isinstance(original.target, RegionTarget):  # a region is that of the image itself, all along the way
            _slopes_along(question, images[:, step], answer[:, step])
            continue
        slopes = question.slopes_at(images[:, step])  # as they were rounded: near a corner that decides on which side they are
        by_cells = np.stack([by_cell(slopes[:, index], original.layer.place) for index in range(len(question.ids))], axis=1)
        yield float(np.abs(by_cells - answer[:, step]).max() / max(np.abs(by_cells).max(), SMALLEST))


def _class_scores(question: Question, answer: np.ndarray) -> Iterator[float]:
    """The differences of the scores of all classes, as shares of the largest."""
    y = question.of_features(question.features)
    yield float(np.abs(y - answer).max() / max(np.abs(y).max(), SMALLEST))


def _explained_classes(question: Question, answer: np.ndarray) -> Iterator[float]:
    """Whether each explained class is where it is."""
    expected = np.eye(question.of_features(question.features).shape[1])[list(question.ids)]
    yield float(np.abs(answer - expected).max())


def _gradients_of(question: Question, seeds: np.ndarray, answer: np.ndarray) -> Iterator[float]:
    """Nothing that differs: gradients of sums are stepped along, as those of scores are. Raises VerificationError."""
    layer = question.original.layer
    slopes = [_as_layer(answer[:, place], question.features, layer.place) for place in range(answer.shape[1])]
    for place, of_sum in enumerate(slopes):
        step_along(
            partial(question.of_sum, seeds[:, place]),
            question.features,
            of_sum,
            [0] * len(of_sum),
            cells=layer.place.cells,
            where=f"layer '{layer.name}'",
            reads="logit",
            quantised=question.quantised,
        )
    yield 0.0


def _as_layer(by_cells: np.ndarray, features: np.ndarray, place: Place) -> np.ndarray:
    """Values [B, N, C], or [B, 1, C] for all cells, in the axes of the layer's `features`; 0 at tokens that are no cells."""
    like = by_cell(features, place)
    values, result = np.broadcast_to(by_cells, like.shape), np.zeros_like(features, np.float64)
    others = [axis for axis in range(1, features.ndim) if axis not in place.cells]
    laid = result.transpose([0, *place.cells, *others])  # a view
    if len(place.cells) == 1:
        laid[:, place.tokens(laid.shape[1])] = values.reshape(*values.shape[:2], *laid.shape[2:])
    else:
        laid[:] = values.reshape(laid.shape)
    return result


def _slopes_along(question: Question, images: np.ndarray, gradients: np.ndarray) -> None:
    """Hold gradients [B, K, N, C] at images, or what the model makes of them first, to differences of the original scores."""
    layer = question.original.layer
    for index, k in enumerate(question.ids):
        step_along(
            question.of_features,
            images.astype(np.float64),
            _as_layer(gradients[:, index], images, layer.place),
            [k] * len(images),
            cells=layer.place.cells,
            where=f"the way to image '{layer.name}'",
            reads=question.original.target.scale,
            terms=[question.original.target.terms(k)] * len(images),
            names=[question.original.target.alone([k])] * len(images),
        )


def _attentions(question: Question, *weights: np.ndarray) -> Iterator[float]:
    """The differences of the attention of each block."""
    return differences_of_attention(question.original, question.inputs, question.twin, weights)


def _attention_gradients(question: Question, *gradients: np.ndarray) -> Iterator[float]:
    """Nothing that differs: attention is moved along the gradients of each block. Raises VerificationError."""
    hold_gradients_of_attention(question.original, question.inputs, question.ids, gradients, quantised=question.quantised)
    yield 0.0


def _block_gradients(question: Question, *gradients: np.ndarray) -> Iterator[float]:
    """As `_attention_gradients`, where the head reads the tokens behind each block."""
    hold_gradients_of_attention(
        question.original, question.inputs, question.ids, gradients, quantised=question.quantised, by_block=True
    )
    yield 0.0


def _cells_of_layers(question: Question, *cells: np.ndarray) -> Iterator[float]:
    """The differences of each layer's features, as shares of the largest."""
    for reference, answer in zip(question.original.in_turn, cells, strict=True):
        expected = by_cell(reference.features(question.inputs), reference.layer.place)
        yield float(np.abs(expected - answer).max() / max(np.abs(expected).max(), SMALLEST))


def _gradients_of_layers(question: Question, *gradients: np.ndarray) -> Iterator[float]:
    """Nothing that differs: the features of each layer are moved along its gradients. Raises VerificationError."""
    for reference, of_layer in zip(question.original.in_turn, gradients, strict=True):
        features, of_features = reference.features(question.inputs), reference.tail(question.inputs)
        for index, k in enumerate(question.ids):
            step_along(
                of_features,
                features,
                _as_layer(of_layer[:, index], features, reference.layer.place),
                [k] * len(features),
                cells=reference.layer.place.cells,
                where=f"layer '{reference.layer.name}'",
                reads=reference.target.scale,
                terms=[reference.target.terms(k)] * len(features),
                names=[reference.target.alone([k])] * len(features),
                quantised=question.quantised,
                beside=reference.layer.place.beside(features.shape),
            )
    yield 0.0


ANSWERS: dict[str, Callable[..., Iterator[float]]] = {  # of a question, what the method gave, and what it was told
    "largest_channels": _largest_channels,
    "scores": _channel_scores,
    "image_scores": _image_scores,
    "enlarged_range": _enlarged_range,
    "gradients_at": _gradients_at,
    "cells_at": _cells_at,
    "class_scores": _class_scores,
    "explained_classes": _explained_classes,
    "gradients_of": _gradients_of,
    "attentions": _attentions,
    "attention_gradients": _attention_gradients,
    "block_gradients": _block_gradients,
    "cells_of_layers": _cells_of_layers,
    "gradients_of_layers": _gradients_of_layers,
}


def _compare(
    new: Mapping[str, np.ndarray],
    question: Question,
    *,
    gradients: np.ndarray | None,
    answers: Mapping[str, tuple[np.ndarray, ...]],
    chosen: Sequence[Sequence[tuple[int, int]]],
    visible: Visible | None = None,
) -> Comparison:
    """Hold maps to what their method makes of its parts, computed in f64."""
    xp, place, ids = numpy_namespace(), question.original.layer.place, question.ids
    slopes = None
    if gradients is not None:
        slopes = np.stack([by_cell(gradients[:, index], place) for index in range(len(ids))], axis=1)
    decision = question.original.decision
    channels = None if decision.channels == "all" else decision.channels
    array_site = ArraySite(by_cell(question.features, place), slopes, answers, channels, question.baseline)
    if decision.traits.attention:
        stack = stack_of(question.original)
        array_site = replace(array_site, class_token=stack.class_token, cell_tokens=stack.cell_tokens)
    layer = question.original.layer
    if layer.in_turn:
        finest = (
            new[MAP].shape[2:] if visible is None else visible.grid
        )  # sizes that only a run tells are the same in all layers
        grids = [part.place.grid if all(isinstance(n, int) for n in part.place.grid) else finest for part in layer.cut]
        array_site = replace(array_site, grids=cast(Any, [*grids, finest]))
    site = cast(Any, array_site)
    raw = decision.hook(layer)(cast(Any, xp), site)
    raw = raw if visible is None else raw[:, visible.cells]
    true = np.asarray(SCALES[decision.scale](cast(Any, xp), raw))
    steady = confidence(cast(Any, xp), site, decision.hook(layer), decision.method) if decision.confidence else None
    steady = steady if steady is None or visible is None else steady[:, visible.cells]
    elements, differences, spreads = decision.traits.of_elements, [], []
    values_of_elements = None if elements is None else elements.values(cast(Any, xp), site)
    for image, pairs in enumerate(chosen):
        for index, k in pairs:
            if values_of_elements is not None:
                expected = values_of_elements[image, ids.index(k)]
                of_elements = by_cell(new[GRADIENT][image : image + 1, index], place)[0]
                differences.append(float(np.abs(of_elements - expected).max()) / max(float(np.abs(expected).max()), SMALLEST))
            column = min(ids.index(k), true.shape[2] - 1)  # one map may be for all classes
            if steady is not None:
                off = new[CONFIDENCE][image, index].reshape(-1) - steady[image, :, column]
                differences.append(float(np.abs(off).max()))
            values, expected = new[MAP][image, index].reshape(-1).astype(np.float64), true[image, :, column].astype(np.float64)
            error = float(np.abs(values - expected).max()) - (1 if decision.scale == "u8" else 0)
            size = float(np.abs(expected).max())
            differences.append(error / max(size, SMALLEST))
            spreads.append(spread_of(expected, size))
    return Comparison(true.shape[1], worst(differences), tuple(spreads))

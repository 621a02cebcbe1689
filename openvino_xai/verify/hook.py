"""A hooked model, verified by running: its old outputs are the old ones, and its maps are the definition.

The definition is checked against the *original* tail at the original batch size: the layer's features are read out of the
original model, one cell is kept, and the original nodes after the layer are run on that. Nothing of the plan takes part.
Where gradients are read, they are held to differences of the original scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from openvino_xai.contract import FEATURES, GATE, GRADIENT, MAP
from openvino_xai.dialects.open import compile_for, open_model
from openvino_xai.dialects.protocol import Deployed, Runtime
from openvino_xai.errors import VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import Size
from openvino_xai.locate.layers import is_quantised
from openvino_xai.plan.decision import Head
from openvino_xai.tail.tasks.regions import RegionTarget
from openvino_xai.verify.cells import SMALLEST, bound_of, difference_of, hold_levels, sample_of
from openvino_xai.verify.elements import hold_completeness
from openvino_xai.verify.images import SampleImages
from openvino_xai.verify.ingredients import hold_parts
from openvino_xai.verify.levels import Levels
from openvino_xai.verify.masks import END, Definition, Reference, by_cell, taken_off
from openvino_xai.verify.original import worst
from openvino_xai.verify.outputs import TOLERANCE, hold_gates, more_batches, refuse_random, same_outputs
from openvino_xai.verify.sight import Comparison, Sight

MAPS = 3  # maps of an image that are held to the definition
# f16 has 10 bits after the first, bf16 has 7: a score and what it is a sum of are rounded by 2^-11, or 2^-8, again and again.
ROUNDED_TOLERANCES = {"float16": 16 * 2.0**-11, "bfloat16": 16 * 2.0**-8}
# int8 kernels are chosen by the shape of what they are given and round differently: a few steps of 1/255, where what these
# come to in a score is not asked.
QUANTISED_TOLERANCE = 0.05
PIXELS = 1e-3  # of the pixels, whose two largest logits may be equal but for rounding
QUANTISED_PIXELS = 0.1  # and where several are of one level, the first is picked


@dataclass(frozen=True)
class Verified:
    """The largest `difference` from the definition, as a share of the scores, in `cells` cells of `images` images each.

    `runtimes` are those that both models were run by; `inputs` and `outputs` are the hooked model's in the first of them.
    `sights` tell of each head how much could be seen of its maps, in the runtime that saw least; `content` says what the images
    held. `incompleteness` is the share of a difference of scores that attributions miss, None where none are to add up to one.
    """

    images: int
    cells: int
    difference: float
    runtimes: tuple[Runtime, ...]
    inputs: Mapping[str, np.ndarray] = field(repr=False)
    outputs: Mapping[str, np.ndarray] = field(repr=False)
    sights: tuple[Sight, ...]
    content: str
    incompleteness: float | None = None


def verify_hook(original: Deployed, hooked: Deployed, heads: Sequence[Head], *, cost: float = 1.0) -> Verified:
    """Run both models on batches of sample images, by each runtime that was decided on; the heads are in the original.

    The maps of one batch are held to their definition, the outputs of several to those of the original: of as many as it takes
    to see a bit that changes now and then, and of fewer where the hooked model's `cost`, in plain models, is high. Raises
    VerificationError.
    """
    runtimes = heads[0].decision.runtimes
    results = [
        _verify_in(
            [
                Reference(model=original, runtime=runtime, location=head.location, decision=head.decision, names=head.names)
                for head in heads
            ],
            hooked,
            cost,
        )
        for runtime in runtimes
    ]
    difference = worst(result.difference for result in results)
    missed = [result.incompleteness for result in results if result.incompleteness is not None]
    sights = tuple(min(of_head, key=lambda sight: sight.spread) for of_head in zip(*(r.sights for r in results), strict=True))
    incompleteness = worst(missed) if missed else None
    return replace(results[0], difference=difference, runtimes=runtimes, sights=sights, incompleteness=incompleteness)


def _verify_in(heads: Sequence[Reference], hooked: Deployed, cost: float) -> Verified:
    """Hold each head of a hooked model to the original, both run by one runtime. Raises VerificationError."""
    model, runtime, gate = heads[0].model, heads[0].runtime, heads[0].decision.gate
    slopes = any(head.decision.traits.masks == "nothing" for head in heads)
    images = SampleImages(model, heads[0].location.image, heads[0].location.image_place, slopes=slopes)
    inputs = images.batch()
    reference, running = heads[0].plain(), heads[0].compiled(hooked)
    plain = reference(inputs)
    refuse_random(plain, reference(inputs))
    returned = heads[0].returned(plain, inputs)
    for head in heads:
        _refuse_no_numbers(returned, head.location.scores.name)
    batch = len(inputs[heads[0].location.image.name])
    heads = [replace(head, beside={**returned, **head.target.examples(returned)}) for head in heads]
    extra = {GATE: np.ones(batch, bool)} if gate != "off" else {}
    for head in heads:
        extra.update(head.names.of_file(head.target.examples(returned)))
    new = running({**inputs, **extra})
    same_outputs(plain, new, runtime)
    if gate != "off":
        hold_gates(running, inputs={**inputs, **extra}, plain=plain, new=new, runtime=runtime)
    for other in more_batches(images, plain, cost):
        count = min(batch, len(next(iter(other.values()))))
        same_outputs(reference(other), running({**other, **{name: array[:count] for name, array in extra.items()}}), runtime)
    results = [_hold_maps(head, inputs, returned, head.names.of_head(new)) for head in heads]
    comparisons, sights = [comparison for comparison, _ in results], tuple(sight for _, sight in results)
    cells, difference = min(result.cells for result in comparisons), worst(result.difference for result in comparisons)
    missed = [result.incompleteness for result in comparisons if result.incompleteness is not None]
    incompleteness = worst(missed) if missed else None
    return Verified(batch, cells, difference, (runtime,), {**inputs, **extra}, new, sights, images.content, incompleteness)


def tolerance_of(values: Iterable[Value]) -> float:
    """How far a map may be from its definition by rounding, where a model holds such values."""
    types = [str(value.dtype_in_file) for value in values]
    return max([TOLERANCE, *(ROUNDED_TOLERANCES.get(name, 0) for name in types)])


def _refuse_no_numbers(plain: Mapping[str, np.ndarray], name: str) -> None:
    if np.isnan(plain[name]).any():
        raise VerificationError(
            f"the model's scores '{name}' are no numbers (NaN) for random images, and no map can be held to them: are "
            "its weights what they should be?"
        )


def _hold_maps(
    original: Reference, inputs: dict[str, np.ndarray], plain: dict[str, np.ndarray], new: dict[str, np.ndarray]
) -> tuple[Comparison, Sight]:
    """Hold the maps of a head to their definition, and tell how much could be seen of them.

    `plain` are the original model's outputs, `new` the hooked one's, by the names of a hook of this head alone. Raises
    VerificationError.
    """
    decision, layer, maps = original.decision, original.layer, new[MAP]
    layout = original.location.layout(decision.grid)
    sizes = layer.place.sizes or (decision.grid if layout is None else layout.grid)
    _declared(maps, sizes, len(inputs[original.location.image.name]))
    new, visible = taken_off(original, new)
    if isinstance(original.target, RegionTarget):
        _hold_pixels(original, original.target, inputs)
    if decision.feature_vector:
        _hold_features(original, inputs, new[FEATURES])
    explained = original.target.explained(plain, new, original.beside)
    count = min(MAPS, max(map(len, explained)))
    # those that matter most, and the least; of an image with fewer, the last again
    chosen = [([*pairs[: MAPS - 1], *pairs[MAPS - 1 :][-1:]] + pairs[-1:] * count)[:count] for pairs in explained]
    quantised = is_quantised(original.model.graph)
    if decision.traits.masks == "nothing":
        comparison = hold_parts(original, inputs, new, chosen, visible=visible, quantised=quantised)
    else:
        definition, maps = Definition(original, inputs, visible), new[MAP]
        maps = maps.reshape(*maps.shape[:2], -1, maps.shape[-1])  # a signal as one row, a video as frames below each other
        sample = sample_of(maps, chosen, definition)
        comparison = difference_of(maps, chosen, sample, decision.scale, terms=original.target.terms)
        if quantised and (levels := Levels(original, inputs)):
            hold_levels(maps, explained, sample, bound=bound_of(sample, definition, levels, maps.shape), scale=decision.scale)
            return comparison, Sight(comparison.spreads, 0.0)
    tolerance = QUANTISED_TOLERANCE if quantised else TOLERANCE
    tolerance = max(tolerance, tolerance_of([original.location.scores.value, layer.value]))
    if not comparison.difference <= tolerance:  # so that NaN is refused, too
        raise VerificationError(
            f"the maps differ from their definition by {comparison.difference:.2g} of the scores "
            f"'{original.location.scores.name}' in {original.runtime}, more than {tolerance:g}: layer "
            f"'{layer.name}' is not explained as it should be; choose another layer",
            options=("layer",),
        )
    elements = decision.traits.of_elements
    if elements is not None and elements.steps:
        comparison = comparison._replace(incompleteness=hold_completeness(original, inputs, new[GRADIENT], chosen))
    return comparison, Sight(comparison.spreads, tolerance)


def _hold_pixels(original: Reference, target: RegionTarget, inputs: dict[str, np.ndarray]) -> None:
    """Raise VerificationError where the model does not make the classes of pixels of the logits that are read as it should."""
    y = original.probing(read={END: target.read})(inputs)[END]
    share = target.disagreement(y, original.beside)
    if not share <= (QUANTISED_PIXELS if is_quantised(original.model.graph) else PIXELS):
        raise VerificationError(
            f"{share:.1%} of the pixels of output '{target.scores.name}' are of another class than the largest of the logits "
            "that are read for them: the way from these to the output is not known well enough to explain it"
        )


def _hold_features(original: Reference, inputs: dict[str, np.ndarray], vectors: np.ndarray) -> None:
    """Raise VerificationError where vectors are not the means of the layer's cells, of the original model."""
    features = original.features(inputs)
    means = by_cell(features, original.layer.place).mean(axis=1)
    tolerance = tolerance_of([original.layer.value])
    if vectors.shape != means.shape or not np.abs(vectors - means).max() <= tolerance * max(np.abs(means).max(), SMALLEST):
        raise VerificationError(f"'{FEATURES}' is not the mean of the features of layer '{original.layer.name}'")


def verify_file(path: Path, verified: Verified) -> None:
    """Read a written file again and run it on the batch that was seen. Raises VerificationError."""
    again = compile_for(open_model(path), verified.runtimes[0])(verified.inputs)
    for name, array in verified.outputs.items():
        if name not in again or not np.array_equal(again[name], array, equal_nan=array.dtype.kind == "f"):
            raise VerificationError(f"output '{name}' of the written file is not what it was before it was written")


def _declared(maps: np.ndarray, cells: Sequence[Size], batch: int) -> None:
    fits = maps.ndim == 2 + len(cells) and maps.shape[0] == batch
    if not fits or any(isinstance(size, int) and size != length for size, length in zip(cells, maps.shape[2:], strict=True)):
        raise VerificationError(
            f"the maps have shape {list(maps.shape)}; [{batch}, K, {', '.join(map(str, cells))}] is expected"
        )
    if not np.isfinite(maps).all():
        raise VerificationError("the maps hold values that are not finite")

"""The layers where a hook can go, with what it costs there; and those where it cannot, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from openvino_xai.arguments import COUNT, PLACE, TEXT, takes
from openvino_xai.dialects.open import Model
from openvino_xai.errors import LayerError, PlanError
from openvino_xai.graph.model import Value
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.located import Located, Where, refuse_hooked
from openvino_xai.locate.tasks.opening import opened
from openvino_xai.operations.cost import operations
from openvino_xai.operations.integers import is_fixed
from openvino_xai.operations.table import operation_of
from openvino_xai.plan.decision import decide
from openvino_xai.plan.hook import plan as make_plan
from openvino_xai.plan.request import Request
from openvino_xai.surgery.layer import Layer, Layers, priced
from openvino_xai.surgery.rows.layers import layers_of_rows
from openvino_xai.surgery.task import detector_of

PLANNED = 250_000  # nodes, of the tails behind all layers that a hook is planned at to list them
UNTRIED = "not tried, as enough layers lie nearer to the scores; insert tries it where it is named"


@takes(**PLACE, layout=TEXT.or_none(), most=COUNT.or_none())
def layers(
    model: Model,
    *,
    scores: str | None = None,
    image_input: str | None = None,
    layout: str | None = None,
    prefix_tokens: int | None = None,
    token_grid: str | Sequence[int] | None = None,
    most: int | None = None,
) -> Layers:
    """Where a hook can go, best first, then the places where it cannot and why. Raises ModelError, InputError.

    A hook is planned at each layer, the nearest to the scores first, until there are as many as `most` with maps of their own
    (None for all), or until that takes more than is reasonable: then the reason says so, and `insert` tries the layer where it
    is named. Of a detector these are sets of layers, joined by commas: that of the backbone, then that of the heads, with the
    cost of eight rows.
    """
    where = Where.parse(scores=scores, image_input=image_input, prefix_tokens=prefix_tokens, token_grid=token_grid)
    deployed = opened(model, layout, image_input)
    refuse_hooked(deployed)
    detector = detector_of(deployed, where)
    if detector is not None:
        return Layers(layers_of_rows(detector))
    located = Located.of(deployed, where)
    plain, planned, listed, twins = operations(located.graph.nodes), 0, [], _twins(located)
    fit: set[str] = set()  # the names of layers that can carry a hook, and have maps of their own
    for candidate in located.candidates:
        twin = twins.get(candidate.value)
        if candidate.reason is None:
            planned += len(located.graph.nodes) - located.order.get(candidate.value, 0)
            if planned > PLANNED or (most is not None and len(fit) >= most and twin not in fit):
                candidate = replace(candidate, reason=UNTRIED)
        layer = replace(_listed(located, candidate, plain), twin=twin)
        if layer.reason is None and twin is None:
            fit.add(layer.name)
        listed.append(layer)
    return Layers(listed, None if any(layer.reason is None for layer in listed) else _why_none(located))


def _why_none(located: Located) -> str | None:
    """What a hook that no layer is named for is refused with."""
    try:
        located.choose()
    except LayerError as error:
        return str(error)
    return None  # one is chosen, and each of those that are listed says why no hook is planned there


def _twins(located: Located) -> dict[Value, str]:
    """By their values, layers that have the same maps as one behind them, whose name this is.

    A pointwise function f with f(0) = 0 gives f(m x) = m f(x) for masks m of 0 and 1: masked ahead of it or behind it, the tail
    scores the same.
    """
    fit = [at for at in located.candidates if at.reason is None and len(at.cut) == 1 and not at.attends]
    values, twins = {at.value for at in fit}, dict[Value, str]()
    for candidate in fit:
        value, node = candidate.value, candidate.value.producer
        if node is None or not operation_of(node).pointwise:
            continue
        varying = [(index, other) for index, other in node.operands if not is_fixed(located.graph, other)]
        if (
            len(varying) == 1
            and varying[0][1] in values
            and operation_of(node).gives_zero(node, [varying[0][0]], located.graph.constant)
        ):
            twins[varying[0][1]] = twins.get(value, candidate.name)
    return twins


def _listed(located: Located, candidate: Candidate, plain: int) -> Layer:
    """A candidate with the cost of a hook that nothing is said of."""
    if candidate.reason is not None:
        return priced(located.graph, candidate, None, plain)
    try:
        return priced(located.graph, candidate, make_plan(located.at(candidate), decide(Request(), candidate)), plain)
    except PlanError as error:
        return priced(located.graph, replace(candidate, reason=str(error)), None, plain)

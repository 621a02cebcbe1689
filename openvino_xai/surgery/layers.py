"""The layers where a hook can go, with what it costs there; and those where it cannot, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openvino_xai.dialects.open import Model
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Graph
from openvino_xai.graph.sizes import readable
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.located import Located, Where, locate
from openvino_xai.operations.cost import depth, operations
from openvino_xai.surgery.decision import decide
from openvino_xai.surgery.plan.hook import Plan
from openvino_xai.surgery.plan.hook import plan as make_plan
from openvino_xai.surgery.request import Request

PLANNED = 250_000  # nodes, of the tails behind all layers that a hook is planned at to list them
UNTRIED = "not tried, as many layers lie nearer to the scores; insert tries it where it is named"


@dataclass(frozen=True)
class Layer:
    """A place where a hook can go, or why it cannot.

    `shape` and `cells` (H, W) are those of the model, with names for sizes that only a run knows; () for a shape of which
    nothing is known. `cost` is the hooked model's operations over the plain one's, `memory` the bytes of the hook's largest
    value for one image; both are None where `reason` tells that no hook fits there. `method` is the one that is taken there
    where none is asked for, and `depth` the share of the plain model's operations, in [0, 1], that lead to the layer.
    """

    name: str
    shape: tuple[int | str, ...]
    cells: tuple[int | str, ...]
    cost: float | None
    memory: int | None
    reason: str | None
    method: str
    depth: float


def layers(
    model: Model,
    *,
    scores: str | None = None,
    image_input: str | None = None,
    prefix_tokens: int | None = None,
    token_grid: str | Sequence[int] | None = None,
) -> list[Layer]:
    """Where a hook can go, best first, then the places where it cannot and why. Raises ModelError, InputError.

    A hook is planned at each layer, the nearest to the scores first, until that takes more than is reasonable: then the reason
    says so, and `insert` tries the layer where it is named.
    """
    where = Where.parse(scores=scores, image_input=image_input, prefix_tokens=prefix_tokens, token_grid=token_grid)
    located = locate(model, where)
    plain, planned, listed = operations(located.graph.nodes), 0, []
    for candidate in located.candidates:
        if candidate.reason is None:
            planned += len(located.graph.nodes) - located.order.get(candidate.value, 0)
            if planned > PLANNED:
                candidate = replace(candidate, reason=UNTRIED)
        listed.append(_listed(located, candidate, plain))
    return listed


def _listed(located: Located, candidate: Candidate, plain: int) -> Layer:
    """A candidate with the cost of a hook that nothing is said of."""
    if candidate.reason is not None:
        return priced(located.graph, candidate, None, plain)
    try:
        return priced(located.graph, candidate, make_plan(located.at(candidate), decide(Request(), candidate)), plain)
    except PlanError as error:
        return priced(located.graph, replace(candidate, reason=str(error)), None, plain)


def priced(graph: Graph, candidate: Candidate, plan: Plan | None, plain: int) -> Layer:
    """A candidate with what a plan costs there, None for none; `plain` are the operations of the model without it."""
    return Layer(
        candidate.name,
        readable(candidate.value.shape or ()),
        readable(candidate.cells),
        None if plan is None else 1 + plan.operations / max(plain, 1),
        None if plan is None else plan.largest,
        candidate.reason,
        candidate.method,
        depth(graph, candidate.value, plain),
    )

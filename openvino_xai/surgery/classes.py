"""Insert a hook for classes, of images or of pixels, or for vectors: the whole way from a located head to a hooked model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import cast

from openvino_xai.contract import ALONE, CLASS, MAP, Names, Score, names_of_heads
from openvino_xai.dialects.protocol import Deployed, Runtime
from openvino_xai.errors import InputError, LayerError, NoneRefused, OutputsChanged, OvxaiError, PlanError, TooLarge
from openvino_xai.graph.model import Graph
from openvino_xai.graph.sizes import text
from openvino_xai.graph.trace import shape_of
from openvino_xai.hooks import METHODS
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.located import Located, Location, Where
from openvino_xai.locate.scores import Scores
from openvino_xai.locate.tasks.label_groups import LabelGroups
from openvino_xai.locate.tasks.regions import PixelScores
from openvino_xai.operations.cost import human, operations
from openvino_xai.plan.decision import Decision, Head, Refusal, decide, in_turn
from openvino_xai.plan.emit import emit
from openvino_xai.plan.gate import gated
from openvino_xai.plan.hook import Plan
from openvino_xai.plan.hook import plan as make_plan
from openvino_xai.plan.portable import as_decided
from openvino_xai.plan.request import Request
from openvino_xai.plan.sharing import shared
from openvino_xai.surgery.hooked import Hooked
from openvino_xai.surgery.layer import Layer, priced
from openvino_xai.surgery.record import write_record, write_spreads
from openvino_xai.tail.target import Contrasts, Likeness, Pick, Targets, refuse_unknown
from openvino_xai.tail.walk import between, inside
from openvino_xai.verify.hook import verify_hook

TRIED = 8  # layers at most, where no hook can be planned at the best one
CHUNKS = 64  # at most: each is a copy of the tail's nodes
WAYS_METHOD = "layer_cam"  # of several ways to the scores, where no mask suits them
REGION_METHOD, REGIONS_EXPLAINED = "layer_cam", 3  # of classes of pixels, where nothing else is asked for
FAR = 10.0  # times the operations of the plain model: a layer is not chosen at such a cost, only taken when it is named


def insert_classes(
    deployed: Deployed,
    where: Where,
    outputs: Sequence[str | None],
    asking: Callable[..., Request],
    *,
    method: str | None,
    targets: Targets | None,
    runtimes: tuple[Runtime, ...],
    max_memory: int,
) -> Hooked:
    """The model with a hook for each head, by the `outputs` with their scores; none is for the only one that there is.

    `asking` makes a request of a method and targets, which are the head's own where they are None. `runtimes` verify the hook.
    Where neither a layer nor a method is named, and no mask suits a network of several ways to the scores, the maps of the last
    layers on each are joined. Raises an OvxaiError that names what is in the way.
    """
    names = [ALONE] if len(outputs) < 2 else names_of_heads([str(output) for output in outputs])

    def inserted(where: Where, method: str | None, instead_of: str | None = None) -> Hooked:
        inquiries = [
            _Inquiry.of(deployed, replace(where, scores=output), asking, method=method, targets=targets, names=head_names)
            for output, head_names in zip(outputs or (None,), names, strict=True)
        ]
        inquiries = [replace(inquiry, instead_of=instead_of) for inquiry in inquiries]
        return _hooked(deployed, inquiries, runtimes, max_memory)

    try:
        return inserted(where, method)
    except LayerError as error:
        if error.ways is None or where.layer is not None or method is not None or len(outputs) > 1:
            raise
        with suppress(OvxaiError):
            return inserted(replace(where, layer=error.ways), WAYS_METHOD, f"one of them, or by masks: {error.why}")
        raise


def _hooked(deployed: Deployed, inquiries: list[_Inquiry], runtimes: tuple[Runtime, ...], max_memory: int) -> Hooked:
    """The model with a hook for each head, in the first form that verification takes. Raises an OvxaiError."""
    if inquiries[0].request.feature_vector:
        inquiries = _with_one_vector(inquiries)
    first = [decide(inquiry.request, inquiry.layer, runtimes) for inquiry in inquiries]
    refusals: list[Refusal] = []
    for decisions in zip(*map(in_turn, first), strict=True):
        if all(decisions[0].avoids(refusal) for refusal in refusals):
            draft = _drafted(deployed, inquiries, decisions, max_memory)
            try:
                return draft.verified(deployed)
            except (NoneRefused, OutputsChanged) as refusal:
                refusals.append(refusal)
                if isinstance(refusal, OutputsChanged) and not draft.leans:
                    break
    raise refusals[-1]


def _groups(located: Located, request: Request) -> LabelGroups | None:
    """How labels of images go together, None where something else is explained. Raises InputError."""
    if not isinstance(located.scores, Scores) or isinstance(request.pick, Likeness):
        return None
    info = located.deployed.info("model_info")
    return LabelGroups.of(info, located.scores.classes, located.scores.scale)


def _refuse_mistakable(pick: Pick, classes: int) -> None:
    """Raise InputError for contrasts whose maps look like those of all classes to who sees the model without its record."""
    if isinstance(pick, Contrasts) and len(pick.pairs) == classes:
        raise InputError(
            f"targets '{pick}' are as many contrasts as classes: their maps would be taken for those of the {classes} classes "
            "where a runtime keeps no record; leave one out, or insert it into another file",
            options=("targets",),
        )


@contextmanager
def _blamed_on_head(where: Where, names: Names) -> Iterator[None]:
    """Say of a layer that cannot be explained of which head it was to be, where there are several."""
    try:
        yield
    except LayerError as error:
        if not names.head:
            raise
        raise LayerError(f"output '{where.scores}': {error}", node=error.node, options=error.options) from error


@dataclass(frozen=True, eq=False)
class _Inquiry:
    """A head of a model, what is asked of a hook there, and the layer where it goes, `instead_of` a better one and why."""

    located: Located
    request: Request
    layer: Candidate
    names: Names
    instead_of: str | None = None

    @classmethod
    def of(
        cls,
        deployed: Deployed,
        where: Where,
        asking: Callable[..., Request],
        *,
        method: str | None,
        targets: Targets | None,
        names: Names,
    ) -> _Inquiry:
        """The head that a model has where it is said. Raises an OvxaiError that names what is in the way, and the head."""
        with _blamed_on_head(where, names):
            located = Located.of(deployed, where)
        if isinstance(located.scores, PixelScores):
            method, targets = method or REGION_METHOD, targets or f"top:{min(REGIONS_EXPLAINED, located.scores.classes)}"
        request = asking(method=method, targets=targets)
        refuse_unknown(request.pick, located.scores.classes, f"output '{located.scores.name}'" if names.head else "the model")
        _refuse_mistakable(request.pick, located.scores.classes)
        with _blamed_on_head(where, names):
            layer = located.choose(request.method)
        if (groups := _groups(located, request)) is not None:
            method_score = METHODS[request.method or layer.method].score
            request = replace(request, score=cast("Score | None", groups.score(request.score, method_score)))
        return cls(located, request, layer, names)

    def decided(self, graph: Graph, decision: Decision) -> Head:
        """The head in a twin of the model, as it was decided."""
        return Head(self.located.at(self.layer).within(graph), decision, self.names)


def _with_one_vector(inquiries: Sequence[_Inquiry]) -> list[_Inquiry]:
    """The same, where the first alone returns the mean of the features. Raises InputError where others have other features."""
    names = ", ".join(dict.fromkeys(f"'{inquiry.layer.name}'" for inquiry in inquiries))
    if len({inquiry.layer.value for inquiry in inquiries}) > 1:
        raise InputError(
            f"a feature vector is of one layer, and the heads are explained at {names}: "
            "name a layer for all of them, or leave it out",
            options=("layer", "feature_vector"),
        )
    without = [replace(inquiry, request=replace(inquiry.request, feature_vector=False)) for inquiry in inquiries[1:]]
    return [inquiries[0], *without]


@dataclass(frozen=True, eq=False)
class _Draft:
    """A model that has grown a hook, as it was decided; `leans` where the hook reads or changes more than its layers.

    `heads` are in the model without the hook; `records` and `layers` tell of each of them.
    """

    grown: Deployed
    heads: Sequence[Head]
    records: Sequence[dict[str, str]]
    layers: Sequence[Layer]
    leans: bool

    def verified(self, original: Deployed) -> Hooked:
        """The hooked model, verified where that was decided. Raises VerificationError."""
        verified = None
        if self.heads[0].decision.runtimes:
            verified = verify_hook(original, self.grown, self.heads, cost=self.layers[0].cost or 1.0)
            write_spreads(self.grown, self.records, verified)
        return Hooked(self.grown.reread(), self.records, self.layers, verified)


def _drafted(deployed: Deployed, inquiries: Sequence[_Inquiry], decisions: Sequence[Decision], max_memory: int) -> _Draft:
    """A twin of the model with a hook. Raises PlanError, TooLarge, LayerError."""
    twin = deployed.twin()
    pairs = zip(inquiries, decisions, strict=True)
    inquiries, heads, plans = zip(
        *(_planned(twin.graph, inquiry, decision, max_memory) for inquiry, decision in pairs), strict=True
    )
    plan = shared([(head.names, plan) for head, plan in zip(heads, plans, strict=True)])
    if plan is None:
        return _drafted(deployed, inquiries, [replace(decision, isolated=True) for decision in decisions], max_memory)
    plain = operations(twin.graph.nodes)
    layers = [
        replace(priced(twin.graph, head.location.layer, plan, plain), instead_of=inquiry.instead_of)
        for inquiry, head in zip(inquiries, heads, strict=True)
    ]
    if heads[0].decision.gate != "off":
        layer = heads[0].location.layer
        plan = gated(plan, layer.place.images(shape_of(layer.value)), one_at_least=heads[0].decision.gate == "one")
    emit(plan, twin, [head.names.in_file(name) for head in heads for name in (MAP, CLASS)])
    records = write_record(twin, heads, layers, len(plan.splices), deployed.conversion)
    here = [replace(head, location=inquiry.located.at(inquiry.layer)) for head, inquiry in zip(heads, inquiries, strict=True)]
    leans = bool(plan.splices) or any(_reads_beside(head, plan) for head in heads)
    return _Draft(twin, here, records, layers, leans)


def _reads_beside(head: Head, plan: Plan) -> bool:
    """Whether a hook reads values of the model between its layers and the scores."""
    cut = [part.value for part in head.location.layer.cut]
    nodes = between(plan.graph, cut, head.location.scores.value)
    beside = inside(nodes, ()) - {head.location.scores.value}
    reads = any(value in beside for node in plan.nodes for _, value in node.operands)
    return reads or head.decision.traits.masks == "nothing"


def _planned(twin: Graph, inquiry: _Inquiry, decision: Decision, max_memory: int) -> tuple[_Inquiry, Head, Plan]:
    """A head in a twin of the model, with its plan: at the next layer that has one, where the best has none and none is named.

    Raises PlanError, TooLarge, LayerError, of the best layer.
    """
    try:
        return inquiry, *_planned_at(twin, inquiry, decision, max_memory)
    except (PlanError, LayerError) as error:
        located, method = inquiry.located, inquiry.request.method
        if located.where.layer is not None or "portable" in error.options:  # no layer is better for that
            raise
        is_dear = isinstance(error, (TooLarge, LayerError))  # and those ahead of it are dearer
        others = located.together(inquiry.layer, method) if is_dear else located.behind(inquiry.layer, method)
        for layer in others[: TRIED - 1]:
            other = replace(inquiry, layer=layer, instead_of=f"'{inquiry.layer.name}': {error}")
            with suppress(PlanError, LayerError):
                again = decide(other.request, layer, decision.runtimes)
                again = replace(again, isolated=decision.isolated, gate=decision.gate)
                return other, *_planned_at(twin, other, again, max_memory)
        raise


def _planned_at(twin: Graph, inquiry: _Inquiry, decision: Decision, max_memory: int) -> tuple[Head, Plan]:
    """A head in a twin of the model, with its plan, at the layer of the inquiry. Raises PlanError, TooLarge, LayerError."""
    head, located = inquiry.decided(twin, decision), inquiry.located
    decision, plan = _fitting(head.location, decision, max_memory)
    if plan.largest > max_memory and not decision.traits.takes_layer:
        elements = decision.traits.of_elements
        fewer = "targets or steps" if elements is not None and elements.steps else "targets"
        raise TooLarge(
            f"{decision.method} makes a value of {human(plan.largest)} for every image, more than the limit of "
            f"{human(max_memory)}: fewer {fewer} take less; a higher limit of memory allows it",
            needed=plan.largest,
            fits=None,
        )
    if plan.largest > max_memory:
        grid = inquiry.request.grid
        fits = next((other.name for other in located.usable if _fits(located.at(other), decision, grid, max_memory)), None)
        raise _too_large(head.location.layer, plan.largest, max_memory, fits)
    # who asks for the definition, or for a method that looks at no layer of a caller's, asks for its cost
    by_us = located.where.layer is None or inquiry.instead_of is not None
    if by_us and decision.plan == "lazy" and decision.traits.takes_layer:
        layer = priced(twin, head.location.layer, plan, operations(twin.nodes))
        _refuse_shallow(layer, decision.method, located)
    return replace(head, decision=decision), plan


def _fitting(location: Location, decision: Decision, max_memory: int) -> tuple[Decision, Plan]:
    """A decision and its plan, in as many chunks as it takes to stay below the limit, if any number does."""
    plan = as_decided(make_plan(location, decision), decision)
    while decision.traits.per_class and decision.chunks < CHUNKS and plan.largest > max_memory:
        decision = replace(decision, chunks=2 * decision.chunks)
        plan = as_decided(make_plan(location, decision), decision)
    return decision, plan


def _too_large(candidate: Candidate, needed: int, limit: int, fits: str | None) -> TooLarge:
    """What is said of a plan whose largest value is above the limit, and of a layer that fits."""
    return TooLarge(
        f"a hook at layer '{candidate.name}' {text(candidate.value.shape)} makes a value of {human(needed)} for every image, "
        f"more than the limit of {human(limit)}: "
        + (f"layer '{fits}' fits" if fits else "no layer fits")
        + "; a higher limit of memory allows it",
        needed=needed,
        fits=fits,
    )


def _fits(location: Location, decision: Decision, grid: tuple[int, int] | None, limit: int) -> bool:
    """Whether what was decided can be planned at another layer, below the limit."""
    try:
        here = replace(decision, grid=location.layer.mask_grid(grid))
        return as_decided(make_plan(location, here), here).largest <= limit
    except PlanError:
        return False


def _refuse_shallow(place: Layer, method: str, located: Located) -> None:
    """Raise LayerError where the best layer is so far from the scores, or a method so dear there, that nobody can mean it."""
    if place.cost is not None and place.cost > FAR:
        why = "no layer near the scores is known to have cells" if method == place.method else f"no layer suits {method} well"
        if isinstance(located.scores, PixelScores):
            why = f"{method} has its price for each cell where a pixel is made of several ({REGION_METHOD} is cheaper)"
        ways = located.ways()
        raise LayerError(
            f"{why}: the last is '{place.name}' {list(place.shape)}, and a hook there takes {place.cost:.0f} times the "
            f"operations of the plain model; name layer '{place.name}' if that is meant",
            node=place.name,
            options=("layer",),
            way_out=located.way_out(ways),
            ways=ways,
        )

"""Insert a hook: the whole way from a model to a hooked one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from openvino_xai.contract import ALONE, CLASS, MAP, VECTOR_TARGETS, Names, Score, names_of_heads
from openvino_xai.dialects.open import Model, open_model, runtimes_of
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError, LayerError, NoneRefused, OutputsChanged, PlanError, TooLarge
from openvino_xai.graph.model import Graph
from openvino_xai.graph.sizes import text
from openvino_xai.graph.trace import shape_of
from openvino_xai.hooks import METHODS
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.located import Located, Location, Where, refuse_hooked
from openvino_xai.locate.scores import Scores
from openvino_xai.locate.tasks.label_groups import LabelGroups
from openvino_xai.locate.tasks.regions import PixelScores
from openvino_xai.operations.cost import human, operations
from openvino_xai.surgery.decision import Decision, Head, Refusal, decide, in_turn
from openvino_xai.surgery.emit import emit
from openvino_xai.surgery.hooked import Hooked
from openvino_xai.surgery.layer import Layer, priced
from openvino_xai.surgery.plan.gate import gated
from openvino_xai.surgery.plan.hook import Plan
from openvino_xai.surgery.plan.hook import plan as make_plan
from openvino_xai.surgery.plan.sharing import shared
from openvino_xai.surgery.record import write_record
from openvino_xai.surgery.request import Request
from openvino_xai.surgery.rows.decision import RowDecision
from openvino_xai.surgery.rows.insert import insert_rows
from openvino_xai.surgery.task import detector_of
from openvino_xai.surgery.verify.hook import verify_hook
from openvino_xai.tail.rows.pick import is_of_rows
from openvino_xai.tail.target import Likeness, Targets, refuse_unknown

MAX_MEMORY = 2 * 2**30
CHUNKS = 64  # at most: each is a copy of the tail's nodes
REGION_METHOD, REGIONS_EXPLAINED = "layer_cam", 3  # of classes of pixels, where nothing else is asked for
FAR = 10.0  # times the operations of the plain model: a layer is not chosen at such a cost, only taken when it is named


def insert(
    model: Model,
    *,
    layer: str | None = None,
    method: str | None = None,
    score: str | None = None,
    targets: Targets | None = None,
    scale: str = "unit",
    scores: str | Sequence[str] | None = None,
    image_input: str | None = None,
    plan: str = "lazy",
    grid: str | Sequence[int] | None = None,
    kernel: str = "gaussian",
    prefix_tokens: int | None = None,
    token_grid: str | Sequence[int] | None = None,
    max_memory: int = MAX_MEMORY,
    gate: bool = False,
    channels: int | None = None,
    feature_vector: bool = False,
    similarity: str | None = None,
    cut: str | None = None,
    boxes: str | None = None,
    mask: str | None = None,
    verify: bool = True,
    runtime: str | None = None,
) -> Hooked:
    """The model with a hook: the same outputs, then `saliency_map` [B, K, H, W] (and, for `top:K`, `saliency_class` [B, K]).

    Byun and Lee, "Recipro-CAM", 2022, equations 5 - 7. The maps are f32 in [0, 1] (`unit`), bytes (`u8`) or raw scores
    (`none`). With `targets="asked"` an input `explain_class` [B], i64, tells the class of each image that gets a map, which
    clients have to give. `plan` is `lazy`, which computes the same at the least cost, or `direct`, the definition as it is
    written; `grid` (rows, columns) explains with masks that keep a block of cells each. The caller's model is not changed.

    `method` is `reciprocam`, on a map of cells, or `vit_reciprocam`, on the tokens of an attention block; None takes the one
    that suits the layer, or the model where no layer is named. `cam` reads the logits of tails that are linear, and
    `activation_map` what the layer answers, whatever the class. `grad_cam` and its family (`grad_cam_plus_plus`,
    `smooth_grad_cam_plus_plus`, `xgrad_cam`, `layer_cam`, `hires_cam`, `abs_cam`, `abs_cam_init`, `fd_cam`) differentiate the
    tail; they read logits, of the most probable class, unless `score` and `targets` say otherwise.

    `kernel` (`gaussian`, `cell`) weighs neighbours in a mask of tokens; `prefix_tokens` and `token_grid` (rows, columns) tell
    the tokens where the model does not.

    `gate` adds an input `explain` [B], boolean: images that it does not ask for cost nothing, and their maps are 0. It is
    for models with an open batch, and their clients have to give it. Where the runtime cannot run the hook for no image at
    all, the first stands in, at its cost.

    `channels` is how many channels `abs_cam` asks about for each class, those of the largest mean absolute gradient; None is
    all. Where a layer has no more, all are asked about.

    `scores` is the name of the output that is explained, or the names of several: a model may have a head for each of several
    questions. Then each head NAME has an output `saliency_map_NAME`, and `saliency_class_NAME` and an input
    `explain_class_NAME` where a single head has them without a name. The targets are for all heads; `layer` is, too, and None
    takes the best layer of each head. What heads have in common is computed once.

    With `feature_vector` there is one more output, `feature_vector` [B, C], f32: the mean over the cells of the layer.

    With `targets="vector"` the output is a vector [B, E], as of a model for retrieval, and an input `explain_vector` [B, E],
    f32, tells another of each image. What is explained is the `similarity` of the two, `cosine` (the default) or `dot`.

    A detector has rows in place of classes. `targets` are then `boxes:D`, the D best boxes of each image, which come with
    outputs `saliency_index`, `saliency_class`, `saliency_box` and `saliency_score`; or `asked:D`, rows that inputs
    `explain_index` and `explain_class` [B, D] tell. `method` is `layer_cam` or `hires_cam`, of the gradient of a row's
    log-odds; `cut` the set of layers, `backbone` (before levels mix) or `heads` (the inputs of the heads), where `layer` names
    none, joined by commas; `boxes` the format of the boxes, where the model does not tell it.

    `verify` runs both models before anything is returned, by the `runtime` that will serve the file: `onnxruntime` or
    `openvino`, or `both`; None is the model's own. What holds to the bit in one may change a bit in the other.

    Raises an OvxaiError that names what is in the way.
    """
    outputs = (scores,) if scores is None or isinstance(scores, str) else tuple(scores)
    where = Where.parse(
        layer,
        scores=outputs[0] if outputs else None,
        image_input=image_input,
        prefix_tokens=prefix_tokens,
        token_grid=token_grid,
        task="vector" if targets == VECTOR_TARGETS or isinstance(targets, Likeness) else None,
        score=score,
    )
    deployed = open_model(model)
    refuse_hooked(deployed)
    names = [ALONE] if len(outputs) < 2 else names_of_heads([str(output) for output in outputs])
    detector = None
    if len(outputs) > 1:
        _refuse_one_head(where, targets, cut=cut, boxes=boxes)
    else:
        rows_alone = method in ROW_METHODS and method not in METHODS
        detector = detector_of(deployed, where, targets, of_rows=cut is not None or boxes is not None or rows_alone)
    if detector is not None:
        if feature_vector:
            raise InputError(
                "a feature vector is of one layer, and a detector has several: leave it out", options=("feature_vector",)
            )
        _refuse_of_classes(
            score=(None if detector.rows.of_logits else score, None),
            plan=(plan, "lazy"),
            prefix_tokens=(prefix_tokens, None),
            token_grid=(token_grid, None),
            channels=(channels, None),
            similarity=(similarity, None),
        )
        if score is not None and score != detector.rows.score:
            raise InputError(
                f"score is '{score}', which makes no probabilities of the logits of {detector.rows.classes} classes: softmax "
                "or sigmoid is expected, and sigmoid of a single class",
                options=("score",),
            )
        of_rows = RowDecision.parse(
            method=method,
            targets=targets,
            scale=scale,
            cut=cut,
            boxes=boxes,
            mask=mask,
            kernel=kernel,
            grid=grid,
            gate=gate,
            runtimes=runtimes_of(deployed, runtime) if verify else (),
        )
        return insert_rows(detector, of_rows, max_memory)
    asking = partial(
        Request.parse,
        score=score,
        scale=scale,
        plan=plan,
        grid=grid,
        kernel=kernel,
        gate=gate,
        channels=channels,
        similarity=similarity,
        feature_vector=feature_vector,
    )
    asking(method=method, targets=targets)  # what is wrong with it comes before what is wrong with the model
    inquiries = [
        _Inquiry.of(deployed, replace(where, scores=output), asking, method=method, targets=targets, names=head_names)
        for output, head_names in zip(outputs or (None,), names, strict=True)
    ]
    if feature_vector:
        inquiries = _with_one_vector(inquiries)
    runtimes = runtimes_of(deployed, runtime) if verify else ()
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


def _refuse_of_classes(**options: tuple[object, object]) -> None:
    """Raise InputError for an option that says what only explanations of classes have, told with its value and its default."""
    for name, (value, default) in options.items():
        if value != default:
            word = name.replace("_", "-")
            raise InputError(f"{word} is {value!r}, which says nothing of a detector's rows: leave it out", options=(name,))


def _refuse_one_head(where: Where, targets: Targets | None, *, cut: str | None, boxes: str | None) -> None:
    """Raise InputError for what is explained in a hook of its own, where several heads are named."""
    of_rows = cut is not None or boxes is not None or (isinstance(targets, str) and is_of_rows(targets))
    if of_rows or where.task is not None:
        what = "rows of a detector" if of_rows else "vectors"
        raise InputError(f"{what} are explained in a hook of their own: name one output, not several", options=("scores",))


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
    """A head of a model, what is asked of a hook there, and the layer where it goes."""

    located: Located
    request: Request
    layer: Candidate
    names: Names

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
    records: Sequence[Mapping[str, str]]
    layers: Sequence[Layer]
    leans: bool

    def verified(self, original: Deployed) -> Hooked:
        """The hooked model, verified where that was decided. Raises VerificationError."""
        verified = None
        if self.heads[0].decision.runtimes:
            verified = verify_hook(original, self.grown, self.heads, cost=self.layers[0].cost or 1.0)
        return Hooked(self.grown.reread(), self.records, self.layers, verified)


def _drafted(deployed: Deployed, inquiries: Sequence[_Inquiry], decisions: Sequence[Decision], max_memory: int) -> _Draft:
    """A twin of the model with a hook. Raises PlanError, TooLarge, LayerError."""
    twin = deployed.twin()
    pairs = zip(inquiries, decisions, strict=True)
    heads, plans = zip(*(_planned(twin.graph, inquiry, decision, max_memory) for inquiry, decision in pairs), strict=True)
    plan = shared([(head.names, plan) for head, plan in zip(heads, plans, strict=True)])
    if plan is None:
        return _drafted(deployed, inquiries, [replace(decision, isolated=True) for decision in decisions], max_memory)
    plain = operations(twin.graph.nodes)
    layers = [priced(twin.graph, head.location.layer, plan, plain) for head in heads]
    if heads[0].decision.gate != "off":
        plan = gated(plan, shape_of(heads[0].location.layer.value)[0], one_at_least=heads[0].decision.gate == "one")
    emit(plan, twin, [head.names.in_file(name) for head in heads for name in (MAP, CLASS)])
    records = write_record(twin, heads, layers, len(plan.splices), deployed.conversion)
    here = [replace(head, location=inquiry.located.at(inquiry.layer)) for head, inquiry in zip(heads, inquiries, strict=True)]
    leans = bool(plan.splices) or any(head.decision.traits.masks == "nothing" for head in heads)
    return _Draft(twin, here, records, layers, leans)


def _planned(twin: Graph, inquiry: _Inquiry, decision: Decision, max_memory: int) -> tuple[Head, Plan]:
    """A head in a twin of the model, with its plan. Raises PlanError, TooLarge, LayerError."""
    head, located = inquiry.decided(twin, decision), inquiry.located
    decision, plan = _fitting(head.location, decision, max_memory)
    if plan.largest > max_memory:
        grid = inquiry.request.grid
        fits = next((other.name for other in located.usable if _fits(located.at(other), decision, grid, max_memory)), None)
        raise _too_large(head.location.layer, plan.largest, max_memory, fits)
    if located.where.layer is None and decision.plan == "lazy":  # who asks for the definition asks for its cost
        layer = priced(twin, head.location.layer, plan, operations(twin.nodes))
        _refuse_shallow(layer, decision.method, located.scores)
    return replace(head, decision=decision), plan


def _fitting(location: Location, decision: Decision, max_memory: int) -> tuple[Decision, Plan]:
    """A decision and its plan, in as many chunks as it takes to stay below the limit, if any number does."""
    plan = make_plan(location, decision)
    while decision.traits.per_class and decision.chunks < CHUNKS and plan.largest > max_memory:
        decision = replace(decision, chunks=2 * decision.chunks)
        plan = make_plan(location, decision)
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
        return make_plan(location, replace(decision, grid=location.layer.mask_grid(grid))).largest <= limit
    except PlanError:
        return False


def _refuse_shallow(place: Layer, method: str, scores: Scores) -> None:
    """Raise LayerError where the best layer is so far from the scores, or a method so dear there, that nobody can mean it."""
    if place.cost is not None and place.cost > FAR:
        why = "no layer near the scores is known to have cells" if method == place.method else f"no layer suits {method} well"
        if isinstance(scores, PixelScores):
            why = f"{method} has its price for each cell where a pixel is made of several ({REGION_METHOD} is cheaper)"
        raise LayerError(
            f"{why}: the last is '{place.name}' {list(place.shape)}, and a hook there takes {place.cost:.0f} times the "
            f"operations of the plain model; name layer '{place.name}' if that is meant",
            node=place.name,
            options=("layer",),
        )

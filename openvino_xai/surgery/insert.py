"""Insert a hook: the whole way from a model to a hooked one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from openvino_xai.contract import RECORD, VECTOR_TARGETS
from openvino_xai.dialects.open import Model, open_model, runtimes_of
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError, LayerError, NoneRefused, OutputsChanged, PlanError, TooLarge
from openvino_xai.graph.sizes import text
from openvino_xai.graph.trace import shape_of
from openvino_xai.hooks import METHODS
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.located import Located, Location, Where
from openvino_xai.locate.scores import Scores
from openvino_xai.locate.tasks.regions import PixelScores
from openvino_xai.operations.cost import human, operations
from openvino_xai.surgery.decision import Decision, Refusal, decide, in_turn
from openvino_xai.surgery.emit import emit
from openvino_xai.surgery.hooked import Hooked
from openvino_xai.surgery.layer import Layer, priced
from openvino_xai.surgery.plan.gate import gated
from openvino_xai.surgery.plan.hook import Plan
from openvino_xai.surgery.plan.hook import plan as make_plan
from openvino_xai.surgery.record import entries
from openvino_xai.surgery.request import Request
from openvino_xai.surgery.rows.decision import RowDecision
from openvino_xai.surgery.rows.insert import insert_rows
from openvino_xai.surgery.task import detector_of
from openvino_xai.surgery.verify.hook import verify_hook
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
    scores: str | None = None,
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
    where = Where.parse(
        layer,
        scores=scores,
        image_input=image_input,
        prefix_tokens=prefix_tokens,
        token_grid=token_grid,
        task="vector" if targets == VECTOR_TARGETS or isinstance(targets, Likeness) else None,
    )
    deployed = open_model(model)
    rows_alone = method in ROW_METHODS and method not in METHODS
    detector = detector_of(deployed, where, targets, of_rows=cut is not None or boxes is not None or rows_alone)
    if detector is not None:
        if feature_vector:
            raise InputError(
                "a feature vector is of one layer, and a detector has several: leave it out", options=("feature_vector",)
            )
        _refuse_of_classes(
            score=(score, None),
            plan=(plan, "lazy"),
            prefix_tokens=(prefix_tokens, None),
            token_grid=(token_grid, None),
            channels=(channels, None),
            similarity=(similarity, None),
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
    request = asking(method=method, targets=targets)
    located = Located.of(deployed, where)
    if isinstance(located.scores, PixelScores):
        method, targets = method or REGION_METHOD, targets or f"top:{min(REGIONS_EXPLAINED, located.scores.classes)}"
        request = asking(method=method, targets=targets)
    runtimes = runtimes_of(located.deployed, runtime) if verify else ()
    refuse_unknown(request.pick, located.scores.classes)
    location = located.at(located.choose(request.method))
    refusals: list[Refusal] = []
    for decision in in_turn(decide(request, location.layer, runtimes)):
        if all(decision.avoids(refusal) for refusal in refusals):
            draft = _drafted(located, location, request, decision, max_memory)
            try:
                return draft.verified(located.deployed, location)
            except (NoneRefused, OutputsChanged) as refusal:
                refusals.append(refusal)
                if isinstance(refusal, OutputsChanged) and not draft.leans:
                    break
    raise refusals[-1]


def _refuse_of_classes(**options: tuple[object, object]) -> None:
    """Raise InputError for an option that says what only explanations of classes have, told with its value and its default."""
    for name, (value, default) in options.items():
        if value != default:
            word = name.replace("_", "-")
            raise InputError(f"{word} is {value!r}, which says nothing of a detector's rows: leave it out", options=(name,))


@dataclass(frozen=True, eq=False)
class _Draft:
    """A model that has grown a hook, as it was decided; `leans` where the hook reads or changes more than its layer."""

    grown: Deployed
    decision: Decision
    record: Mapping[str, str]
    layer: Layer
    leans: bool

    def verified(self, original: Deployed, location: Location) -> Hooked:
        """The hooked model, verified where that was decided. Raises VerificationError."""
        verified = None
        if self.decision.runtimes:
            verified = verify_hook(original, self.grown, location, self.decision, cost=self.layer.cost or 1.0)
        return Hooked(self.grown.reread(), self.record, self.layer, verified)


def _drafted(located: Located, location: Location, request: Request, decision: Decision, max_memory: int) -> _Draft:
    """A twin of the model with a hook. Raises PlanError, TooLarge, LayerError."""
    twin = located.deployed.twin()
    here = location.within(twin.graph)
    decision, plan = _fitting(here, decision, max_memory)
    if plan.largest > max_memory:
        grid = request.grid
        fits = next((other.name for other in located.usable if _fits(located.at(other), decision, grid, max_memory)), None)
        raise _too_large(location.layer, plan.largest, max_memory, fits)
    layer = priced(twin.graph, here.layer, plan, operations(twin.graph.nodes))
    if located.where.layer is None and decision.plan == "lazy":  # who asks for the definition asks for its cost
        _refuse_shallow(layer, decision.method, located.scores)
    if decision.gate != "off":
        plan = gated(plan, shape_of(here.layer.value)[0], one_at_least=decision.gate == "one")
    emit(plan, twin)
    record = entries(decision, here, layer, len(plan.splices), conversion=located.deployed.conversion)
    twin.set_info(RECORD, record)
    return _Draft(twin, decision, record, layer, bool(plan.splices) or decision.traits.masks == "nothing")


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

"""Insert a hook: the whole way from a model to a hooked one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openvino_xai.contract import GATE, RECORD
from openvino_xai.dialects.open import Model, open_model
from openvino_xai.dialects.protocol import Deployed, Runtime
from openvino_xai.errors import InputError, LayerError, NoneRefused, OutputsChanged, PlanError, TooLarge
from openvino_xai.files.paths import exists
from openvino_xai.files.writing import check_output, written_whole
from openvino_xai.graph.model import Graph
from openvino_xai.graph.sizes import Shape, text
from openvino_xai.graph.trace import shape_of
from openvino_xai.hooks import METHODS
from openvino_xai.locate.attention_blocks import TokenHint, blocks
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import Candidate, candidates, choose, is_among, layer_name
from openvino_xai.locate.positions import places
from openvino_xai.locate.scores import Scores, find_scores
from openvino_xai.operations.products import WEIGHTED
from openvino_xai.surgery.emit import emit
from openvino_xai.surgery.plan.cost import added, depth, human, largest, operations
from openvino_xai.surgery.plan.gate import gated
from openvino_xai.surgery.plan.hook import Plan
from openvino_xai.surgery.plan.hook import plan as make_plan
from openvino_xai.surgery.record import refuse_hooked
from openvino_xai.surgery.request import Asked, Request, rows_and_columns
from openvino_xai.surgery.verify.hook import Verified, verify_file, verify_hook
from openvino_xai.surgery.verify.masks import Located
from openvino_xai.tail.walk import between
from openvino_xai.version import __version__

MAX_MEMORY = 2 * 2**30
PLANNED = 250_000  # nodes, of the tails behind all layers that a hook is planned at to list them
UNTRIED = "not tried, as many layers lie nearer to the scores; insert with --layer tries it"
CHUNKS = 64  # at most: each is a copy of the tail's nodes
CHANNELS = "ablation_cam"  # a hook that weighs channels: probes that do look where it does
FAR = 10.0  # times the operations of the plain model: a layer is not chosen at such a cost, only taken when it is named


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


class Hooked:
    """A model that returns maps beside its outputs."""

    def __init__(self, deployed: Deployed, record: Mapping[str, str], layer: Layer, verified: Verified | None) -> None:
        self._deployed = deployed
        self.record = dict(record)
        self.layer = layer
        self.verified = verified

    @property
    def deployed(self) -> Deployed:
        """The model in its dialect."""
        return self._deployed

    @property
    def model(self) -> Any:
        """The model as an object, of the kind that came in: `ov.Model` or `onnx.ModelProto`."""
        return self._deployed.object()

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the model, whole or not at all, and return its path.

        Raises InputError where the path has another suffix than the model's kind or, without `force`, exists, and OutputError
        where it cannot be written.
        """
        target = Path(path)
        if target.suffix != self._deployed.suffix:
            raise InputError(f"{target} does not end in {self._deployed.suffix}, which this model is written as")
        check_output(target)
        if exists(target) and not force:
            raise InputError(f"{target} exists; choose another output or overwrite it with --force")
        with written_whole(target) as temporary:
            self._deployed.save(temporary)
            if self.verified is not None:
                verify_file(temporary, self.verified)
        return target


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
    deployed = open_model(model)
    refuse_hooked(deployed)
    view = _View(deployed.graph, scores, image_input, token_hint(prefix_tokens, token_grid))
    return view.layers()


def insert(
    model: Model,
    *,
    layer: str | None = None,
    method: str | None = None,
    score: str | None = None,
    targets: Asked | None = None,
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

    `verify` runs both models before anything is returned, by the `runtime` that will serve the file: `onnxruntime` or
    `openvino`, or `both`; None is the model's own. What holds to the bit in one may change a bit in the other.

    Raises an OvxaiError that names what is in the way.
    """
    request = Request.parse(
        method=method,
        score=score,
        targets=targets,
        scale=scale,
        plan=plan,
        grid=grid,
        kernel=kernel,
        gate=gate,
        channels=channels,
    )
    original = open_model(model)
    refuse_hooked(original)
    request = replace(request, runtimes=_runtimes(original, runtime) if verify else ())
    where = _Where(layer, scores, image_input, token_hint(prefix_tokens, token_grid))
    return _hooked(original, where, request, max_memory, verify=verify)


def _runtimes(original: Deployed, runtime: str | None) -> tuple[Runtime, ...]:
    """The runtimes that a caller names, the model's own first. Raises InputError."""
    if runtime is None:
        return (original.runtime,)
    known = original.runtimes
    if runtime == "both" and len(known) > 1:
        return known
    if runtime not in known:
        words = (*known, "both") if len(known) > 1 else known
        raise InputError(f"runtime '{runtime}' does not run {original.suffix} files: {' or '.join(words)} is expected")
    return tuple(one for one in known if one == runtime)


@dataclass(frozen=True)
class _Where:
    """What a caller says of the model."""

    layer: str | None
    scores: str | None
    image_input: str | None
    hint: TokenHint


def _hooked(original: Deployed, where: _Where, request: Request, max_memory: int, *, verify: bool) -> Hooked:
    """The model with a hook, as a request says."""
    twin = original.twin()
    view = _View(twin.graph, where.scores, where.image_input, where.hint)
    request.targets.checked(view.scores.classes)
    chosen = view.choose(where.layer, request.method)
    name = request.method or chosen.method
    masking = METHODS[name]
    request = replace(request, method=name, image=view.image)
    if view.scores.classes == 1 and request.reads == "softmax":
        request = replace(request, score="sigmoid")  # a softmax of one logit is always 1
    planned = make_plan(twin.graph, chosen, view.scores, request)
    while masking.few and request.chunks < CHUNKS and largest(planned) > max_memory:
        request = replace(request, chunks=2 * request.chunks)
        planned = make_plan(twin.graph, chosen, view.scores, request)
    view.refuse_large(chosen, planned, request, max_memory)
    place = view.layer(chosen, planned)
    if where.layer is None and request.plan == "lazy":  # who asks for the definition asks for its cost
        _refuse_shallow(place, name)
    if request.gate != "off":
        planned = gated(planned, shape_of(chosen.value)[0], one_at_least=request.gate == "one")
    emit(planned, twin)
    record = _record(request, chosen, view.scores, place, planned)
    twin.set_info(RECORD, record)
    seen = None
    if verify:
        place_of = view.found.index(chosen)

        def located(model: Deployed) -> Located:
            same = _View(model.graph, where.scores, where.image_input, where.hint)
            return Located(model, same.found[place_of], same.scores)

        try:
            seen = verify_hook(original, twin, located, request, cost=place.cost or 1.0)
        except (NoneRefused, OutputsChanged) as error:
            other = _otherwise(request, planned, error)
            if other is None:
                raise
            return _hooked(original, where, other, max_memory, verify=verify)
    return Hooked(twin.reread(), record, place, seen)


def _record(request: Request, chosen: Candidate, scores: Scores, place: Layer, planned: Plan) -> dict[str, str]:
    """What the hooked model tells of its hook."""
    method = METHODS[request.method or ""]
    record = {
        "version": __version__,
        "method": request.method or "",
        "layer": chosen.name,
        "score": request.reads if scores.activation is None or request.reads == "logit" else scores.scale,
        "scores": scores.name,
        "image": request.image or "",
        "output": scores.scale,
        "targets": str(request.targets),
        "scale": request.scale,
        "plan": request.plan,
        "grid": "x".join(map(str, _readable(chosen.cells if request.grid is None else request.grid))),
        "cost": f"{place.cost:.2f}",
        "memory": str(place.memory),
    }
    if method.score == "none":
        record["score"] = "none"
    if chosen.residual is not None and method.masks == "tokens":
        record.update(residual=layer_name(chosen.residual), kernel=request.kernel, prefix_tokens=str(chosen.place.prefix))
    if request.channels is not None:
        record["channels"] = str(request.channels)
    if request.gate != "off":
        record["gate"] = GATE
    if planned.joined:
        record["joined"] = str(len(planned.joined))
    if fallback := [word for word, taken in (("apart", request.apart), ("one", request.gate == "one")) if taken]:
        record["fallback"] = ",".join(fallback)
    record["verified"] = ",".join(request.runtimes) or "none"
    return record


def _otherwise(request: Request, planned: Plan, error: NoneRefused | OutputsChanged) -> Request | None:
    """What to try where the runtime did not take a hook: one that asks less of it; None where there is none."""
    if isinstance(error, NoneRefused):
        return None if request.gate == "one" else replace(request, gate="one")
    leans = planned.joined or METHODS[request.method or ""].masks == "nothing"
    return replace(request, apart=True) if leans and not request.apart else None


def _refuse_shallow(place: Layer, method: str) -> None:
    """Raise LayerError where the best layer is so far from the scores, or a method so dear there, that nobody can mean it."""
    if place.cost is not None and place.cost > FAR:
        why = "no layer near the scores is known to have cells" if method == place.method else f"no layer suits {method} well"
        raise LayerError(
            f"{why}: the last is '{place.name}' {list(place.shape)}, and a hook there takes {place.cost:.0f} times the "
            f"operations of the plain model; say --layer {place.name} if that is meant",
            node=place.name,
        )


def find_layer(
    deployed: Deployed, *, layer: str | None, scores: str | None, image_input: str | None, hint: TokenHint
) -> Candidate:
    """The layer called `layer`, or the one where a hook that weighs channels would go. Raises ModelError, LayerError."""
    return _View(deployed.graph, scores, image_input, hint).choose(layer, CHANNELS)


def token_hint(prefix: int | None, grid: str | Sequence[int] | None) -> TokenHint:
    """What a caller knows of tokens. Raises InputError."""
    if prefix is not None and prefix < 0:
        raise InputError(f"prefix tokens are {prefix}; 0 or more are expected")
    return TokenHint(None if grid is None else rows_and_columns("token grid", grid), prefix)


class _View:
    """A model, located: its scores and candidates, and what each costs."""

    def __init__(self, graph: Graph, scores: str | None, image_input: str | None, hint: TokenHint) -> None:
        self.graph = graph
        image, place = find_image(graph, image_input)
        self.image = image.name
        self.scores: Scores = find_scores(graph, scores)
        placed = places(graph, image, place)
        self._cells = candidates(graph, image, self.scores, placed)
        self._blocks = blocks(graph, image, self.scores, placed, hint)
        self._plain = operations(graph.nodes)
        self._order = {value: i for i, node in enumerate(graph.nodes) for value in node.outputs}

    @property
    def found(self) -> list[Candidate]:
        """Every candidate, those first that the best one is among."""
        both = [self._blocks, self._cells] if self._blocks_first() else [self._cells, self._blocks]
        return sorted((candidate for some in both for candidate in some), key=lambda candidate: candidate.reason is not None)

    def choose(self, layer: str | None, method: str | None) -> Candidate:
        """The candidate for `layer` and `method`, where they are told. Raises LayerError."""
        kind = None if method is None else METHODS[method].masks
        if kind in ("cells", "tokens"):
            if kind == "tokens" and not self._blocks:
                raise LayerError(f"{method} needs an attention block, and none leads from the image to the scores")
            return choose(self._blocks if kind == "tokens" else self._cells, layer, self.graph)
        if layer is None and method is not None and METHODS[method].few:
            return choose(self._weighed() or self.found, None, self.graph)
        if layer is None:
            untold = [block for block in self._blocks if block.untold]
            behind = self._last(untold) > self._last(candidate for candidate in self.found if candidate.reason is None)
            return choose(untold if behind else self.found, None, self.graph)
        named = [candidate for candidate in self.found if candidate.reason is None]
        return choose(named if is_among(named, layer, self.graph) else self.found, layer, self.graph)

    def _weighed(self) -> list[Candidate]:
        """The candidates that weights lead from to the scores: where the channels are no classes yet."""
        end = self.scores.read_at("logit")
        found = (candidate for candidate in self.found if candidate.reason is None)
        return [c for c in found if any(node.kind in WEIGHTED for node in between(self.graph, {c.value}, end))]

    def _blocks_first(self) -> bool:
        """Whether the last attention block lies behind the last cells."""
        ends = [self._last(c for c in some if c.reason is None) for some in (self._blocks, self._cells)]
        return ends[0] >= ends[1] and ends[0] >= 0

    def _last(self, some: Iterable[Candidate]) -> int:
        """How far behind the last of some candidates lies, -1 for none."""
        return max((self._order[candidate.value] for candidate in some), default=-1)

    def layers(self) -> list[Layer]:
        """Every candidate with its cost, as far as planning at all of them is not too much."""
        listed, planned = [], 0
        for candidate in self.found:
            if candidate.reason is None:
                planned += len(self.graph.nodes) - self._order.get(candidate.value, 0)
                if planned > PLANNED:
                    candidate = replace(candidate, reason=UNTRIED)
            listed.append(self.layer(candidate))
        return listed

    def layer(self, candidate: Candidate, planned: Plan | None = None) -> Layer:
        """A candidate with its cost, by a plan of the default request where none is given."""
        reason = candidate.reason
        if reason is None and planned is None:
            try:
                planned = make_plan(self.graph, candidate, self.scores, Request(method=candidate.method))
            except PlanError as error:
                reason = str(error)
        cost = None if planned is None else 1 + added(planned) / max(self._plain, 1)
        memory = None if planned is None else largest(planned)
        return Layer(
            candidate.name,
            _readable(candidate.value.shape or ()),
            _readable(candidate.cells),
            cost,
            memory,
            reason,
            candidate.method,
            depth(self.graph, candidate.value),
        )

    def refuse_large(self, chosen: Candidate, planned: Plan, request: Request, limit: int) -> None:
        """Raise TooLarge where a plan's largest value is above the limit, naming a layer that fits."""
        needed = largest(planned)
        if needed <= limit:
            return
        fits = self._first_fitting(request, limit)
        raise TooLarge(
            f"a hook at layer '{chosen.name}' {text(chosen.value.shape)} makes a value of {human(needed)} for every image, "
            f"more than the limit of {human(limit)}: "
            + (f"layer '{fits}' fits" if fits else "no layer fits")
            + "; --max-memory changes the limit",
            needed=needed,
            fits=fits,
        )

    def _first_fitting(self, request: Request, limit: int) -> str | None:
        for candidate in self.found:
            if candidate.reason is None:
                try:
                    small = largest(make_plan(self.graph, candidate, self.scores, request)) <= limit
                except PlanError:
                    continue
                if small:
                    return candidate.name
        return None


def _readable(shape: Shape) -> tuple[int | str, ...]:
    return tuple(size if isinstance(size, int) else str(size) for size in shape)

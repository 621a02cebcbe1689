"""Insert a hook: the whole way from a model to a hooked one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from openvino_xai.arguments import COUNT, FLAG, PLACE, SIZES, TEXT, TEXTS, takes
from openvino_xai.choices import quoted
from openvino_xai.contract import VECTOR_TARGETS
from openvino_xai.dialects.open import Model, runtimes_of
from openvino_xai.errors import InputError, LayerError, PlanError
from openvino_xai.graph.model import Graph
from openvino_xai.hooks import METHODS
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.locate.located import Where, refuse_hooked
from openvino_xai.locate.rows.record import Rows
from openvino_xai.locate.tasks.opening import opened
from openvino_xai.plan.request import Request
from openvino_xai.plan.rows.decision import RowDecision
from openvino_xai.surgery.classes import insert_classes
from openvino_xai.surgery.hooked import Hooked
from openvino_xai.surgery.rows.insert import insert_rows
from openvino_xai.surgery.task import detector_of
from openvino_xai.tail.rows.pick import is_of_rows
from openvino_xai.tail.target import Likeness, Targets
from openvino_xai.words import (
    BoxFormat,
    CutWord,
    HookName,
    Kernel,
    LikenessWord,
    MaskWord,
    PlanWord,
    RuntimeWord,
    ScaleWord,
    ScoreWord,
)

MAX_MEMORY = 2 * 2**30
RANK_OF_PHOTOS = 4  # [B, C, H, W]: what probes cover, and no signal or video
WAY_OUT = "the probe rise explains classes from a model's predictions alone"
OF_SEVERAL = (
    "computes what several operations do, in a form that is not read: take the ONNX file as it was before it was optimised, "
    "or export it with an older opset"
)


ARGUMENTS = {
    **PLACE,
    "scores": TEXTS.or_none(),
    "layout": TEXT.or_none(),
    "method": TEXT.or_none(),
    "score": TEXT.or_none(),
    "scale": TEXT,
    "plan": TEXT,
    "grid": SIZES.or_none(),
    "kernel": TEXT,
    "max_memory": COUNT,
    "gate": FLAG,
    "channels": COUNT.or_none(),
    "feature_vector": FLAG,
    "confidence": FLAG,
    "steps": COUNT.or_none(),
    "portable": FLAG,
    "similarity": TEXT.or_none(),
    "cut": TEXT.or_none(),
    "boxes": TEXT.or_none(),
    "mask": TEXT.or_none(),
    "verify": FLAG,
    "runtime": TEXT.or_none(),
}


@takes(**ARGUMENTS)
def insert(
    model: Model,
    *,
    layer: str | None = None,
    method: HookName | None = None,
    score: ScoreWord | None = None,
    targets: Targets | None = None,
    scale: ScaleWord = "unit",
    scores: str | Sequence[str] | None = None,
    image_input: str | None = None,
    layout: str | None = None,
    plan: PlanWord = "lazy",
    grid: str | Sequence[int] | None = None,
    kernel: Kernel = "gaussian",
    prefix_tokens: int | None = None,
    token_grid: str | Sequence[int] | None = None,
    cells: str | Sequence[int] | None = None,
    max_memory: int = MAX_MEMORY,
    gate: bool = False,
    channels: int | None = None,
    feature_vector: bool = False,
    confidence: bool = False,
    steps: int | None = None,
    baseline: float | Sequence[float] | str | None = None,
    portable: bool = False,
    similarity: LikenessWord | None = None,
    cut: CutWord | None = None,
    boxes: BoxFormat | None = None,
    mask: MaskWord | None = None,
    verify: bool = True,
    runtime: RuntimeWord | None = None,
) -> Hooked:
    """The model with a hook: the same outputs, then `saliency_map` [B, K, H, W] (and, for `top:K`, `saliency_class` [B, K]).

    Byun and Lee, "Recipro-CAM", 2022, equations 5 - 7. The maps are f32 in [0, 1] (`unit`), bytes (`u8`) or raw scores
    (`none`). With `targets="asked"` an input `explain_class` [B], i64, tells the class of each image that gets a map, which
    clients have to give. `plan` is `lazy`, which computes the same at the least cost, or `direct`, the definition as it is
    written; `grid` (rows, columns) explains with masks that keep a block of cells each. The caller's model is not changed.

    `method` is `reciprocam`, on a map of cells, or `vit_reciprocam`, on the tokens of an attention block; None takes the one
    that suits the layer, or the model where no layer is named. `cam` and `lift_cam` are for tails that are linear,
    `activation_map` and `eigen_cam` what the layer answers, whatever the class. Methods of gradients, as `grad_cam`,
    differentiate the tail; they read logits, of the most probable class, unless `score` and `targets` say otherwise. Methods of
    attention, as `attention_rollout` and `chefer`, look at all attention blocks of a network whose scores read a class token,
    and at no layer. `openvino_xai.methods` lists all.

    `layer` may hold several names with commas between: those of branches that masks cover together, or for `layer_cam` and
    `zoom_cam` of layers one behind the other. Each of these has a map of its own, of which the largest is returned on the cells
    of the finest.

    `kernel` (`gaussian`, `cell`) weighs neighbours in a mask of tokens; `prefix_tokens` and `token_grid` (rows, columns) tell
    the tokens where the model does not. `cells` (rows, columns) tells those of `layer` where they cannot be followed there: two
    axes side by side, or one that holds them row by row.

    `layout`, NCHW or NHWC, is that of the image, where neither its sizes nor the first weights tell it.

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

    With `confidence` there is an output `saliency_confidence` [B, K, H, W], f32 in [0, 1]: how steady each cell of a map is
    when the image is a little noisy. 1 less twice the deviation of the cell over the maps of 5 copies, which are rows of the
    same inference and cost as many. It is for methods that read the features and gradients of one layer, as `grad_cam`.

    `input_gradient` and `integrated_gradients` look at no layer. They return an output `gradient` [B, K, C, H, W], f32, in the
    axes of the input, beside a map of its pixels: the derivative of each score by each element of the image; or what each
    element adds to the score on the way from the `baseline` (a number, or one for each channel, in what the input holds; 0), in
    so many `steps` (50), which are rows of one inference.

    A `portable` hook is made of sums, products and maxima alone, for runtimes without TopK, GatherElements, Gather, Cast, Where
    or comparisons, as ncnn. It has the same maps. `saliency_class` is f32 there; a gate, bytes, inputs of its own and the boxes
    of a detector are refused.

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
        cells=cells,
        task="vector" if isinstance(targets, Likeness) or (isinstance(targets, str) and targets == VECTOR_TARGETS) else None,
        score=score,
    )
    deployed = opened(model, layout, image_input)
    refuse_hooked(deployed)
    detector = None
    if len(outputs) > 1:
        _refuse_one_head(where, targets, cut=cut, boxes=boxes)
    else:
        rows_alone = method in ROW_METHODS and method not in METHODS
        detector = detector_of(deployed, where, targets, of_rows=cut is not None or boxes is not None or rows_alone)
    if detector is not None:
        _refuse_of_classes(
            feature_vector=(feature_vector, False),
            confidence=(confidence, False),
            plan=(plan, "lazy"),
            prefix_tokens=(prefix_tokens, None),
            token_grid=(token_grid, None),
            cells=(cells, None),
            channels=(channels, None),
            steps=(steps, None),
            baseline=(baseline, None),
            similarity=(similarity, None),
        )
        _refuse_score(detector.rows, score)
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
            portable=portable,
            runtimes=runtimes_of(deployed, runtime) if verify else (),
        )
        with _ways_out(deployed.graph):
            return insert_rows(detector, of_rows, max_memory)
    if mask is not None:
        raise InputError(
            f"mask is {quoted(mask)}, which is for the rows of a detector, and this model is none: leave it out",
            options=("mask",),
        )
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
        confidence=confidence,
        steps=steps,
        baseline=baseline,
        portable=portable,
    )
    asking(method=method, targets=targets)  # what is wrong with it comes before what is wrong with the model
    runtimes = runtimes_of(deployed, runtime) if verify else ()
    with _ways_out(deployed.graph, by_default=layer is None and method is None):
        return insert_classes(
            deployed, where, outputs, asking, method=method, targets=targets, runtimes=runtimes, max_memory=max_memory
        )


@contextmanager
def _ways_out(graph: Graph, *, by_default: bool = False) -> Iterator[None]:
    """With a refusal, say what else helps: a probe of photos `by_default`, and of a fused operation the file as it was."""
    try:
        yield
    except (LayerError, PlanError) as error:
        of_photos = any(len(value.shape or ()) == RANK_OF_PHOTOS for value in graph.inputs)
        if by_default and of_photos and not error.options:  # what was left to us cannot be done
            error.args = (f"{error}; {WAY_OUT}",)
        if graph.fused:
            error.args = (f"{error}; {graph.fused[0]} {OF_SEVERAL}",)
        raise


def _refuse_score(rows: Rows, score: str | None) -> None:
    """Raise InputError for a score that rows have not: probabilities are read as they are, logits as their number tells."""
    if not rows.of_logits:
        _refuse_of_classes(score=(score, None))
    elif score not in (None, rows.score):
        raise InputError(
            f"score is '{score}', which makes no probabilities of the logits of {rows.classes} classes: softmax or sigmoid is "
            "expected, and sigmoid of a single class",
            options=("score",),
        )


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

"""The class scores among the outputs of a model: [B, K] floats, and the activation that made them of logits, if one did.

The activation is looked for behind whatever moves or rounds elements, and not through other arithmetic. An output may hold
scores in another form, as `output_forms` tells: then they are read where they are [B, K] floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from openvino_xai.contract import SCORE
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import text
from openvino_xai.locate.output_forms import (
    Levels,
    OutputForm,
    form_in_record,
    form_of,
    has_classes,
    is_another_form,
    is_floats_by_class,
    squashes,
)
from openvino_xai.locate.tasks.ranking import ranked_values, sources_of_outputs
from openvino_xai.operations.record import IN_SECOND
from openvino_xai.operations.table import data_operands, operation_of

ROUNDING = 1e-3  # by which the weights of averaged probabilities may add up to more than 1, or less


@dataclass(frozen=True, eq=False)
class Scores:
    """The class output: K `classes`, as [B, K] floats at `value`.

    `activation` is the node that squashes logits inside the model, if one does; it `follows` the value where the output is made
    of that in a form that holds no [B, K] floats. `levels` are what whole numbers of the output stand for. Where several nodes
    squash, as of an ensemble whose probabilities are averaged, `squash_of_parts` says which kind they are.
    """

    name: str
    value: Value
    classes: int
    activation: Node | None
    squash_of_parts: str | None = field(default=None, kw_only=True)
    follows: bool = field(default=False, kw_only=True)
    levels: Levels | None = field(default=None, kw_only=True)
    reshaped: bool = field(default=False, kw_only=True)

    @property
    def scale(self) -> str:
        """What the output holds: `softmax`, `sigmoid` or `logit`."""
        return self.squash_of_parts or "logit" if self.activation is None else self.activation.kind

    def squash_of(self, score: str) -> str:
        """What has yet to squash the value that is read for a score: `logit` for nothing, as where the model does it."""
        if self.scale == "logit":
            return score
        return self.scale if self.follows and score != "logit" else "logit"

    def by_class(self, output: np.ndarray) -> np.ndarray:
        """[B, K]: what the model returned, in whatever form, as the numbers that it stands for where it tells them."""
        rows = output.reshape(-1, self.classes)
        return rows if self.levels is None else self.levels.real(rows)

    @property
    def form(self) -> dict[str, str]:
        """What a record tells of an output that is no [B, K] floats, {} where it is."""
        if not self.reshaped and self.levels is None:
            return {}
        levels = {} if self.levels is None else {"levels": str(self.levels)}
        return {"classes": str(self.classes), **levels}

    def within(self, values: Mapping[Value, Value]) -> Scores:
        """The same in a twin of the model, given its values by those of the model."""
        activation = None if self.activation is None else values[self.activation.outputs[0]].producer
        return replace(self, value=values[self.value], activation=activation)

    def read_at(self, score: str) -> Value:
        """Where a score is read: at the output; before the activation for `logit`; or right behind it, ahead of a quantiser.

        What one cell leaves of a probability is often less than a quantiser's step, and would be rounded to nothing.
        """
        if self.activation is None or self.follows:
            return self.value
        return self.activation.operand(0) if score == "logit" else self.activation.outputs[0]


def find_scores(graph: Graph, name: str | None = None) -> Scores:
    """The class scores: the output called `name`, or the only one that can be them.

    Of an output of probabilities and others of the logits that they are made of, it is the first: it tells the scale. An
    output of another form than [B, K] floats counts where it is named, or where no other output has scores. Raises ModelError
    if there is no such output, if it cannot be class scores, or if none or several can.
    """
    possible = possible_scores(graph)
    possible = possible if name is not None else _without_logits(possible)
    listing = ", ".join(f"'{key}' {text(value.shape)}" for key, value in graph.outputs.items())
    if name is not None:
        if name not in graph.outputs:
            raise ModelError(f"the model has no output '{name}'; its outputs are {listing}", node=name)
        if name not in possible:
            raise ModelError(f"output '{name}' cannot be class scores: [B, K] floats are expected; outputs: {listing}")
    elif len(possible) != 1:
        brief = [key for key, value in graph.outputs.items() if value.dtype is not None and value.dtype.name == "bfloat16"]
        if brief and not possible:
            raise ModelError(
                f"output '{brief[0]}' holds bfloat16, which ONNX Runtime's CPU provider does not compute: make an IR of the "
                "model (openvino.convert_model and save_model), which is explained in bfloat16, or write it in f32 or f16"
            )
        if len(sources := sources_of_outputs(graph)) > 1 and not possible:
            names = ", ".join(sorted(f"'{value.name}'" for value in sources))
            raise ModelError(
                f"the outputs {listing} only rank scores, of {len(sources)} heads ({names}): export the model with the scores "
                "of one among its outputs, or of each"
            )
        raise ModelError(
            f"{len(possible)} of the model's outputs can be class scores ([B, K] floats), 1 is expected; "
            f"the outputs are {listing}" + ("; name one of them" if possible else ""),
            options=("scores",) if possible else (),
        )
    else:
        (name,) = possible
    form = possible[name]
    value = form.value
    classes = (value.shape or ())[1]
    assert isinstance(classes, int)
    activation = form.squash or _activation(value)
    return Scores(
        name,
        value,
        classes,
        activation,
        squash_of_parts=None if activation is not None else _squash_of_parts(graph, value),
        follows=form.squash is not None,
        levels=form.levels,
        reshaped=form.value.shape != graph.outputs[name].shape,
    )


def possible_scores(graph: Graph) -> dict[str, OutputForm]:
    """The outputs that can be class scores, by name; those of another form than [B, K] where no output has this form."""
    ranked = ranked_values(graph)
    outputs = {key: value for key, value in graph.outputs.items() if key != SCORE and value not in ranked}
    usual = {key: _usual_form(graph, value) for key, value in outputs.items() if _can_be_scores(graph, value)}
    if usual:
        return usual
    if _of_rows(outputs.values()):
        outputs = {key: value for key, value in outputs.items() if value.rank != 1}
    return {key: form for key, value in outputs.items() if is_another_form(value) and (form := form_of(graph, value))}


def _without_logits(possible: dict[str, OutputForm]) -> dict[str, OutputForm]:
    """The output of probabilities alone, where all others hold the very logits that these are made of."""
    for name, form in possible.items():
        squash = form.squash or _activation(form.value)
        logits = None if squash is None else squash.operand(0)
        if all(other is form or other.value is logits for other in possible.values()):
            return {name: form}
    return possible


def _usual_form(graph: Graph, value: Value) -> OutputForm:
    """How [B, K] are read: floats as they are, and bytes ahead of the quantiser that made them."""
    read = form_of(graph, value) if value.dtype == np.uint8 else None
    return OutputForm(value, None, None) if read is None else read


def scores_behind_ranking(graph: Graph) -> Value | None:
    """The class scores [B, K] that all outputs only rank, as their largest, or its class; None where that is not all.

    Of logits and what squashes them it is the latter: it tells the scale.
    """
    forms = {value.name: OutputForm(value, None, None) for value in sources_of_outputs(graph)}
    last = _without_logits(forms)
    return next(iter(last.values())).value if len(last) == 1 else None


def _of_rows(outputs: Iterable[Value]) -> bool:
    """Whether outputs have a list of boxes among them: what else has one axis is of rows then, and not of images."""
    return any(value.rank in (2, 3) and (value.shape or ())[-1] in (4, 5, 6) for value in outputs)


def recorded_scores(graph: Graph, record: Mapping[str, str], name: str | None = None) -> Scores:
    """The class scores that a hook's record tells of, or else those called `name`. Raises ModelError, ValueError."""
    output = graph.outputs.get(record.get("scores", ""))
    form = None if output is None or not _is_opaque(graph) else form_in_record(record, output)
    if form is None or output is None:
        return find_scores(graph, record.get("scores", name))
    classes, levels = form
    return Scores(record["scores"], output, classes, None, levels=levels, reshaped=True)


def _is_opaque(graph: Graph) -> bool:
    """Whether nothing is known of a model but its inputs and outputs."""
    return all(node.op == "compiled" for node in graph.nodes)


def _can_be_scores(graph: Graph, value: Value) -> bool:
    """Whether a value is [B, K] or [B, K, 1, 1] with a known K, of floats or bytes, and depends on the input."""
    if value.dtype is None or graph.is_constant(value):
        return False
    # bytes: what a fully quantised model returns
    return is_floats_by_class(value) or (value.dtype == np.uint8 and has_classes(value))


def _activation(value: Value) -> Node | None:
    """The softmax or sigmoid that ends the model, looked for behind changes of layout and type."""
    while (node := value.producer) is not None:
        if squashes(node) and _squashes_classes(node):
            return node
        # rounding and layout leave scores on their scale; what other arithmetic does to it is not known
        operation = operation_of(node)
        if operation.moves != "all" and not operation.quantises:
            return None
        value = node.operand(0)
    return None


def _squash_of_parts(graph: Graph, value: Value) -> str | None:
    """The kind of what squashes each part of scores that are joined, or averaged; None where that is none, or not the same."""
    # forward, once a node: a value may be read again and again
    parts: dict[Value, tuple[str, float]] = {}
    for node in graph.nodes:
        part = _joined_parts(graph, node, parts)
        if squashes(node):
            part = (node.kind, 1.0) if _squashes_classes(node) else None
        if part is not None:
            parts.update(dict.fromkeys(node.outputs, part))
    kind, weight = parts.get(value, ("", 0.0))
    return kind if abs(weight - 1) < ROUNDING else None


def _joined_parts(graph: Graph, node: Node, parts: Mapping[Value, tuple[str, float]]) -> tuple[str, float] | None:
    """The kind of what squashes all that a node joins, and the weight that these parts have together in what it makes."""
    operation, operands = operation_of(node), data_operands(node)
    varying = [index for index, operand in enumerate(operands) if not graph.is_constant(operand)]
    joined = [parts[operands[index]] for index in varying if operands[index] in parts]
    if not joined or len(joined) < len(varying) or len({kind for kind, _ in joined}) > 1:
        return None
    (kind, weight), total = joined[0], sum(weight for _, weight in joined)
    if len(joined) == len(operands):
        if operation.joins:
            return (kind, weight) if total == weight * len(joined) else None
        if operation.addends:
            return kind, total
        return (kind, weight) if operation.moves == "all" or operation.reduces == "mean" else None
    factor = graph.constant(operands[1]) if varying == [0] and len(operands) == 2 else None
    if not operation.factors or factor is None or not factor.size or factor.min() != factor.max() or not factor.flat[0]:
        return None
    number = float(factor.flat[0])
    return kind, weight * number if IN_SECOND in operation.factors else weight / number  # a product, or a quotient


def _squashes_classes(node: Node) -> bool:
    # a softmax over another axis, as over cells, makes no probabilities of classes
    shape = node.outputs[0].shape or ()
    over_classes = bool(shape) and [axis % len(shape) for axis in node.attributes.get("axes", [])] == [1]
    return node.kind == "sigmoid" or over_classes

"""The whole network, differentiated: the gradient of one class of each image by the image itself."""

from __future__ import annotations

import numpy as np

from openvino_xai.errors import PlanError
from openvino_xai.graph.neutral import Value
from openvino_xai.graph.protocol import Deployed
from openvino_xai.graph.vocabulary import Trace, shape_of
from openvino_xai.surgery.backward import Backward, Classes
from openvino_xai.surgery.emit import emit
from openvino_xai.surgery.locate import Scores
from openvino_xai.surgery.plan import GRADIENT, Plan
from openvino_xai.surgery.site import WANTED


def gradient_by_image(deployed: Deployed, image: Value, scores: Scores) -> Deployed:
    """A twin with an input `explain_class` [B], i64, and an output `gradient`, of the image's shape.

    That is the derivative of each image's class's logit with respect to the image. Raises PlanError, naming the operation that
    has no derivative.
    """
    if image.dtype is None or image.dtype.kind != "f":
        raise PlanError(f"'{image.name}' holds {image.dtype}: gradients need an image of floats", node=image.name)
    twin = deployed.twin()
    image = next(value for value in twin.graph.inputs if value.name == image.name)
    end = _again(deployed, twin, scores.read_at("logit"))
    batch, trace = shape_of(image)[0], Trace()
    wanted = Value(WANTED, (batch,), np.dtype(np.int64))
    own = Classes(scores.classes, trace.reshape(wanted, (batch, 1)), of_each_image=True)
    back = Backward(twin.graph, trace, image, end, own, batch=batch)
    made = trace.broadcast_to(back.gradient(), shape_of(image))
    emit(Plan(twin.graph, tuple(trace.nodes), {GRADIENT: made}, inputs={WANTED: wanted}), twin)
    return twin.reread()


def _again(deployed: Deployed, twin: Deployed, value: Value) -> Value:
    """A value of a model, in its twin: the nodes are the same, in the same order."""
    for node, other in zip(deployed.graph.nodes, twin.graph.nodes, strict=True):
        if value in node.outputs:
            return other.outputs[node.outputs.index(value)]
    raise PlanError(f"'{value.name}' is computed by no node", node=value.name)

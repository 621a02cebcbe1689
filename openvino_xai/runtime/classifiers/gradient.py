"""The network, differentiated: the gradient of one class of each image, by the image itself or by a layer."""

from __future__ import annotations

from openvino_xai.contract import GRADIENT, WANTED
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import PlanError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import text
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.located import Location, counterparts
from openvino_xai.locate.scores import Scores
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import Plan
from openvino_xai.tail.reverse_mode import Backward
from openvino_xai.tail.target import AtRunTime, ClassTarget


def gradient_by_image(deployed: Deployed, image: Value, scores: Scores) -> Deployed:
    """A twin with an input `explain_class` [B], i64, and an output `gradient`, of the image's shape.

    That is the derivative of each image's class's logit with respect to the image. Raises PlanError, naming the operation that
    has no derivative.
    """
    if image.dtype is None or image.dtype.kind != "f":
        raise PlanError(f"'{image.name}' holds {image.dtype}: gradients need an image of floats", node=image.name)
    return _gradient_by(deployed, image, scores)


def gradient_by_layer(deployed: Deployed, location: Location) -> Deployed:
    """A twin with an input `explain_class` [B], i64, and an output `gradient`, of the layer's shape and in its own axes.

    That is the derivative of each image's class's logit with respect to what the layer holds. Raises PlanError, naming the
    operation behind the layer that has no derivative.
    """
    layer = location.layer
    if layer.place.batch != 0:
        shape = text(shape_of(layer.value))
        raise PlanError(f"layer '{layer.name}' {shape} has its batch on axis {layer.place.batch}; axis 0 is expected")
    return _gradient_by(deployed, layer.value, location.scores)


def _gradient_by(deployed: Deployed, value: Value, scores: Scores) -> Deployed:
    """The twin that differentiates each image's class's logit with respect to a value of the model."""
    twin = deployed.twin()
    values, trace = counterparts(deployed.graph, twin.graph), Trace()
    cut, batch = values[value], shape_of(value)[0]
    target = ClassTarget.of(scores.within(values), AtRunTime(), "logit")
    columns = target.selection(trace, batch)
    assert columns.input is not None
    back = Backward(twin.graph, trace, (cut,), target, columns, batch=batch)
    gradient = trace.broadcast_to(back.gradients()[0], shape_of(cut))
    emit(Plan(twin.graph, tuple(trace.nodes), {GRADIENT: gradient}, inputs={WANTED: columns.input}), twin)
    return twin.reread()

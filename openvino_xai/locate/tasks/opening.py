"""A model, open, with its class scores among its outputs: one that only ranks them gets an output that returns them."""

from __future__ import annotations

import numpy as np

from openvino_xai.choices import check_choice
from openvino_xai.contract import CLASS_SCORES, RECORD
from openvino_xai.dialects.open import Model, open_model
from openvino_xai.dialects.protocol import Conversion, Deployed
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.trace import shape_of
from openvino_xai.locate.image import LAYOUTS, check_layout, find_image
from openvino_xai.locate.scores import scores_behind_ranking


def opened(model: Model, layout: str | None = None, image_input: str | None = None) -> Deployed:
    """The model in a file or an object, which is not changed, with all that can be explained among its outputs.

    Where every output tells only which class scores [B, K] are the largest, as behind TopK, ArgMax or a table of labels, one
    more comes behind them, `class_scores`, with the scores as the model computes them. A `layout`, NCHW or NHWC, is that of
    the image, where the model does not tell it; a hooked file keeps it in `model_info`.

    Raises InputError, ModelError, also where the image, or the input of that name, lies otherwise than is said.
    """
    deployed = open_model(model)
    if deployed.info(RECORD):  # what is written with a hook has them already
        return deployed
    if layout is not None:
        check_choice("layout", layout.upper(), tuple(LAYOUTS), options=("layout",))
        deployed = _laid_out(deployed, layout.upper(), image_input)
    scores = scores_behind_ranking(deployed.graph)
    return deployed if scores is None else _with_output(deployed, scores)


def _laid_out(deployed: Deployed, layout: str, image_input: str | None) -> Deployed:
    """A twin that says how its image lies. Raises ModelError where that is not so."""
    twin = deployed.twin()
    twin.set_info("model_info", {"layout": layout})
    twin.conversion = deployed.conversion
    image, place = find_image(twin.graph, image_input, planar=False)
    check_layout(image, place, layout)
    return twin


def is_added(deployed: Deployed, output: str) -> bool:
    """Whether an open model returns what its file does not."""
    return deployed.conversion is not None and output not in deployed.conversion.original.graph.outputs


def _with_output(deployed: Deployed, scores: Value) -> Deployed:
    """A twin that returns the scores behind its other outputs."""
    graph, twin = deployed.graph, deployed.twin()
    (place,) = [index for index, node in enumerate(graph.nodes) if scores in node.outputs]
    node = graph.nodes[place]
    native = twin.graph.nodes[place].outputs[node.outputs.index(scores)].native
    name, shape = _unused(graph), shape_of(scores)[:2]
    # a node of its own, and so a name of its own: [B, K] of [B, K, 1, 1], too
    sizes = twin.constant(np.array([0, shape[1]], np.int64))
    copied = twin.emit(Node(name, "reshape", "reshape", (scores, None)), [native, sizes], name)
    assert scores.dtype is not None
    twin.add_output(copied, name, shape, scores.dtype)
    grown = twin.reread()
    grown.conversion = deployed.conversion or Conversion(deployed, 0, 0)
    return grown


def _unused(graph: Graph) -> str:
    """A name that nothing in a model has."""
    values = [*graph.inputs, *(value for node in graph.nodes for value in node.outputs)]
    names = {name for value in values for name in (value.name, *value.aliases)} | {node.name for node in graph.nodes}
    names |= set(graph.outputs)
    name = CLASS_SCORES
    while name in names:
        name += "_"
    return name

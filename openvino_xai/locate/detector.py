"""A detector, located: its image, its rows, and the sets of layers where it can be explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import LayerError, ModelError, OvxaiError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import Dim, text
from openvino_xai.locate.boxes import Boxes, find_boxes
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import ELSEWHERE, Candidate, layer_name
from openvino_xai.locate.levels import level_sets, set_of
from openvino_xai.locate.listed_boxes import listed_boxes_alone, with_list
from openvino_xai.locate.located import Where, counterparts, refuse_hooked
from openvino_xai.locate.positions import Place, places
from openvino_xai.locate.rows import WAY_OUT, Rows, find_rows
from openvino_xai.locate.rows.table import RowTable
from openvino_xai.locate.scores import Scores
from openvino_xai.locate.tasks.queries import named_set, query_sets, scored

_FIXED = {  # what gives a model a size, by whether it is ONNX
    True: "python -m onnxruntime.tools.make_dynamic_shape_fixed --input_name NAME --input_shape 1,3,HEIGHT,WIDTH MODEL OUTPUT",
    False: "openvino's model.reshape([1, 3, HEIGHT, WIDTH]), saved with save_model(model, OUTPUT, compress_to_fp16=False),",
}


@dataclass(frozen=True, eq=False)
class RowLocation:
    """A set of layers of a detector, with the image on the one side and its rows on the other."""

    graph: Graph
    image: Value
    image_place: Place
    rows: Rows
    boxes: Boxes | None
    placed: Mapping[Value, Place]
    layer: Candidate

    @property
    def cut(self) -> tuple[Value, ...]:
        """The values of the layers, the finest first."""
        return tuple(part.value for part in self.layer.cut)

    @cached_property
    def table(self) -> RowTable:
        """Where each row lies. Raises PlanError."""
        return RowTable.of(self.rows)

    def within(self, twin: Graph) -> RowLocation:
        """The same in a twin of the model, where every node has its counterpart. Raises PlanError."""
        values = counterparts(self.graph, twin)
        placed = {values[value]: place for value, place in self.placed.items() if value in values}
        return replace(
            self,
            graph=twin,
            image=values[self.image],
            rows=self.rows.within(values),
            boxes=None if self.boxes is None else self.boxes.within(values),
            placed=placed,
            layer=self.layer.within(values),
        )


@dataclass(frozen=True, eq=False)
class Detector:
    """The image and the rows of a model, and its `sets` of layers by name."""

    deployed: Deployed
    where: Where
    image: Value
    image_place: Place
    rows: Rows
    placed: Mapping[Value, Place]

    @classmethod
    def of(cls, deployed: Deployed, where: Where) -> Detector:
        """An open model, located. Raises AlreadyHooked, ModelError."""
        refuse_hooked(deployed)
        return cls.without_hook(deployed, where)

    @classmethod
    def without_hook(cls, deployed: Deployed, where: Where) -> Detector:
        """A model, located, of which a hook was taken off if it had one. Raises ModelError."""
        image, place = find_image(deployed.graph, where.image)
        if not all(isinstance(size, int) for size in place.grid):
            raise ModelError(
                f"where rows lie depends on the image's height and width, which are open ('{image.name}' {text(image.shape)}): "
                f"give the model fixed ones, as {_FIXED[deployed.suffix == '.onnx']} does; or {WAY_OUT}",
                node=image.name,
            )
        everywhere = places(deployed.graph, image, place, anywhere=True)  # a level behind may lie where it is drawn again
        placed = {value: where for value, where in everywhere.items() if not any(where.mirrored)}
        rows = scored(deployed, find_rows(deployed, placed, where.scores), where.score)
        return cls(deployed, where, image, place, rows, placed)

    @cached_property
    def sets(self) -> dict[str, Candidate]:
        """The sets that are found by themselves: `backbone` and `heads`. Raises LayerError."""
        find = query_sets if self.rows.of_queries else level_sets
        sets = find(self.deployed.graph, self.image, self.rows, self.placed)
        return {name: _on_image(layer) for name, layer in sets.items()}

    def boxes(self, format_name: str | None = None) -> Boxes:
        """The boxes of the rows. Raises ModelError where they are not found, or InputError."""
        try:
            boxes = find_boxes(self.deployed, self.rows, self.image, self.image_place, format_name=format_name)
        except ModelError:
            alone = listed_boxes_alone(self.deployed, self.rows, self.image_place, format_name)
            if alone is None:
                raise
            return alone
        return with_list(self.deployed, self.rows, boxes)

    def at(self, cut: str, boxes: Boxes | None = None) -> RowLocation:
        """The layers that a caller names, or the set `cut`. Raises LayerError."""
        graph = self.deployed.graph
        if self.where.layer is None:
            layer = self.sets[cut]
        else:
            named = named_set if self.rows.of_queries else set_of
            layer = _on_image(named(graph, self.image, self.rows, self.placed, self.where.layer))
        if layer.reason is not None:
            raise LayerError(f"layers '{layer.name}' cannot carry a hook: {layer.reason}", node=layer.name, options=("layer",))
        return self.located_at(layer, boxes)

    def located_at(self, layer: Candidate, boxes: Boxes | None = None) -> RowLocation:
        """The location of a hook at a set of layers."""
        return RowLocation(self.deployed.graph, self.image, self.image_place, self.rows, boxes, self.placed, layer)


def _on_image(layer: Candidate) -> Candidate:
    """A set of layers, refused where the cells of one lie elsewhere than a map of them is drawn."""
    value = next((part.value for part in layer.cut if part.place.shifted), None)
    if value is None or layer.reason is not None:
        return layer
    return replace(layer, reason=f"'{layer_name(value)}' {text(value.shape)} has {ELSEWHERE}")


def has_boxes(graph: Graph, scores: Scores) -> bool:
    """Whether what look like scores of classes are rows of a detector, or its boxes.

    Of rows another output has four numbers or more for each of what look like classes. A list of boxes is as long as another
    output of one axis, and a run tells how long, though there is a fixed number of images.
    """
    shapes = [value.shape or () for value in graph.outputs.values() if value is not scores.value]
    length, *_ = scores.value.shape or (None,)
    fixed = all(isinstance(size, int) for value in graph.inputs for size in (value.shape or ())[:1])
    is_list = fixed and isinstance(length, Dim) and (length,) in shapes and scores.classes in (4, 5, 6)
    return is_list or any(len(shape) == 3 and shape[1] == scores.classes and shape[2] in (4, 5, 6) for shape in shapes)


def as_detector(deployed: Deployed, where: Where, error: ModelError) -> Detector:
    """The model as a detector, where it is no classifier for the reason of an `error`. Raises ModelError with both reasons."""
    try:
        return Detector.of(deployed, where)
    except OvxaiError as other:
        raise ModelError(f"{error}; nor is it a detector whose rows can be followed: {other}", options=error.options) from other

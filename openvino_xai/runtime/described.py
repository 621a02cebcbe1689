"""What is known of a model that runs: its image, its scores, and what it tells about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from openvino_xai.contract import BOX
from openvino_xai.graph.model import Graph, Value
from openvino_xai.locate.image import find_image
from openvino_xai.locate.located import Where
from openvino_xai.locate.scores import Scores, find_scores
from openvino_xai.surgery.record import explains_boxes, record_of


@dataclass(frozen=True, eq=False)
class Described:
    """A model by its image input and scores, the record of its hook, and its `model_info`.

    `scale` is what the scores are on (`softmax`, `sigmoid`, `logit`), None where only their values can tell: of a compiled
    model that somebody else made, and of a detector, whose scores are those of its rows. `boxes` is how many of these a hook
    explains at once, None where any number.
    """

    image: Value
    channels_first: bool
    scores: Scores
    scale: str | None
    record: Mapping[str, str]
    info: Mapping[str, str]
    boxes: int | None = None

    @property
    def is_detector(self) -> bool:
        """Whether boxes are explained, and no classes of the image; only a hook says so."""
        return explains_boxes(self.record)

    @classmethod
    def of(
        cls,
        graph: Graph,
        info: Callable[[str], Mapping[str, str]],
        *,
        opaque: bool = False,
        where: Where | None = None,
    ) -> Described:
        """A model by its graph and `info`, which returns a section of its metadata; `opaque` shows inputs and outputs alone.

        Of `where`, the names of the image's input and of the scores matter where there is no hook that tells them. Raises
        ModelError.
        """
        where = where or Where()
        record = record_of(graph, info, opaque=opaque)
        image, place = find_image(graph, record.get("image", where.image))
        if explains_boxes(record):
            name = record["scores"]
            output = Scores(name, graph.outputs[name], int(record["classes"]), None)
            size = None if record["targets"] == "all" else (graph.outputs[BOX].shape or (None, None))[1]
            boxes = size if isinstance(size, int) else None
            return cls(image, place.cells == (2, 3), output, None, record, info("model_info"), boxes)
        output = find_scores(graph, record.get("scores", where.scores))
        scale = record.get("output") if opaque else output.scale
        return cls(image, place.cells == (2, 3), output, scale, record, info("model_info"))

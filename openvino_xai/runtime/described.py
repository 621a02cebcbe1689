"""What is known of a model that runs: its image, its scores, and what it tells about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from openvino_xai.contract import explains_boxes
from openvino_xai.errors import InputError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import text
from openvino_xai.locate.image import find_image
from openvino_xai.locate.located import Where, task_of
from openvino_xai.locate.scores import Scores, possible_scores, recorded_scores
from openvino_xai.locate.tasks.label_groups import LabelGroups, labels_of
from openvino_xai.locate.tasks.vector import find_vector
from openvino_xai.record.reading import record_with, records_of


@dataclass(frozen=True, eq=False)
class Described:
    """A model by its image input and scores, the record of its hook, and its `model_info`.

    `scale` is what the scores are on (`softmax`, `sigmoid`, `logit`), None where only their values can tell: of a compiled
    model that somebody else made, and of a detector, whose scores are those of its rows. `groups` tell how labels of images go
    together, None where something else is decided.
    """

    image: Value
    channels_first: bool
    scores: Scores
    scale: str | None
    record: Mapping[str, str]
    info: Mapping[str, str]
    groups: LabelGroups | None = None

    @property
    def score_names(self) -> list[str]:
        """The outputs that hold the scores: several, where a detector has one for each level."""
        return self.scores.name.split(",") if self.is_detector else [self.scores.name]

    @property
    def explains_vectors(self) -> bool:
        """Whether the hook explains the likeness of vectors."""
        return task_of(self.record) == "vector"

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

        Of `where`, the names of the image's input and of the scores matter where there is no hook that tells them, and that of
        the scores where the hook explains several heads. Raises ModelError.
        """
        where = where or Where()
        records = records_of(graph, info, opaque=opaque)
        heads = [cls._with_record(graph, info, record, where, opaque=opaque) for record in records or [{}]]
        head = heads[records.index(record_with(records, where.scores))] if records else heads[0]
        possible = [(form.value.shape or ())[1] for form in possible_scores(graph).values()]
        return head._with_own_labels([item.scores.classes for item in heads], possible)

    def _with_own_labels(self, heads: Sequence[int], possible: Sequence[object]) -> Described:
        """The same, without the labels that the model carries where these are another head's, or may be.

        `heads` are the numbers of classes of all that are explained, `possible` of all outputs that can be scores.
        """
        classes = self.scores.classes
        if len(labels_of(self.info, classes, self.groups)) == classes:
            belong = heads.count(classes) == 1
        else:
            belong = not any(isinstance(count, int) and len(labels_of(self.info, count)) == count for count in possible)
        if belong:
            return self
        return replace(self, info={key: text for key, text in self.info.items() if key != "labels"})

    @classmethod
    def _with_record(
        cls, graph: Graph, info: Callable[[str], Mapping[str, str]], record: Mapping[str, str], where: Where, *, opaque: bool
    ) -> Described:
        image, place = find_image(graph, record.get("image", where.image), planar=False)
        if len(place.cells) != 2:
            raise InputError(
                f"input '{image.name}' {text(image.shape)} holds a signal or a video, no photo: nothing is drawn of it: run "
                "the model in OpenVINO or ONNX Runtime, which return its maps beside its outputs"
            )
        if explains_boxes(record):
            names = record["scores"]
            output = graph.outputs.get(names) or graph.outputs[names.partition(",")[0]]
            scores = Scores(names, output, int(record["classes"]), None)
            return cls(image, place.cells == (2, 3), scores, None, record, info("model_info"))
        if (task := task_of(record)) == "regions":
            scores = Scores(record["scores"], graph.outputs[record["scores"]], int(record["classes"]), None)
            return cls(image, place.cells == (2, 3), scores, None, record, info("model_info"))
        find = find_vector if task == "vector" else partial(recorded_scores, record=record)
        scores = find(graph, name=record.get("scores", where.scores))
        scale = record.get("output") if opaque else scores.scale
        model_info = info("model_info")
        groups = None if task == "vector" else LabelGroups.of(model_info, scores.classes, scale)
        return cls(image, place.cells == (2, 3), scores, scale, record, model_info, groups)

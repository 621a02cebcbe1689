"""A detector without a hook, explained by asking it again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from openvino_xai.contract import BOX, BOXES, CLASS, INDEX, MAP, SCORE
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError
from openvino_xai.locate.image import find_image
from openvino_xai.locate.located import Where
from openvino_xai.locate.scores import Scores
from openvino_xai.probes import BOX_PROBES, Settings
from openvino_xai.probes.classifier import unit
from openvino_xai.probes.d_rise import BoxScorer
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.detectors.detector import Detector
from openvino_xai.runtime.detectors.proposals import LISTED_CLASSES, MOST, Listing, Proposing, proposing
from openvino_xai.runtime.detectors.proposer import Proposer


class ProbedDetector(Detector):
    """A detector whose boxes get their maps from a probe: it returns what a hooked one does, for its detections."""

    def __init__(
        self,
        deployed: Deployed,
        where: Where,
        method: str,
        settings: Settings | None,
        *,
        boxes: str | None,
        compiled: tuple[str, str],
    ) -> None:
        self._proposing, running = proposing(deployed, where, boxes, compiled)
        super().__init__(running, _described(deployed, where, self._proposing, method), compiled[0])
        self.propose = Proposer(self._proposing, running, self._images)
        self._method, self.settings = method, settings or Settings()

    def configure(
        self,
        *,
        labels: Sequence[str] | None = None,
        preprocessing: Mapping[str, object] | str | None = None,
        min_score: float | None = None,
    ) -> None:
        """As of any network; of a model that lists its detections, labels say how many classes there are."""
        if isinstance(self._proposing, Listing):
            names = self.labels if labels is None else labels
            self._scores = replace(self._scores, classes=len(names) or LISTED_CLASSES)
        super().configure(labels=labels, preprocessing=preprocessing, min_score=min_score)

    def __call__(
        self,
        batch: np.ndarray,
        explain: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        rows: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """What a hooked detector returns for the detections of a batch: as many as the image has that has most of them."""
        self._check(batch)
        if explain is not None:
            raise InputError("the model has no gate: all images are explained")
        self._box_inputs(len(batch), rows, classes)
        images = self._images.planes(batch)
        proposals = self.propose(images)
        detections = [self._proposing.detections(image, self.min_score) for image in proposals]
        count = max(map(len, detections))
        outputs = {
            MAP: np.zeros((len(batch), count, *images.shape[2:]), np.float32),
            CLASS: np.full((len(batch), count), -1, np.int64),
            INDEX: np.full((len(batch), count), -1, np.int64),
            BOX: np.zeros((len(batch), count, 4), np.float32),
            SCORE: np.zeros((len(batch), count), np.float32),
        }
        for item, pairs in enumerate(detections):
            if pairs:
                index, label = np.array(pairs).T
                boxes = proposals[item].boxes[index]
                scorer = BoxScorer(self._images.at_once, self.propose, boxes, label)
                maps = BOX_PROBES[self._method](scorer, images[item : item + 1], range(len(pairs)), self.settings)
                filled = (unit(maps), label, index, boxes, proposals[item].probabilities[index, label])
                for name, values in zip((MAP, CLASS, INDEX, BOX, SCORE), filled, strict=True):
                    outputs[name][item, : len(pairs)] = values
        return outputs


def _described(deployed: Deployed, where: Where, source: Proposing, method: str) -> Described:
    """The model as a hooked one is described, with a record of what is asked."""
    image, place = find_image(deployed.graph, where.image)
    info = deployed.info("model_info")
    classes = len(info.get("labels", "").split()) or source.classes if isinstance(source, Listing) else source.classes
    output = deployed.graph.outputs[source.name.partition(",")[0]]
    record = {"task": BOXES, "method": method, "scores": source.name, "targets": f"boxes:{MOST}"}
    return Described(image, place.cells == (2, 3), Scores(source.name, output, classes, None), None, record, info)

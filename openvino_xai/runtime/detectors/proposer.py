"""A detector that is asked what it proposes, whether its file carries a hook or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openvino_xai.contract import RECORD
from openvino_xai.dialects.open import Model, open_model
from openvino_xai.dialects.protocol import Running
from openvino_xai.locate.image import find_image
from openvino_xai.locate.located import Where, score_of_queries
from openvino_xai.probes.d_rise import Proposals
from openvino_xai.record.reading import record_of
from openvino_xai.record.removal import unhooked
from openvino_xai.runtime.detectors.proposals import Listing, Proposing, proposing
from openvino_xai.runtime.images import ImageInput


@dataclass(frozen=True, eq=False)
class Proposer:
    """What a detector proposes for images: its `running` model, read as `proposing` says."""

    proposing: Proposing
    running: Running
    images: ImageInput

    @classmethod
    def of(cls, model: Model, *, device: str = "CPU", precision: str = "f32") -> Proposer:
        """A detector without its hook, of which the record tells where scores and boxes are. Raises ModelError."""
        deployed = open_model(model)
        record = record_of(deployed.graph, deployed.info) if deployed.info(RECORD) else {}
        plain = unhooked(deployed) if record else deployed
        where = Where.parse(None, scores=record.get("scores"), image_input=record.get("image"), score=score_of_queries(record))
        source, running = proposing(plain, where, record.get("boxes"), (device, precision))
        image, place = find_image(plain.graph, where.image)
        return cls(source, running, ImageInput(image, channels_first=place.cells == (2, 3)))

    def __call__(self, images: np.ndarray) -> list[Proposals]:
        """What is proposed for images [N, C, H, W]. What lists its detections runs for one image at a time."""
        at_once = 1 if isinstance(self.proposing, Listing) else self.images.at_once
        proposals: list[Proposals] = []
        for part, count in self.images.runs(self.images.laid_out(images), at_once):
            proposals += self.proposing.proposals(self.running({self.images.name: part}))[:count]
        return proposals

"""What a server needs to know to draw a model's map over its image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openvino_xai.contract import CLASS, HEAD_RECORD, MAP, explains_boxes
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError, ModelError
from openvino_xai.locate.located import task_of
from openvino_xai.render.overlay import OVERLAY, colour
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.inputs.doubts import doubts_of
from openvino_xai.runtime.inputs.own import own_preprocessing
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.tail.target import ids_of, parse_pick

PICTURE = "overlay"  # the name of the output
LEVELS = 256


@dataclass(frozen=True)
class Drawing:
    """The names of a model's tensors that are drawn from, by their roles; numbers, as JSON has them; and what is doubtful."""

    roles: dict[str, str]
    numbers: dict[str, Any]
    doubts: tuple[str, ...]
    prefix: str  # of names that no tensor of the model has

    @classmethod
    def of(cls, endpoint: Endpoint, deployed: Deployed) -> Drawing:
        """How the image of a model with a hook is drawn. Raises InputError, ModelError for what cannot be."""
        names = [tensor.name for tensor in endpoint.outputs]
        if PICTURE in names or any(tensor.name == PICTURE for tensor in endpoint.inputs):
            raise ModelError(f"the model has '{PICTURE}' already, which the pictures would be called: rename it", node=PICTURE)
        described = Described.of(deployed.graph, deployed.info)
        _refuse_tasks(deployed, described)
        fed = own_preprocessing(described.image, described.info, channels_first=described.channels_first)
        if fed.channels not in (1, 3):
            raise ModelError(
                f"input {described.image.name!a} has {fed.channels} channels, and a picture has 1 or 3: leave the overlay out",
                node=described.image.name,
            )
        roles = {"image": described.image.name, "map": MAP, "scores": described.scores.name}
        if CLASS in names:
            roles["class"] = CLASS
        if endpoint.gate is not None:
            roles["gate"] = endpoint.gate
        ids = ids_of(parse_pick(described.record["targets"]))
        numbers = {
            "classes": None if ids is None else list(ids),
            "mean": list(fed.mean_values),
            "scale": list(fed.scale_values),
            "channels_first": described.channels_first,
            "is_rgb": fed.reverse_input_channels,
            "opacity": OVERLAY.opacity,
            "colours": colour(np.arange(LEVELS)[:, None] / (LEVELS - 1), OVERLAY.colormap)[:, 0].tolist(),
        }
        prefix = "model_"
        while any(tensor.name.startswith(prefix) for tensor in (*endpoint.inputs, *endpoint.outputs)):
            prefix += "_"
        return cls(roles, numbers, tuple(map(str, doubts_of(fed))), prefix)

    @property
    def inputs(self) -> list[str]:
        """The inputs of the model that are drawn from."""
        return [self.roles[role] for role in ("image", "gate") if role in self.roles]

    def between(self, name: str) -> str:
        """What a tensor of the model is called between it and the step that draws."""
        return self.prefix + name

    def to_dict(self, endpoint: Endpoint) -> dict[str, Any]:
        """As the step reads it: the names of its own inputs, and by the model's outputs those that it hands on."""
        roles = {role: self.between(name) for role, name in self.roles.items()}
        return {"roles": roles, "outputs": {t.name: self.between(t.name) for t in endpoint.outputs}, **self.numbers}


def _refuse_tasks(deployed: Deployed, described: Described) -> None:
    """Raise InputError for a hook that explains other things than the classes of an image, by one head."""
    if deployed.info(f"{HEAD_RECORD}1"):
        raise InputError("the hook explains several heads, and a picture shows one: insert with the scores to show")
    if explains_boxes(described.record) or task_of(described.record) != "classes":
        raise InputError("the hook explains no classes of images, and these are what an overlay shows: leave it out")

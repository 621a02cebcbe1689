"""Do explanations depend on what the model has learned? A map that stays when weights are lost explains nothing.

Adebayo et al., "Sanity checks for saliency maps", 2018: layers are randomised one after the other from the scores back to the
image (cascading), or one at a time (independent), and the maps compared with those of the model as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from openvino_xai.dialects.open import Model, open_model
from openvino_xai.errors import ModelError
from openvino_xai.evaluate.randomisation import randomised, weighted_layers
from openvino_xai.evaluate.similarity import means, similarity
from openvino_xai.graph.model import Node
from openvino_xai.locate.located import refuse_hooked
from openvino_xai.runtime.inputs.targets import TargetsOfImage
from openvino_xai.runtime.network import Network

Order: TypeAlias = Literal["cascading", "independent"]
STAGES = 8


@dataclass(frozen=True)
class Stage:
    """A model that lost the weights of `layers` layers, of which `layer` is the nearest to the image, and how alike its maps
    are to those of the model as it is: means over photos, in [-1, 1], `top_cell` a share.
    """

    order: Order
    layer: str
    layers: int
    pearson: float
    spearman: float
    ssim: float
    top_cell: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def sanity(
    model: Model, load: Callable[[Model], Network], photos: Mapping[str, TargetsOfImage], *, seed: int, stages: int = STAGES
) -> Iterator[Stage]:
    """`stages` models that lost more and more layers, then as many that lost one each; the last of the former lost all.

    `load` makes a network of a model without a hook, `photos` are paths with what is explained of each: classes, or rows of a
    detector, each as of a class. Raises AlreadyHooked, and ModelError for a model without weights.
    """
    deployed = open_model(model)
    refuse_hooked(deployed)
    layers = weighted_layers(deployed.graph)
    if not layers:
        raise ModelError("the model has no convolution and no linear layer with weights that could be randomised")
    original = load(model)
    true = {path: original.explain(path, targets=targets) for path, targets in photos.items()}
    ends = sorted(set(np.linspace(1, len(layers), min(stages, len(layers))).round().astype(int).tolist()))
    orders: dict[Order, list[list[Node]]] = {
        "cascading": [layers[:end] for end in ends],
        "independent": [[layers[end - 1]] for end in ends],
    }
    for order, several in orders.items():
        for lost in several:
            network = load(randomised(deployed, lost, seed).object())
            similarities = []
            for path, targets in photos.items():
                explanation = network.explain(path, targets=targets)
                similarities += [similarity(true[path], explanation, (i, i)) for i in range(len(explanation.targets))]
            yield Stage(order, lost[-1].name, len(lost), **means(similarities))

"""A compiled model without a hook, explained by asking it again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast, get_args

import numpy as np

from openvino_xai.arguments import PLACE, TEXT, Kind, takes
from openvino_xai.choices import check_choice
from openvino_xai.dialects.open import Model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError, LayerError, ModelError
from openvino_xai.locate.located import Located, Where, refuse_hooked
from openvino_xai.locate.scores import find_scores
from openvino_xai.locate.tasks.opening import opened
from openvino_xai.plan.request import check_channels
from openvino_xai.probes import BOX_PROBES, PROBE_NAMES, PROBES, Settings
from openvino_xai.probes.contrasts import ContrastClassifier
from openvino_xai.runtime.classifiers.layers import GradientClassifier, ImageClassifier, LayeredClassifier
from openvino_xai.runtime.classifiers.tokens import TokenClassifier
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.detectors.probed import ProbedDetector
from openvino_xai.runtime.network import Network
from openvino_xai.tail.target import Pair
from openvino_xai.words import AnyProbe, BoxFormat, Precision

_NO_LAYER = "{method} asks the model about images alone, and looks at no layer: leave layer '{layer}' out"
CHANNELS = "ablation_cam"  # a hook that weighs channels: probes that do look where it does


@takes(
    **PLACE,
    layout=TEXT.or_none(),
    boxes=TEXT.or_none(),
    settings=Kind(lambda value: isinstance(value, Settings), "openvino_xai.Settings are expected").or_none(),
    device=TEXT,
    precision=TEXT,
)
def probe(
    model: Model,
    method: AnyProbe,
    *,
    layer: str | None = None,
    scores: str | None = None,
    image_input: str | None = None,
    layout: str | None = None,
    prefix_tokens: int | None = None,
    token_grid: str | Sequence[int] | None = None,
    cells: str | Sequence[int] | None = None,
    boxes: BoxFormat | None = None,
    settings: Settings | None = None,
    device: str = "CPU",
    precision: Precision = "f32",
) -> Probed | ProbedDetector:
    """A model without a hook that explains by a probe: what `load` returns for a hooked one, and slower.

    `method` looks at `layer`: `score_cam`, `ablation_cam`, `shap_cam`, `vit_cx`, `abs_cam` or `group_cam`, the last two at
    gradients there; or it drops tokens of a transformer: `tis`; or it looks at images alone: `rise`, `aise`, `occlusion`,
    `lime` or `kernel_shap`; or it differentiates the whole network: `saliency`, `input_x_gradient`, `integrated_gradients` or
    `smooth_grad`, and `opti_cam`, which looks at a layer, too. A detector's boxes are explained by `d_rise`, `aise`,
    `occlusion`, `lime` or `kernel_shap`; `boxes` is their format, where the model does not tell it.
    `settings` is what it is told. The other options are those of `insert` and `load`.

    Raises InputError, ModelError, LayerError where a method needs a layer that is not there, PlanError where an operation has
    no derivative, and VerificationError where a gradient is not the slope of the score.
    """
    check_choice("probe", method, PROBE_NAMES, options=("method",))
    check_choice("precision", precision, get_args(Precision), options=("precision",))
    check_channels(None if settings is None else settings.channels, method)
    deployed = opened(model, layout, image_input)
    refuse_hooked(deployed)
    where = Where.parse(
        layer, scores=scores, image_input=image_input, prefix_tokens=prefix_tokens, token_grid=token_grid, cells=cells
    )
    if method in BOX_PROBES and _is_detector(deployed, where, method, boxes):
        if layer is not None:
            raise InputError(_NO_LAYER.format(method=method, layer=layer))
        return ProbedDetector(deployed, where, method, settings, boxes=boxes, compiled=(device, precision))
    if boxes is not None:
        raise InputError(f"{method} explains classes of images: leave the format '{boxes}' of boxes out")
    looks, location, compiled = PROBES[method].looks_at, None, (device, precision)
    if "layer" in looks:
        located = _located(deployed, where, method)
        location = located.at(located.choose(CHANNELS))
    elif layer is not None and looks != "tokens":
        raise InputError(_NO_LAYER.format(method=method, layer=layer))
    description = Described.of(deployed.graph, deployed.info, where=where)
    network = Network(deployed.compile(device, precision), description, device)
    classifier = ImageClassifier(network)
    if looks in ("gradients", "layer and gradients"):
        classifier = GradientClassifier(network, deployed, description, compiled)
    if looks == "tokens":
        classifier = TokenClassifier(network, _located(deployed, where, method), method, compiled)
    if location is not None:
        layered = classifier = LayeredClassifier(network, classifier, deployed, location, compiled)
        if looks == "layer gradients":
            layered.hold_gradients()
    return Probed(network, description, method, classifier, settings)


def _is_detector(deployed: Deployed, where: Where, method: str, boxes: str | None) -> bool:
    """Whether boxes are explained: by a method for boxes alone, where a format of boxes is named, or no class has a score."""
    if method not in PROBES or boxes is not None:
        return True
    try:
        find_scores(deployed.graph, where.scores)
    except ModelError:
        return True
    return False


def _located(deployed: Deployed, where: Where, method: str) -> Located:
    """The model, located. Raises LayerError where cells are parts of a crop, or a canvas, and not of the image."""
    located = Located.of(deployed, where)
    if located.frame is not None:
        raise LayerError(
            f"{method} asks about cells of the image, and those of this network are parts of what "
            f"{located.frame.value.producer} crops or pads: a hook lays its maps over the image (reciprocam, grad_cam, "
            "ablation_cam, abs_cam), and the probe rise asks about the image alone",
            options=("method",),
        )
    return located


class Probed(Network):
    """A network of which the maps come from a probe."""

    def __init__(
        self, network: Network, description: Described, method: str, classifier: ImageClassifier, settings: Settings | None
    ) -> None:
        super().__init__(network.running, description, network.device)
        self._method, self._classifier, self.settings = method, classifier, settings or Settings()
        self.record = {"method": method, "scores": description.scores.name}
        if self.settings.channels is not None:
            self.record["channels"] = str(self.settings.channels)
        if classifier.layer is not None:
            self.record["layer"] = classifier.layer

    def _mapped_classes(self, results: Mapping[str, np.ndarray]) -> Sequence[int]:
        return range(self._scores.classes)

    def _refuse_difference(self, pair: Pair, explained: Sequence[int | Pair]) -> None:
        """Nothing: the model is asked about any difference of two classes."""

    def _lookalikes(self, *_: object) -> None:
        """None: the map of another class would take more inferences."""

    def _maps(
        self, image: np.ndarray, results: Mapping[str, np.ndarray], ids: Sequence[int | Pair], explained: Sequence[int | Pair]
    ) -> np.ndarray:
        pairs = [k for k in ids if isinstance(k, tuple)]
        if not pairs:
            return PROBES[self._method].ask(self._classifier, image, cast("Sequence[int]", ids), self.settings)
        return PROBES[self._method].ask(ContrastClassifier(self._classifier, pairs), image, range(len(pairs)), self.settings)

"""How good a map is, measured on the deployed model: the metrics of `ovxai evaluate` as functions.

::

    from openvino_xai import metrics

    network = xai.load(xai.insert("model.onnx"))
    case = metrics.case(network, "cat.png", "Egyptian cat")
    metrics.insertion(case)  # one metric
    metrics.measure(case)  # all that this photo allows, by name

A `Case` is one photo, explained for one class. The map is the network's own, or anybody's:
`metrics.case(network, image, target, saliency=array)`. Metrics that look at the map of another image, as `coherency`, take a
function in place of an array. What the literature does not agree on is in `Choices`. Boxes of detectors have their own
(`ovxai evaluate` measures them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from openvino_xai.arguments import Kind, takes
from openvino_xai.choices import check_choice, quoted
from openvino_xai.errors import InputError
from openvino_xai.evaluate.classes.case import Case, Choices, Subject
from openvino_xai.evaluate.classes.causal import deletion, insertion
from openvino_xai.evaluate.classes.erasure import comprehensiveness, sufficiency
from openvino_xai.evaluate.classes.infidelity import infidelity
from openvino_xai.evaluate.classes.information import aic, sic
from openvino_xai.evaluate.classes.masking import adcc, average_drop, average_increase, coherency, complexity
from openvino_xai.evaluate.classes.metrics import ADCC_PARTS, METRICS, SETS, Metric, refuse_of_contrast
from openvino_xai.evaluate.classes.pointing import energy, localisation, pointing_game
from openvino_xai.evaluate.classes.road import road
from openvino_xai.evaluate.classes.sensitivity import sensitivity
from openvino_xai.evaluate.classes.sparsity import sparsity
from openvino_xai.evaluate.contrasts import ContrastSubject, contrast_choices, named_contrast
from openvino_xai.evaluate.examples import Example
from openvino_xai.evaluate.similarity import Similarity, similarity
from openvino_xai.render.overlay import Box
from openvino_xai.runtime.inputs.photos import ImageLike, path_of, photo_of
from openvino_xai.runtime.inputs.targets import named_targets
from openvino_xai.runtime.network import Network
from openvino_xai.tail.target import Pair

Saliency: TypeAlias = "np.ndarray | Callable[[np.ndarray, Any], np.ndarray]"
DEFAULT = Choices()
__path__: list[str] = []  # Python then looks for openvino_xai.metrics.NAME, where `predecessor` answers for names of 1.1.0
OF_OTHER_IMAGES = ("coherency", "sensitivity")  # metrics that want the map of an image that was changed

__all__ = [
    "METRICS",
    "Case",
    "Choices",
    "Metric",
    "Similarity",
    "adcc",
    "aic",
    "average_drop",
    "average_increase",
    "case",
    "coherency",
    "complexity",
    "comprehensiveness",
    "deletion",
    "energy",
    "infidelity",
    "insertion",
    "localisation",
    "measure",
    "pointing_game",
    "road",
    "sensitivity",
    "sic",
    "similarity",
    "sparsity",
    "sufficiency",
]


@takes(
    network=Kind(lambda value: isinstance(value, Network), "a network, as load returns it, is expected"),
    choices=Kind(lambda value: isinstance(value, Choices), "metrics.Choices are expected"),
)
def case(
    network: Network,
    image: ImageLike,
    target: int | str | tuple[int | str, int | str] | None = None,
    *,
    saliency: Saliency | None = None,
    boxes: Sequence[Box] = (),
    choices: Choices = DEFAULT,
) -> Case:
    """One photo, explained for one class, which metrics measure.

    `network` is what `load` returns, with a hook or a probe; without one, `saliency` is the map: an array [h, w] over what the
    model sees, of any size, or a function of images [N, C, H, W] and a class, or a pair of a contrast, which returns maps
    [N, h, w]. `target` is an id or a label, None for the predicted class; or a contrast, `A-B` or a pair (A, B). The score of
    a contrast is the difference of the two logits, whatever `choices` say, and not all metrics measure it. `boxes`
    (x0, y0, x1, y1) tell in the photo's pixels where the object is: the pointing game, `energy` and `localisation` need them.
    Raises InputError, and ImageError for maps and scores that are no numbers.
    """
    photo = photo_of(image)
    sample = network.prepare(photo)
    source = network if saliency is None else _Foreign(network, saliency)
    pair = named_contrast(target, network) if saliency is None or target is not None else None
    subject: Subject
    if pair is not None:
        choices, subject, k, label = contrast_choices(choices), ContrastSubject(source, pair), 0, pair[0]
        scores, maps = subject.maps(sample, [k], logits=True)
    else:
        subject = source
        scores, maps, k = _of_class(network, saliency, sample, target, logits=choices.read == "logit")
        label = k
    return Case(
        network=subject,
        choices=choices,
        example=Example(path_of(image) or Path("the image"), label, boxes=_checked_boxes(boxes)),
        image=sample,
        black=network.prepare(np.zeros((1, 1, 3), np.uint8))[:, :, :1, :1],
        scores=scores[0],
        target=k,
        saliency=maps[0],
        size=(photo.shape[0], photo.shape[1]),
        box=network.preprocessing.box((photo.shape[0], photo.shape[1])),
    )


def _of_class(
    network: Network, saliency: Saliency | None, sample: np.ndarray, target: Any, *, logits: bool
) -> tuple[np.ndarray, np.ndarray, int]:
    """The scores [1, K] and the map [1, h, w] of one class of an image, and its id. Raises InputError for what is no class."""
    ids = [None] if target is None else named_targets(target, network.labels, network.classes)
    if len(ids) != 1 or isinstance(ids, str):
        raise InputError(
            f"target is {quoted(target)}: one class, by its id or label, or a contrast A-B, is expected", options=("target",)
        )
    if saliency is None:
        scores, maps = network.maps(sample, ids, logits=logits)
    else:
        scores = network.predict(sample, logits=logits)
    k = int(scores[0].argmax()) if ids[0] is None else ids[0]
    if not 0 <= k < network.classes:
        raise InputError(f"class {k} is not there: the model has {network.classes}", options=("target",))
    return scores, maps if saliency is None else _maps_of(saliency, sample, k), k


def measure(case: Case, names: Sequence[str] = ()) -> dict[str, float]:
    """The metrics called `names` of a case, by name; by default all that it allows and that are not dear, and ADCC;
    `all` is the dear ones, too.

    Which end is the better one, `METRICS` tells. Means over many photos are those of each metric, but for ADCC, which
    `adcc` makes of the means. Raises InputError for a name that is not known, or a metric that the case has nothing for.
    """
    if not isinstance(case, Case):
        raise InputError(f"a case is {quoted(case)}: what metrics.case returns is expected")
    if not isinstance(names, (list, tuple)):
        raise InputError(f"names are {quoted(names)}: a list of metrics is expected")
    for name in names:
        check_choice("metric", name, (*METRICS, *SETS))
    of_contrast = isinstance(case.network, ContrastSubject)
    network = case.network.network if isinstance(case.network, ContrastSubject) else case.network
    fixed = isinstance(network, _Foreign) and not callable(network.saliency)
    allowed = [
        name
        for name, metric in METRICS.items()
        if not (metric.located and not case.example.boxes)
        and not (fixed and name in OF_OTHER_IMAGES)
        and (metric.of_contrasts or not of_contrast)
    ]
    cheap = [name for name in allowed if not METRICS[name].dear]
    of_set = {"adcc": ADCC_PARTS, "all": allowed}
    wanted = [part for name in names for part in of_set.get(name, (name,))] or cheap
    for name in wanted:
        if of_contrast:
            refuse_of_contrast(name)
        if name not in allowed:
            need = "boxes, which tell where the object is" if METRICS[name].located else "saliency as a function of images"
            raise InputError(f"{name} needs {need}: give them to metrics.case")
    values = {name: METRICS[name].measure(case) for name in dict.fromkeys(wanted)}
    with_adcc = set(ADCC_PARTS) <= values.keys() and (not names or not {"adcc", "all"}.isdisjoint(names))
    return values | ({"adcc": adcc(values)} if with_adcc else {})


@dataclass(frozen=True, eq=False)
class _Foreign:
    """A network whose maps come from elsewhere: the same for any image, or by a function."""

    network: Network
    saliency: Saliency

    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        """[N, K]: probabilities in [0, 1], or logits."""
        return self.network.predict(images, logits=logits)

    def maps(self, images: np.ndarray, classes: Sequence[int | Pair], *, logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities or logits [N, K], and the map [N, h, w] of one class for each image."""
        maps = [_maps_of(self.saliency, image[None], k)[0] for image, k in zip(images, classes, strict=True)]
        return self.predict(images, logits=logits), np.stack(maps)


def _maps_of(saliency: Saliency, images: np.ndarray, k: int | Pair) -> np.ndarray:
    """[N, h, w], f32: the maps of images. Raises InputError for what are none."""
    try:
        maps = np.asarray(_called(saliency, images, k) if callable(saliency) else [saliency] * len(images))
    except ValueError as error:
        raise InputError(f"saliency is {quoted(saliency)}, which is no array: {error}") from error
    if maps.ndim != 3 or len(maps) != len(images) or maps.dtype.kind not in "fiu" or not maps.size:
        raise InputError(
            f"saliency is {maps.dtype} {list(maps.shape)}: a map [h, w] of numbers is expected, or a function that returns "
            f"[{len(images)}, h, w]",
        )
    return maps.astype(np.float32)


def _called(function: Callable[[np.ndarray, Any], np.ndarray], images: np.ndarray, k: int | Pair) -> np.ndarray:
    """What a function makes of images and a class. Raises InputError for one that takes something else."""
    try:
        if isinstance(function, type):
            raise TypeError("a class is no function")
        signature(function).bind(images, k)
    except (TypeError, ValueError) as error:
        raise InputError(f"saliency is {quoted(function)}, which is not called with images and a class: {error}") from error
    return function(images, k)


def _checked_boxes(boxes: object) -> tuple[Box, ...]:
    if isinstance(boxes, (list, tuple)) and all(isinstance(box, (list, tuple)) and len(box) == 4 for box in boxes):
        corners = [tuple(map(_number, box)) for box in boxes]
        if all(np.isfinite(corner).all() and corner[0] < corner[2] and corner[1] < corner[3] for corner in corners):
            return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in corners)
    raise InputError(
        f"boxes are {quoted(boxes)}: a list of (x0, y0, x1, y1) in the photo's pixels is expected", options=("boxes",)
    )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float, np.number)) else float("nan")

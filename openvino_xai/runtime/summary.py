"""What a model is, as far as it tells: inputs, outputs, what it decides, its weights, labels, hook, and what it is fed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from openvino_xai.dialects.open import Model
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import ModelError, OvxaiError
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import text
from openvino_xai.locate.image import find_image
from openvino_xai.locate.layers import is_quantised
from openvino_xai.locate.located import Where
from openvino_xai.locate.scores import find_scores
from openvino_xai.locate.tasks.label_groups import LabelGroups
from openvino_xai.locate.tasks.opening import is_added, opened
from openvino_xai.locate.tasks.vector import find_vector
from openvino_xai.record.reading import records_of, what_all_share
from openvino_xai.runtime.inputs.own import own_preprocessing
from openvino_xai.runtime.preprocessing import Preprocessing
from openvino_xai.surgery.task import detector_of, tells_pixels

OF_IMAGES = "classes of images"  # what a classifier decides


@dataclass(frozen=True)
class Port:
    """An input or output: its name, shape and type."""

    name: str
    shape: str
    dtype: str

    @classmethod
    def of(cls, value: Value, name: str | None = None) -> Port:
        """A value of a graph, by its own name or another."""
        dtype = value.dtype_in_file
        return cls(value.name if name is None else name, text(value.shape), "unknown" if dtype is None else str(dtype))


@dataclass(frozen=True)
class Summary:
    """What a model tells of itself.

    `decides` is in words, `unread` why no photo is fed to it, None where one is; `weights` are bytes by type, the largest
    first; `groups` are how labels of images go together; `hook` is the record of its hook, empty where there is none;
    `preprocessing` is what is fed where nobody says another.
    """

    version: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    decides: str
    classes: int | None
    weights: Mapping[str, int]
    quantised: bool
    info: Mapping[str, str]
    hook: Mapping[str, str]
    preprocessing: Preprocessing | None
    unread: str | None
    groups: LabelGroups | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "format": self.version,
            "inputs": [asdict(port) for port in self.inputs],
            "outputs": [asdict(port) for port in self.outputs],
            "decides": self.decides,
            "classes": self.classes,
            "labelling": None if self.groups is None else self.groups.labelling,
            "weights": dict(self.weights),
            "quantised": self.quantised,
            "model_info": dict(self.info),
            "hook": dict(self.hook) or None,
            "preprocessing": None if self.preprocessing is None else self.preprocessing.to_dict(),
            "unread": self.unread,
        }


def summary_of(model: Model, where: Where) -> Summary:
    """What a model is. `where` names its image and its scores where there are several. Raises InputError, ModelError."""
    deployed = opened(model)
    graph = deployed.graph
    records, info = records_of(graph, deployed.info), deployed.info("model_info")
    record = what_all_share(records)
    preprocessing, unread = None, None
    try:
        image, place = find_image(graph, record.get("image", where.image), planar=False)
        if len(place.cells) == 2:
            preprocessing = own_preprocessing(image, info, channels_first=place.cells == (2, 3))
        else:
            unread = f"'{image.name}' holds a signal or a video"
    except ModelError as error:
        if where.image is not None:
            raise
        unread = str(error)
    decides, classes = _hooked_task(records) if records else _task(deployed, where)
    groups = None
    if decides.startswith(OF_IMAGES) and len(records) < 2:
        scores = find_scores(graph, record.get("scores", where.scores))
        groups, classes = LabelGroups.of(info, scores.classes, scores.scale), scores.classes
    return Summary(
        version=deployed.version,
        inputs=tuple(Port.of(value) for value in graph.inputs),
        outputs=tuple(Port.of(value, name) for name, value in graph.outputs.items() if not is_added(deployed, name)),
        decides=decides,
        classes=classes,
        weights=_weights(graph),
        quantised=is_quantised(graph),
        info=info,
        hook=record,
        preprocessing=preprocessing,
        unread=unread,
        groups=groups,
    )


def _hooked_task(records: Sequence[Mapping[str, str]]) -> tuple[str, int | None]:
    """What a hook explains, and among how many classes, where all its heads have as many."""
    task, counts = records[0].get("task", OF_IMAGES), {record.get("classes") for record in records}
    heads, count = " and ".join(f"'{record['scores']}'" for record in records), counts.pop()
    return f"{task}, read at {heads}", None if counts or count is None else int(count)


def _task(deployed: Deployed, where: Where) -> tuple[str, int | None]:
    """What a model without a hook decides, and among how many classes, as far as its outputs tell."""
    ways: tuple[Callable[[], tuple[str, int | None] | None], ...] = (
        lambda: _boxes(deployed, where),
        lambda: _classes(deployed, where),
        lambda: ("classes of pixels", None) if tells_pixels(deployed, where) else None,
        lambda: (f"a vector, read at '{find_vector(deployed.graph, where.scores).name}'", None),
    )
    for way in ways:
        try:
            if (answer := way()) is not None:
                return answer
        except OvxaiError:
            if where.scores is not None and way is ways[-1]:
                raise
    return "unknown: no output has scores of classes, boxes, pixels or a vector", None


def _boxes(deployed: Deployed, where: Where) -> tuple[str, int | None] | None:
    detector = detector_of(deployed, where)
    return None if detector is None else ("boxes, by rows of scores", None)


def _classes(deployed: Deployed, where: Where) -> tuple[str, int]:
    scores = find_scores(deployed.graph, where.scores)
    if is_added(deployed, scores.name):
        return f"{OF_IMAGES}, which its outputs rank: a hook returns their scores ({scores.scale}), too", scores.classes
    return f"{OF_IMAGES}, read at '{scores.name}' ({scores.scale}), or a vector", scores.classes


def _weights(graph: Graph) -> dict[str, int]:
    """Bytes of constants that nodes read, by type."""
    inputs = set(graph.inputs)
    constants = {value for node in graph.nodes for _, value in node.operands if value.producer is None and value not in inputs}
    total: Counter[str] = Counter()
    for value in constants:
        sizes = [size for size in value.shape or () if isinstance(size, int)]
        dtype = value.dtype_in_file
        if dtype is None:
            total["unknown"] += int(np.prod(sizes))
        elif value.shape is not None and len(sizes) == len(value.shape):
            total[str(dtype)] += int(np.prod(sizes, dtype=np.int64)) * dtype.itemsize
    return {name: size for name, size in total.most_common() if size}

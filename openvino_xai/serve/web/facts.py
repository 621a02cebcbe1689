"""What the page is told of a hooked model: how it is fed, how its outputs are read, and what it tells about itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from openvino_xai.contract import HEAD_RECORD, WANTED, explains_boxes, reads
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError, ModelError
from openvino_xai.locate.located import task_of
from openvino_xai.locate.tasks.label_groups import LabelGroups, labels_of
from openvino_xai.record.reading import names_in_file, record_of
from openvino_xai.render.boxes import COLOURS
from openvino_xai.render.overlay import OVERLAY, colour
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.detectors.detector import least_score
from openvino_xai.runtime.inputs.doubts import doubts_of
from openvino_xai.runtime.inputs.own import own_preprocessing
from openvino_xai.runtime.preprocessing import Preprocessing
from openvino_xai.serve.literals import code_span
from openvino_xai.tail.rows.pick import TopBoxes, parse_row_pick
from openvino_xai.tail.target import ids_of, parse_pick

TYPES = {"float32", "float16", "float64", "uint8", "int8", "uint16", "int16", "int32", "uint32"}  # of images, in the browser
LEVELS = 256  # of a byte


def facts_of(deployed: Deployed) -> dict[str, Any]:
    """The facts of a model with a hook, as JSON holds them. Raises InputError and ModelError where a page cannot explain it."""
    if deployed.info(f"{HEAD_RECORD}1"):
        raise InputError(
            "the hook explains several heads, and the page shows one: insert with scores NAME for the one to show",
            options=("scores",),
        )
    record = record_of(deployed.graph, deployed.info)
    described = Described.of(deployed.graph, deployed.info)
    _refuse_task(record)
    _refuse_inputs(deployed, described)
    preprocessing = own_preprocessing(described.image, described.info, channels_first=described.channels_first)
    _refuse_image(described, preprocessing)
    labels = labels_of(described.info, described.scores.classes, described.groups)
    if labels and len(labels) != described.scores.classes:
        raise InputError(f"there are {len(labels)} labels for {described.scores.classes} classes: insert with the right ones")
    return {
        "task": "boxes" if described.is_detector else "classes",
        "image": _image(described, preprocessing),
        "gate": record.get("gate"),
        "wanted": WANTED if reads(record, WANTED) else None,
        "scores": None if described.is_detector else _scores(deployed, described),
        "answers": None if described.groups is None else _answers(described.groups),
        "explained": None if described.is_detector else _explained(record),
        "classes": described.scores.classes,
        "labels": labels,
        "least_score": least_score(described.info.get("confidence_threshold")) if described.is_detector else None,
        "hook": {name: record[name] for name in ("method", "layer", "score", "targets") if name in record},
        "doubts": [*map(str, doubts_of(preprocessing)), *_open_sizes(described, preprocessing)],
        "colormap": base64.b64encode(colour(np.arange(LEVELS) / (LEVELS - 1)).tobytes()).decode(),
        "opacity": OVERLAY.opacity,
        "colours": ["#" + bytes(shade).hex() for shade in COLOURS],
    }


def _refuse_task(record: Mapping[str, str]) -> None:
    """Raise InputError for a hook that explains what the page cannot show."""
    task = task_of(record)
    if explains_boxes(record):
        if not isinstance(parse_row_pick(record["targets"]), TopBoxes):
            raise InputError(
                f"the hook has the targets {record['targets']}, and the page shows boxes: insert with targets boxes:8",
                options=("targets",),
            )
    elif task != "classes":
        raise InputError(
            f"the hook explains {'pixels by their classes' if task == 'regions' else 'vectors'}, and the page shows classes of "
            "images and boxes: `ovxai ui` shows this model"
        )


def _refuse_inputs(deployed: Deployed, described: Described) -> None:
    """Raise ModelError for an input that the page does not know how to fill."""
    names = {described.image.name, *names_in_file(described.record)}
    others = [value.name for value in deployed.graph.inputs if value.name not in names]
    if others:
        raise ModelError(
            f"the model has more inputs than the image {described.image.name!a}: {others[0]!a}. A page has nothing to put "
            "there: export the model with a constant in its place",
            node=others[0],
        )


def _refuse_image(described: Described, preprocessing: Preprocessing) -> None:
    """Raise ModelError for an image that no photo fills, or of a type that browsers have no arrays of."""
    name = described.image.name
    if preprocessing.channels not in (1, 3):
        raise ModelError(
            f"input {name!a} has {preprocessing.channels} channels: a photo fills 3, or 1 with its grey values", node=name
        )
    if preprocessing.dtype not in TYPES:
        raise ModelError(
            f"input {name!a} is {preprocessing.dtype}: one of {', '.join(sorted(TYPES))} is expected in the browser", node=name
        )


def _open_sizes(described: Described, preprocessing: Preprocessing) -> list[str]:
    sides = (described.image.shape or ())[slice(2, 4) if described.channels_first else slice(1, 3)]
    if all(isinstance(side, int) for side in sides) or "input_size" in preprocessing.sources:
        return []
    size = "x".join(map(str, preprocessing.size))
    return [f"the model takes images of any size, and is fed {size}: insert with input_size HxW says another"]


def _image(described: Described, preprocessing: Preprocessing) -> dict[str, Any]:
    """How a photo becomes the image: where its pixels go, and which number of each channel stands for a byte."""
    batch = (described.image.shape or (1,))[0]
    return {
        "name": described.image.name,
        "type": preprocessing.dtype,
        "batch": batch if isinstance(batch, int) else 1,
        "channels": preprocessing.channels,
        "size": list(preprocessing.size),
        "channels_first": described.channels_first,
        "is_rgb": preprocessing.reverse_input_channels,
        "resize_type": preprocessing.resize_type,
        "pad_value": preprocessing.pad_value,
        "tables": _tables(preprocessing),
        "summary": preprocessing.summary,
    }


def _tables(preprocessing: Preprocessing) -> list[list[float]]:
    """[C][256]: what each byte of each channel becomes, so that the page has no arithmetic to do; of f16 its bits."""
    grey = np.arange(LEVELS, dtype=np.uint8)
    ramp = np.repeat(grey[None, :, None], 3, axis=2)
    values = replace(preprocessing, size=(1, LEVELS), resize_type="standard", layout="NHWC")(ramp)[0, 0].T
    numbers: list[list[float]] = (values.view(np.uint16) if values.dtype == np.float16 else values).tolist()
    return numbers


def _scores(deployed: Deployed, described: Described) -> dict[str, Any]:
    """The output with the scores, and how they become probabilities.

    Its numbers stand for (q - `zero`) * `step`, and are parts `of` 255 where they are bytes of which nothing is known. A
    softmax is over each of the ranges `softmax`, a sigmoid of each other class where `sigmoid`.
    """
    scores, groups, logits = described.scores, described.groups, described.scale == "logit"
    if groups is not None and groups.several:
        ranges, sigmoid = [[part.start, part.stop] for part in groups.exclusive], True
    else:
        sigmoid = logits and (described.record.get("score") == "sigmoid" or scores.classes == 1)
        ranges = [[0, scores.classes]] if logits and not sigmoid else []
    is_share = scores.levels is None and not logits and deployed.graph.outputs[scores.name].dtype == np.uint8
    zero, step = (0.0, 1.0) if scores.levels is None else (scores.levels.zero, scores.levels.step)
    numbers = {"zero": zero, "step": step, "of": 255 if is_share else 1}
    return {"name": scores.name, "softmax": ranges, "sigmoid": sigmoid, **numbers}


def _answers(groups: LabelGroups) -> dict[str, Any] | None:
    """What labels an image answers, where it may have several."""
    if not groups.several:
        return None
    exclusive = [[part.start, part.stop] for part in groups.exclusive]
    parents = [[child, parent] for child, parent in groups.parents.items()]
    return {"exclusive": exclusive, "threshold": groups.threshold, "parents": parents}


def _explained(record: Mapping[str, str]) -> list[int] | None:
    """The classes that have maps, in their order; None where the model says so itself, or all have. Raises InputError."""
    ids = ids_of(parse_pick(record["targets"]))
    return None if ids is None else list(ids)


def describe(facts: Mapping[str, Any]) -> str:
    """What the page shows, as a sentence."""
    what = f"{facts['classes']} classes" if facts["task"] == "classes" else "boxes"
    return f"It explains {what} by {code_span(facts['hook']['method'])}, and feeds {facts['image']['summary']}."

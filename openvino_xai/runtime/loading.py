"""Models from files, ready to run: which network a model becomes, its hook says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from openvino_xai.contract import WANTED_INDEX, reads
from openvino_xai.dialects.open import Model, open_model
from openvino_xai.dialects.protocol import Deployed, Running
from openvino_xai.locate.located import Where, task_of
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.detectors.by_row import Propose, RowDetector
from openvino_xai.runtime.detectors.class_maps import ClassMaps
from openvino_xai.runtime.detectors.detector import Detector
from openvino_xai.runtime.detectors.proposals import proposing_rows
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.tasks.matcher import Matcher, vector_model
from openvino_xai.runtime.tasks.segmenter import Segmenter
from openvino_xai.surgery.hooked import Hooked
from openvino_xai.surgery.record import unhooked

DEAR = 1.5  # times the operations of the plain model: above it, predictions are asked of a model without the hook


def load(
    model: Model | Hooked,
    *,
    device: str = "CPU",
    precision: str = "f32",
    hint: str = "LATENCY",
    cache_dir: str | os.PathLike[str] | None = None,
) -> Network:
    """A model, hooked or not, compiled for OpenVINO or ONNX Runtime.

    `precision` is `f32`, so that explanations do not depend on the machine, or `f16`, `bf16`, or `default` for what the
    device prefers; ONNX Runtime runs a model as it is written. `device` is one of OpenVINO's (CPU, GPU, NPU, AUTO, HETERO:...),
    or CPU, CUDA or OPENVINO for ONNX Runtime, whose provider must be the one that runs. `hint` and `cache_dir` are OpenVINO's
    performance hint and the folder where it keeps compiled models. Raises InputError, ModelError.
    """
    deployed = model.deployed if isinstance(model, Hooked) else open_model(model)
    description = Described.of(deployed.graph, deployed.info)

    def compiled(variant: Deployed) -> Running:
        return variant.compile(device, precision, hint, None if cache_dir is None else Path(cache_dir))

    dear = float(description.record.get("cost", 1)) > DEAR
    plain: Callable[[], Running] | None = (lambda: compiled(unhooked(deployed))) if dear else None
    if description.explains_vectors:
        plain = lambda: compiled(vector_model(deployed, description.record))  # noqa: E731
    rows = rows_of(deployed, description, (device, precision))
    return network_of(compiled(deployed), description, device, plain=plain, propose=rows)


def rows_of(deployed: Deployed, description: Described, compiled: tuple[str, str]) -> Propose:
    """What finds the rows of a hooked detector, with their boxes and scores, and compiles it without the hook."""
    where = Where.parse(scores=description.scores.name, image_input=description.image.name)
    return lambda: proposing_rows(unhooked(deployed), where, description.record.get("boxes"), compiled)


def network_of(
    running: Running,
    description: Described,
    device: str,
    *,
    plain: Callable[[], Running] | None = None,
    propose: Propose | None = None,
) -> Network:
    """A compiled model as what its hook explains: classes of images, vectors, boxes, or where a detector sees its classes.

    `plain` compiles it without the hook; of vectors, it returns them as they are read. `propose` tells boxes and scores of a
    detector's rows. Raises InputError for a `model_info` that makes no sense.
    """
    if reads(description.record, WANTED_INDEX):
        return RowDetector(running, description, device, propose=propose)
    kind: type[Network] = {"vector": Matcher, "regions": Segmenter}.get(task_of(description.record), Network)
    if description.is_detector:
        kind = ClassMaps if description.record["targets"] == "all" else Detector
    return kind(running, description, device, plain=plain)

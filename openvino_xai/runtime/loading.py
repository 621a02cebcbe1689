"""Models from files, ready to run: which network a model becomes, its hook says."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import get_args

from openvino_xai.arguments import PATH, TEXT, takes
from openvino_xai.choices import check_choice
from openvino_xai.contract import WANTED_INDEX, reads
from openvino_xai.dialects.open import Model
from openvino_xai.dialects.protocol import Deployed, Running
from openvino_xai.errors import ModelError
from openvino_xai.locate.located import Where, score_of_queries, task_of
from openvino_xai.locate.tasks.opening import opened
from openvino_xai.record.reading import records_of
from openvino_xai.record.removal import unhooked
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.detectors.by_row import Propose, RowDetector
from openvino_xai.runtime.detectors.class_maps import ClassMaps
from openvino_xai.runtime.detectors.detector import Detector
from openvino_xai.runtime.detectors.proposals import proposing_rows
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.tasks.heads import Heads, running_of_head
from openvino_xai.runtime.tasks.matcher import Matcher, vector_model
from openvino_xai.runtime.tasks.segmenter import Segmenter
from openvino_xai.surgery.hooked import Hooked
from openvino_xai.words import Hint, Precision

DEAR = 1.5  # times the operations of the plain model: above it, predictions are asked of a model without the hook


@takes(device=TEXT, precision=TEXT, hint=TEXT, cache_dir=PATH.or_none(), scores=TEXT.or_none())
def load(
    model: Model | Hooked,
    *,
    device: str = "CPU",
    precision: Precision = "f32",
    hint: Hint = "LATENCY",
    cache_dir: str | os.PathLike[str] | None = None,
    scores: str | None = None,
) -> Network:
    """A model, hooked or not, compiled for OpenVINO or ONNX Runtime.

    `scores` is the output that is explained, where the hook explains several heads; `load_heads` takes them all.

    `precision` is `f32`, so that explanations do not depend on the machine, or `f16`, `bf16`, or `default` for what the
    device prefers; ONNX Runtime runs a model as it is written. `device` is one of OpenVINO's (CPU, GPU, NPU, AUTO, HETERO:...),
    or CPU, CUDA or OPENVINO for ONNX Runtime, whose provider must be the one that runs. `hint` is OpenVINO's performance hint:
    THROUGHPUT is for a network that several threads call (see `Network.streams`); on the CPU ONNX Runtime then has one thread
    for each run. `cache_dir` is the folder where OpenVINO keeps compiled models. Raises InputError, ModelError.
    """
    check_words(precision, hint)
    deployed = model.deployed if isinstance(model, Hooked) else opened(model)
    description = Described.of(deployed.graph, deployed.info, where=Where(scores=scores))

    def compiled(variant: Deployed) -> Running:
        return variant.compile(device, precision, hint, None if cache_dir is None else Path(cache_dir))

    dear = float(description.record.get("cost", 1)) > DEAR
    # compiled once, also for copies of the network
    plain: Callable[[], Running] | None = _once(lambda: compiled(unhooked(deployed))) if dear else None
    if description.explains_vectors:
        plain = _once(lambda: compiled(vector_model(deployed, description.record)))
    rows = rows_of(deployed, description, (device, precision))
    running = running_of_head(compiled(deployed), deployed.graph, records_of(deployed.graph, deployed.info), description.record)
    return network_of(running, description, device, plain=plain, propose=rows)


@takes(device=TEXT, precision=TEXT, hint=TEXT, cache_dir=PATH.or_none())
def load_heads(
    model: Model | Hooked,
    *,
    device: str = "CPU",
    precision: Precision = "f32",
    hint: Hint = "LATENCY",
    cache_dir: str | os.PathLike[str] | None = None,
) -> Heads:
    """A model of which several heads are explained: a network for each, by the name of its scores, on one compiled model.

    The options are those of `load`. Raises InputError, ModelError, also for a hook of one head alone.
    """
    check_words(precision, hint)
    deployed = model.deployed if isinstance(model, Hooked) else opened(model)
    records = records_of(deployed.graph, deployed.info)
    if len(records) < 2:
        raise ModelError("the model carries no hook of several heads, which `insert` makes where several scores are named")
    folder = None if cache_dir is None else Path(cache_dir)
    running, networks = deployed.compile(device, precision, hint, folder), {}
    plain = _once(lambda: unhooked(deployed).compile(device, precision, hint, folder))
    for record in records:
        description = Described.of(deployed.graph, deployed.info, where=Where(scores=record["scores"]))
        of_head = running_of_head(running, deployed.graph, records, record)
        is_dear = float(record.get("cost", 1)) > DEAR
        networks[record["scores"]] = network_of(of_head, description, device, plain=plain if is_dear else None)
    return Heads(networks)


def _once(compiled: Callable[[], Running]) -> Callable[[], Running]:
    """A model that is compiled when it is first wanted, by one of the threads that want it."""
    lock, shared = Lock(), cache(compiled)

    def get() -> Running:
        with lock:
            return shared()

    return get


def check_words(precision: str, hint: str = "LATENCY") -> None:
    """Raise InputError for a precision or a hint that no runtime has."""
    check_choice("precision", precision, get_args(Precision), options=("precision",))
    check_choice("hint", hint, get_args(Hint), options=("hint",))


def rows_of(deployed: Deployed, description: Described, compiled: tuple[str, str]) -> Propose:
    """What finds the rows of a hooked detector, with their boxes and scores, and compiles it without the hook."""
    where = Where.parse(
        scores=description.scores.name, image_input=description.image.name, score=score_of_queries(description.record)
    )
    return cache(lambda: proposing_rows(unhooked(deployed), where, description.record.get("boxes"), compiled))


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

"""`ovxai evaluate` for detectors: how good the explanations of their boxes are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from openvino_xai.cli.evaluation.request import Measurement, Request
from openvino_xai.cli.evaluation.rows import in_turn, readable, refuse_others, stages_of, write_result
from openvino_xai.cli.options import LayerOptions, find_photos
from openvino_xai.cli.text import say, say_table, warn
from openvino_xai.errors import InputError

if TYPE_CHECKING:
    from openvino_xai.dialects.open import Model
    from openvino_xai.evaluate.boxes.annotations import Annotated
    from openvino_xai.evaluate.sanity import Stage
    from openvino_xai.runtime.detectors.detector import Detector
    from openvino_xai.runtime.detectors.proposer import Proposer
    from openvino_xai.runtime.inputs.targets import TargetsOfImage
    from openvino_xai.runtime.network import Network
    from openvino_xai.words import HookName

DEFAULT_TARGETS = "boxes:16"  # of a hook that is inserted for the run
ENDING = ".json"  # how files with the objects of photos end
GROUPS = {
    "true_positive": "true positives",
    "mislocalised": "mislocalised",
    "false_positive": "false positives",
    "detected": "boxes",
    "all": "all",
}


def objects_of(options: LayerOptions) -> tuple[Path | None, LayerOptions]:
    """The file that --boxes names with the objects of photos, and the options without it; None where it is a format."""
    if options.boxes is None or not options.boxes.lower().endswith(ENDING):
        return None, options
    return Path(options.boxes), replace(options, boxes=None)


def evaluate_boxes(network: Network, request: Request, objects: Path | None) -> Measurement:
    """What is measured of a detector's boxes; a file tells the `objects` of photos. Raises InputError."""
    from openvino_xai.evaluate.boxes.metrics import box_metric_names
    from openvino_xai.evaluate.boxes.run import Protocol, boxes_of, evaluate_boxes
    from openvino_xai.evaluate.classes.run import some_of
    from openvino_xai.runtime.detectors.detector import Detector
    from openvino_xai.runtime.folders.reserve import reserved

    if not isinstance(network, Detector):
        raise InputError(
            "the model explains classes, and no boxes: evaluate takes one that `insert --targets boxes:N` has made"
        )
    protocol = Protocol(names=tuple(box_metric_names(request.metrics)), choices=request.choices)
    photos = some_of(_photos(request, network, objects), request.limit, request.choices.seed)
    work = partial(evaluate_boxes, network, _proposer(network, request), protocol=protocol)
    conditions = {**request.conditions, "metrics": list(protocol.names), "baselines": list(protocol.baselines)}
    output = request.output
    with reserved(output) if output is not None else nullcontext():
        start = time.perf_counter()
        if output is not None:
            refuse_others(output, request, network.record["method"])
        by_name, count = in_turn(output, _sources(photos), photos, work, conditions, again=request.again)
        took = time.perf_counter() - start
        rows, all_read = readable([by_name[str(photo.path)] for photo in photos])
        boxes = boxes_of(rows)
        stages = _stages(network, request, rows) if request.sanity else []
        result = _result(network, request, rows, boxes, round(count / took, 3) if count else None)
        if stages:
            result["sanity"] = [stage.to_dict() for stage in stages]
        if output is not None:
            write_result(output, result)
    return Measurement(result, stages, _print, all_read)


def _photos(request: Request, network: Detector, objects: Path | None) -> list[Annotated]:
    """The photos that inputs mean, with their objects where a list tells them."""
    from openvino_xai.evaluate.boxes.annotations import Annotated, annotated, read_annotations

    lists = [Path(entry) for entry in request.inputs if entry.lower().endswith(ENDING)]
    others = [entry for entry in request.inputs if not entry.lower().endswith(ENDING)]
    photos = [photo for path in lists for photo in read_annotations(path, network.labels, network.classes)]
    plain = find_photos(others, request.output) if others else []
    if objects is None:
        photos += [Annotated(path) for path in plain]
    else:
        listed = read_annotations(objects, network.labels, network.classes)
        left_out: list[Path] = []
        photos += annotated(plain, listed, objects, left_out.append)
        if left_out:
            warn(f"{len(left_out)} images are left out: {objects} tells no objects of them, as of {left_out[0]}")
    unique = {photo.path: photo for photo in photos}
    if not unique:
        raise InputError(f"no image was found in {', '.join(request.inputs)}")
    return list(unique.values())


def _proposer(network: Detector, request: Request) -> Proposer:
    """The detector without a hook."""
    from openvino_xai.runtime.detectors.probed import ProbedDetector
    from openvino_xai.runtime.detectors.proposer import Proposer

    if isinstance(network, ProbedDetector):
        return network.propose
    return Proposer.of(request.model, device=request.running.device, precision=request.running.precision)


def _sources(photos: Sequence[Annotated]) -> dict[str, Any]:
    """For each image a digest of its file and its objects, so that a change is measured anew; None without a file."""
    from openvino_xai.runtime.sources import digest_of, stamp

    return {
        str(photo.path): None
        if (state := stamp(photo.path)) is None
        else digest_of([state, None if photo.objects is None else [asdict(item) for item in photo.objects], photo.size])
        for photo in photos
    }


def _result(
    network: Detector, request: Request, rows: list[dict[str, Any]], boxes: list[dict[str, Any]], speed: float | None
) -> dict[str, Any]:
    from openvino_xai.evaluate.boxes.metrics import overall

    return {
        "images": len(rows),
        "boxes": len(boxes),
        "method": network.record["method"],
        "metrics": overall(boxes),
        "min_score": network.min_score,
        "images_per_second": speed,
        "model": request.model,
        "precision": network.precision,
        "preprocessing": network.preprocessing.to_dict(),
        "hook": network.record,
        "covered": request.choices.covered,
        "seed": request.choices.seed,
    }


def _print(result: dict[str, Any]) -> None:
    from openvino_xai.evaluate.boxes.metrics import BOX_METRICS

    groups = result["metrics"]
    names = list(next(iter(next(iter(groups.values()))["metrics"].values())))
    columns = ["boxes", "n", "map", *(name.replace("_", " ") for name in names)]
    cells: list[list[object]] = []
    for group, row in groups.items():
        for source, metrics in row["metrics"].items():
            values = ["" if metrics[name] is None else f"{metrics[name]:.3f}" for name in names]
            cells.append([GROUPS[group], row["n"], source, *values])
    cells.append(["better is", "", "", *(BOX_METRICS[name].best for name in names)])
    title = f"{result['model']}, {result['method']}, {result['boxes']} boxes in {result['images']} images"
    say_table(columns, cells, texts=("boxes", "map"), title=title)
    if "object_discrimination" in names:
        counts = ", ".join(f"{row['n_others']} of {GROUPS[group]}" for group, row in groups.items())
        say(f"object discrimination: of boxes whose class has other objects in the photo ({counts})")
    if result["images_per_second"]:
        say(f"{result['images_per_second']:.2g} images a second")


def _stages(network: Detector, request: Request, rows: list[dict[str, Any]]) -> list[Stage]:
    """How alike the maps of the same rows are where weights are shuffled. Raises InputError for a probe."""
    from openvino_xai.contract import RECORD
    from openvino_xai.dialects.open import open_model
    from openvino_xai.hooks.rows import ROW_METHODS
    from openvino_xai.record.removal import unhooked
    from openvino_xai.surgery.insert import insert

    record = network.record
    if record["method"] not in ROW_METHODS:
        raise InputError(f"{record['method']} explains the boxes that there are; --sanity is for hooks, which explain any row")
    deployed = open_model(request.model)
    plain = (unhooked(deployed) if deployed.info(RECORD) else deployed).object()
    with_boxes = [row for row in rows if row["boxes"]]
    targets: dict[str, TargetsOfImage] = {
        row["image"]: ",".join(f"{box['index']}:{box['id']}" for box in row["boxes"]) for row in with_boxes
    }
    most = max(len(row["boxes"]) for row in with_boxes)

    def load(variant: Model) -> Network:
        method, layer, scores = (record[key] for key in ("method", "layer", "scores"))
        hooked = insert(
            variant, method=cast("HookName", method), layer=layer, scores=scores, targets=f"asked:{most}", verify=False
        )
        if "boxes" in record:  # boxes of shuffled weights do not show their format
            hooked.deployed.set_info(RECORD, {"boxes": record["boxes"]})
        return request.running.load(hooked.model, LayerOptions(), request.probing.settings())

    return stages_of(plain, load, targets, request.choices.seed)

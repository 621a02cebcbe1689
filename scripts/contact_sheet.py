"""Free photos, explained by several networks, side by side: `python scripts/contact_sheet.py --data FOLDER`.

FOLDER holds models/ and images/free/. One column for a network, the most probable class of each under its picture.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

import openvino_xai as xai
from openvino_xai.render.sheet import sheet

IMAGENET = {"mean_values": "123.675 116.28 103.53", "scale_values": "58.395 57.12 57.375", "reverse_input_channels": "yes"}
SYMMETRIC = {"mean_values": "127.5 127.5 127.5", "scale_values": "127.5 127.5 127.5", "reverse_input_channels": "yes"}
CROP, SQUASH = {"resize_type": "crop"}, {"resize_type": "standard"}


@dataclass(frozen=True)
class Column:
    """A network: its title, file, preprocessing, and the file of its labels with how to read a line."""

    title: str
    file: str
    preprocessing: dict[str, str] = field(default_factory=dict)
    labels: str = "imagenet_labels.txt"
    background: bool = False  # whether class 0 is none of ImageNet's
    numbered: bool = False  # whether a line of the labels ends in a number


COLUMNS = (
    Column("EfficientNet-Lite0", "efficientnet_lite0.xml", SYMMETRIC | CROP),
    Column("... INT8 (QDQ)", "efficientnet_lite0_qdq_int8.onnx", SYMMETRIC | CROP),
    Column("... INT8 (NNCF)", "efficientnet_lite0_nncf_int8.xml", SYMMETRIC | CROP),
    Column("SqueezeNet 1.1", "squeezenet1.1.onnx", {"mean_values": "103.939 116.779 123.68"} | CROP),
    Column(
        "MobileNetV2 (TFLite)", "mobilenet_v2_1.0_224_quant.tflite", {"reverse_input_channels": "yes"} | CROP, background=True
    ),
    Column(
        "ViT-S/14, ten classes", "vit_s14_imagenette.xml", IMAGENET | SQUASH, "vit_s14_imagenette_labels.txt", numbered=True
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with models/ and images/free/")
    parser.add_argument("--output", type=Path, default=Path("samples/pictures/networks.jpg"))
    arguments = parser.parse_args()
    photos = sorted((arguments.data / "images" / "free").iterdir())
    columns = [pictures(arguments.data / "models", column, photos) for column in COLUMNS]
    cv2.imwrite(str(arguments.output), sheet(list(zip(*columns, strict=True)))[..., ::-1])


def pictures(folder: Path, column: Column, photos: list[Path]) -> list[tuple[np.ndarray, str]]:
    """For each photo a picture with its class; the title stands above the first."""
    lines = (folder / column.labels).read_text(encoding="utf-8").splitlines()
    labels = [line.rsplit(" ", 1)[0] if column.numbered else line.split(",")[0] for line in lines]
    labels = labels if column.background or column.numbered else labels[1:]
    network = xai.load(xai.insert(folder / column.file))
    network.configure(labels=labels, preprocessing=column.preprocessing)
    cells = [(np.full((24, 440, 3), 255, np.uint8), column.title)]
    for photo in photos:
        explanation = network.explain(photo)
        cells.append((explanation.overlay(), f"{explanation.targets[0].label} {explanation.targets[0].probability:.0%}"))
    return cells


if __name__ == "__main__":
    main()

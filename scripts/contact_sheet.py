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

SIDE, LINE = 190, 20
IMAGENET = {"mean_values": "123.675 116.28 103.53", "scale_values": "58.395 57.12 57.375", "reverse_input_channels": "yes"}
ONE = {"mean_values": "127.5 127.5 127.5", "scale_values": "127.5 127.5 127.5", "reverse_input_channels": "yes"}
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
    Column("EfficientNet-Lite0", "efficientnet_lite0.xml", ONE | CROP),
    Column("... INT8 (QDQ)", "efficientnet_lite0_qdq_int8.onnx", ONE | CROP),
    Column("... INT8 (NNCF)", "efficientnet_lite0_nncf_int8.xml", ONE | CROP),
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
    told = parser.parse_args()
    photos = sorted((told.data / "images" / "free").iterdir())
    columns = [tiles(told.data / "models", column, photos) for column in COLUMNS]
    sheet = np.hstack([np.vstack(column) for column in columns])
    cv2.imwrite(str(told.output), sheet[..., ::-1])


def tiles(folder: Path, column: Column, photos: list[Path]) -> list[np.ndarray]:
    """A title, and a picture with its class for each photo."""
    lines = (folder / column.labels).read_text(encoding="utf-8").splitlines()
    labels = [line.rsplit(" ", 1)[0] if column.numbered else line.split(",")[0] for line in lines]
    labels = labels if column.background or column.numbered else labels[1:]
    network = xai.load(xai.insert(folder / column.file))
    network.configure(labels=labels, preprocessing=column.preprocessing)
    made = [words(column.title)]
    for photo in photos:
        seen = network.explain(photo)
        made += [fitted(seen.overlay()), words(f"{seen.targets[0].label} {seen.targets[0].probability:.0%}")]
    return made


def fitted(picture: np.ndarray) -> np.ndarray:
    """A picture, as wide as a column but for a white edge."""
    height, width = picture.shape[:2]
    scale = (SIDE - 6) / width
    small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, 0, 0, 3, SIDE - 3 - small.shape[1], cv2.BORDER_CONSTANT, value=(255, 255, 255))


def words(text: str) -> np.ndarray:
    """A line of text."""
    line = np.full((LINE, SIDE, 3), 255, np.uint8)
    cv2.putText(line, text[:28], (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return line


if __name__ == "__main__":
    main()

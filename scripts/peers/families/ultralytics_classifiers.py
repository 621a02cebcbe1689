"""Classifiers of Ultralytics with seeded weights, at their smallest: what `yolo export` writes, as ONNX and as IR.

Ultralytics is AGPL: it is a test tool here, and nothing of it is in the package.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networks  # noqa: F401  it makes torchvision import where its binary part has no build
import torch

Export = tuple[str, str, Path, str | None]
SIDE = 64
NAMES = ("yolov8n-cls", "yolo11n-cls", "yolo12n-cls", "yolo26n-cls", "yolo11n-cls-resnet18", "yolov8n-cls-resnet50")
EXPORTS: dict[tuple[str, str], dict[str, Any]] = {
    ("onnx", "static"): {"format": "onnx", "simplify": False},
    ("onnx", "dynamic"): {"format": "onnx", "simplify": False, "dynamic": True},
    ("onnx opset 12", "static"): {"format": "onnx", "simplify": False, "opset": 12},
    ("onnx half", "static"): {"format": "onnx", "simplify": False, "half": True},
    ("openvino", "static"): {"format": "openvino"},
    ("openvino", "dynamic"): {"format": "openvino", "dynamic": True},
    ("openvino half", "static"): {"format": "openvino", "half": True},
}
EXPORTERS = tuple(dict.fromkeys(exporter for exporter, _ in EXPORTS))


def exports(name: str, folder: Path, exporters: list[str]) -> Iterator[Export]:
    from ultralytics import YOLO

    torch.manual_seed(0)
    weights = folder / f"{name}.pt"
    YOLO(f"{name}.yaml", task="classify").save(str(weights))
    for (exporter, batch), options in ((key, options) for key, options in EXPORTS.items() if key[0] in exporters):
        onnx = options["format"] == "onnx"
        stem = f"{name}_{exporter.replace(' ', '_')}_{batch}"
        file = folder / f"{stem}{'.onnx' if onnx else '.xml'}"
        try:
            written = Path(YOLO(str(weights), task="classify").export(imgsz=SIDE, device="cpu", **options))
            if onnx:
                written.rename(file)
            else:
                for part in (".xml", ".bin"):
                    next(written.glob(f"*{part}")).rename(file.with_suffix(part))
                shutil.rmtree(written)
        except Exception as error:  # exporters raise anything
            yield exporter, batch, file, f"{type(error).__name__}: {str(error).strip()}"[:200]
        else:
            yield exporter, batch, file, None
    weights.unlink()

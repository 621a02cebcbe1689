"""Networks of paddle.vision with seeded weights: Paddle's inference format, and ONNX by paddle2onnx."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["FLAGS_enable_pir_api"] = "0"  # noqa: SIM112 its name; OpenVINO reads what Paddle wrote before its newer format

import paddle
from paddle.vision import models

Export = tuple[str, str, Path, str | None]
CLASSES = 7
NETWORKS: dict[str, Callable[[], Any]] = {
    "resnet18": lambda: models.resnet18(num_classes=CLASSES),
    "resnext50": lambda: models.resnext50_32x4d(num_classes=CLASSES),
    "densenet121": lambda: models.densenet121(num_classes=CLASSES),
    "mobilenet_v1": lambda: models.mobilenet_v1(scale=0.25, num_classes=CLASSES),
    "mobilenet_v2": lambda: models.mobilenet_v2(scale=0.25, num_classes=CLASSES),
    "mobilenet_v3_small": lambda: models.mobilenet_v3_small(scale=0.5, num_classes=CLASSES),
    "shufflenet_v2": lambda: models.shufflenet_v2_x0_25(num_classes=CLASSES),
    "squeezenet1_1": lambda: models.squeezenet1_1(num_classes=CLASSES),
}
NAMES = tuple(NETWORKS)
EXPORTERS = ("paddle", "paddle2onnx")
SIDE = 64


def exports(name: str, folder: Path, exporters: list[str]) -> Iterator[Export]:
    paddle.seed(0)
    network = NETWORKS[name]()
    network.eval()
    for batch, size in (("static", 1), ("dynamic", -1)):
        stem = folder / f"{name}_paddle_{batch}"
        why = None
        try:
            specification = paddle.static.InputSpec([size, 3, SIDE, SIDE], "float32", "image")
            paddle.jit.save(network, str(stem), input_spec=[specification])
        except Exception as error:  # exporters raise anything
            why = f"{type(error).__name__}: {str(error).strip()}"[:200]
        if "paddle" in exporters:
            yield "paddle", batch, stem.with_suffix(".pdmodel"), why
        if "paddle2onnx" not in exporters:
            continue
        onnx = folder / f"{name}_paddle2onnx_{batch}.onnx"
        if why is None:
            try:
                to_onnx(stem, onnx)
            except Exception as error:  # exporters raise anything
                why = f"{type(error).__name__}: {str(error).strip()}"[:200]
        yield "paddle2onnx", batch, onnx, why


def to_onnx(stem: Path, onnx: Path) -> None:
    import paddle2onnx

    paddle2onnx.export(f"{stem}.pdmodel", f"{stem}.pdiparams", str(onnx), opset_version=16)
    if not onnx.exists():
        raise OSError("paddle2onnx wrote nothing")

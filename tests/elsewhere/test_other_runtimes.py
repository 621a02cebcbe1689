"""Hooked samples in runtimes that this project does not call: what runs there today, and what does not, is held.

More of them, and more networks, are in docs/measured/runs_on.md, which scripts/runs_on.py measures.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

import openvino_xai as xai
from openvino_xai.render.photo import read_photo

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FACES, CATS = ROOT / "samples/models/ultraface_rfb320.onnx", ROOT / "samples/models/efficientnet_lite0_int8.onnx"
WEB = os.environ.get("OVXAI_ONNXRUNTIME_WEB")  # a folder of npm's package, in node_modules
HOOKS: dict[str, dict[str, Any]] = {
    "boxes": {"targets": "boxes:4"},
    "map of each class": {"method": "class_map"},
    "map of each class, portable": {"method": "class_map", "portable": True},
}


def hooked(model: Path, photo: str, folder: Path, **options: Any) -> tuple[Path, str, np.ndarray]:
    """A hooked file, the name of its image, and a photo as it expects one."""
    path = folder / "hooked.onnx"
    xai.insert(model, **options).save(path)
    network = xai.load(path)
    image = np.asarray(network.prepare(read_photo(ROOT / "samples" / photo)), np.float32)
    return path, network.record["image"], image


def names_of(path: Path) -> list[str]:
    return [output.name for output in onnx.load(path).graph.output]


def in_onnxruntime(path: Path, name: str, image: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(zip(names_of(path), session.run(names_of(path), {name: image}), strict=True))  # type: ignore[arg-type]


def in_opencv(path: Path, name: str, image: np.ndarray) -> dict[str, np.ndarray]:
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(image, name)
    return dict(zip(names_of(path), net.forward(names_of(path)), strict=True))


@pytest.mark.parametrize("hook", HOOKS)
def test_opencv_runs_a_hooked_detector(hook: str, tmp_path: Path) -> None:
    path, name, image = hooked(FACES, "faces/astronaut.png", tmp_path, **HOOKS[hook])
    there, plain, true = in_opencv(path, name, image), in_opencv(FACES, name, image), in_onnxruntime(path, name, image)
    for output, array in plain.items():
        np.testing.assert_array_equal(there[output], array)
    np.testing.assert_allclose(there["saliency_map"].reshape(true["saliency_map"].shape), true["saliency_map"], atol=1e-4)
    for output in {"saliency_index", "saliency_class"} & true.keys():
        np.testing.assert_array_equal(there[output].reshape(true[output].shape), true[output])


def test_opencv_does_not_read_the_int8_sample(tmp_path: Path) -> None:
    """OpenCV 5.0 stops at its quantisation. A hook changes that for the worse: what it reads then has other scores."""
    with pytest.raises(cv2.error):
        cv2.dnn.readNetFromONNX(str(CATS))
    path, name, image = hooked(CATS, "images/cat.png", tmp_path, targets="top:1")
    there, true = in_opencv(path, name, image)["logits"], in_onnxruntime(path, name, image)["logits"]
    assert np.abs(there - true).max() > 0.5


@pytest.mark.skipif(
    WEB is None or shutil.which("node") is None,
    reason="OVXAI_ONNXRUNTIME_WEB names no folder of npm's onnxruntime-web, or node is not there",
)
@pytest.mark.parametrize(
    ("model", "photo", "options", "most"),
    [
        (CATS, "images/cat.png", {"targets": "top:1", "scale": "u8"}, 0.0),
        (CATS, "images/cat.png", {"targets": "top:1", "portable": True}, 1e-4),
        (FACES, "faces/astronaut.png", {"targets": "boxes:4"}, 1e-4),
    ],
)
def test_onnxruntime_web_runs_a_hooked_file(
    model: Path, photo: str, options: dict[str, Any], most: float, tmp_path: Path
) -> None:
    path, name, image = hooked(model, photo, tmp_path, **options)
    (tmp_path / "node_modules").symlink_to(Path(str(WEB)).resolve().parent)
    shutil.copy(ROOT / "scripts/web/outputs.mjs", tmp_path)
    image.tofile(tmp_path / "image.bin")
    fed = {name: {"type": "float32", "shape": image.shape, "file": str(tmp_path / "image.bin")}}
    for folder in ("plain", "hooked"):
        (tmp_path / folder).mkdir()
    jobs = [
        {"model": str(file), "inputs": fed, "folder": str(tmp_path / folder)}
        for file, folder in ((model, "plain"), (path, "hooked"))
    ]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    command = ["node", "outputs.mjs", "onnxruntime-web", "jobs.json"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [report.get("failed") for report in reports] == [None, None]
    for number, (output, array) in enumerate(in_onnxruntime(path, name, image).items()):
        assert list(reports[1]["outputs"])[number] == output
        raw = (tmp_path / f"hooked/{number}.bin").read_bytes()
        if not output.startswith("saliency_"):
            assert raw == (tmp_path / f"plain/{number}.bin").read_bytes()
        there = np.frombuffer(raw, array.dtype).reshape(array.shape)
        np.testing.assert_allclose(there.astype(float), array.astype(float), atol=most, rtol=most)

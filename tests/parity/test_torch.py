"""Maps of an exported classifier beside what pytorch-grad-cam and Captum make of it in PyTorch: docs/from_pytorch_grad_cam.md.

`python scripts/parity.py --work FOLDER` makes what they are held to, and runs these tests. How far apart they are is printed.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

import openvino_xai as xai

FOLDER = Path(os.environ.get("OVXAI_PARITY", "nowhere"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (FOLDER / "resnet18.npz").is_file(),
        reason="python scripts/parity.py makes what these are held to: an optional check",
    ),
]
SAME = 1e-5
HOOKS = {  # what is said in the page is other in Grad-CAM++
    "grad_cam": SAME,
    "xgrad_cam": SAME,
    "layer_cam": SAME,
    "hires_cam": SAME,
    "ablation_cam": SAME,
    "grad_cam_plus_plus": 0.1,
}
PROBES = ("saliency", "input_x_gradient", "integrated_gradients")


@cache
def theirs() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "resnet18.npz") as arrays:
        return dict(arrays)


def unit(saliency: np.ndarray) -> np.ndarray:
    return (saliency - saliency.min()) / (saliency.max() - saliency.min() + 1e-7)


def hooked_map(method: str) -> np.ndarray:
    """[7, 7]: our raw map."""
    hooked = xai.insert(FOLDER / "resnet18.onnx", method=method, targets=[int(theirs()["class"])], scale="none")
    return xai.load(hooked)(theirs()["image"])["saliency_map"][0, 0]


@pytest.mark.parametrize("method", HOOKS)
def test_hooks_are_pytorch_grad_cams(method: str) -> None:
    ours = unit(cv2.resize(unit(np.maximum(hooked_map(method), 0)), (224, 224)))
    difference = np.abs(ours - theirs()[method][0]).max()
    print(f"{method}: {difference:.1e}")
    assert difference < HOOKS[method]


def test_grad_cam_is_captums() -> None:
    true = theirs()["captum_grad_cam"][0, 0]
    difference = np.abs(hooked_map("grad_cam") - true).max()
    print(f"captum, grad_cam: {difference:.1e} of {true.max():.2f}")
    assert difference < 1e-5 * max(true.max(), 1)


@pytest.mark.parametrize("method", PROBES)
def test_gradients_are_captums(method: str) -> None:
    image, attributions = theirs()["image"], theirs()[f"captum_{method}"][0]
    network = xai.probe(FOLDER / "resnet18.onnx", method)
    photo = np.zeros((224, 224, 3), np.uint8)
    ours = network.explanation(photo, image, network.outputs(image), targets=[int(theirs()["class"])]).maps[0]
    true = attributions.max(axis=0) if method == "saliency" else np.abs(attributions.sum(axis=0))
    difference = np.abs(ours - true).max()
    print(f"captum, {method}: {difference:.1e} of {true.max():.4f}, r {np.corrcoef(ours.ravel(), true.ravel())[0, 1]:.7f}")
    assert difference < 1e-2 * true.max()  # a unit that is nearly 0 is on in one runtime and off in the other
    assert np.corrcoef(ours.ravel(), true.ravel())[0, 1] > 0.99999

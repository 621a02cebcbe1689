"""Maps of detectors beside what Ultralytics, ODAM, masked runs in torch and the predecessor make of the same weights.

`python scripts/parity.py --work FOLDER` makes what they are held to, in environments of its own, and runs these tests. How far
apart they are is printed.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

import openvino_xai as xai
from openvino_xai.dialects.open import open_model

FOLDER = Path(os.environ.get("OVXAI_PARITY", "nowhere"))
DETECTORS = ("v8n", "11n", "26n", "26n_end2end")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="python scripts/parity.py makes what these are held to: an optional check"),
]
STRIDES = (8, 16, 32)


@cache
def theirs(name: str) -> dict[str, np.ndarray]:
    """What peers made of a detector."""
    path = FOLDER / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there: python scripts/parity.py --again {name}")
    with np.load(path) as arrays:
        return dict(arrays)


@cache
def rows_of(name: str) -> np.ndarray:
    """[N]: the rows that Ultralytics explains, by their place in the file's own output."""
    arrays = theirs(name)
    if name != "26n_end2end":
        return arrays["rows"]
    (boxes,) = open_model(FOLDER / f"{name}.onnx").compile()({"images": arrays["image"]}).values()
    scores = 1 / (1 + np.exp(-arrays["logits"]))
    same = (np.abs(boxes[0, :, 4] - scores[:, None]) < 1e-5) & (boxes[0, :, 5] == arrays["labels"][:, None])
    assert (same.sum(axis=1) == 1).all()
    return same.argmax(axis=1)


def explained(name: str, some: np.ndarray | None = None, **options: object) -> np.ndarray:
    """[N, H, W]: our raw maps of these rows."""
    arrays = theirs(name)
    which = slice(None) if some is None else some
    rows, labels = rows_of(name)[None, which], arrays["labels"][None, which]
    hooked = xai.insert(str(FOLDER / f"{name}.onnx"), targets=f"asked:{rows.size}", scale="none", verify=False, **options)  # type: ignore[arg-type]
    return xai.load(hooked)(arrays["image"], rows=rows, classes=labels)["saliency_map"][0]


def between_centres(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[N, *size] of maps [N, h, w], bilinear between the centres of cells."""
    return np.stack([cv2.resize(each, size[::-1], interpolation=cv2.INTER_LINEAR) for each in maps])


def on_own_cells(maps: np.ndarray, cells: int) -> np.ndarray:
    """[N, cells, cells]: the map of a coarser level, of which the finest one's cells are given: it was enlarged bilinearly."""
    enlarging = between_centres(np.eye(cells, dtype=np.float32)[:, :, None], (maps.shape[1], 1))[:, :, 0].T
    back = np.linalg.pinv(enlarging)
    return np.asarray(back @ maps @ back.T, np.float32)


def image_map(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[H, W], u8: the largest of maps, each over its largest pixel."""
    large = between_centres(maps, size)
    return (255 * (large / large.max(axis=(1, 2), keepdims=True)).max(axis=0)).astype(np.uint8)


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b.astype(int))


@pytest.mark.parametrize("name", DETECTORS)
def test_layer_cam_at_the_heads_is_ultralytics_map(name: str) -> None:
    """Three things are told apart, none of which is bent.

    Ultralytics' gradient by a level is also by what coarser levels are made of; here its levels are leaves. It enlarges a level
    to pixels and scales it there; ours lies on the finest level's cells, from which a level's own are computed.
    """
    arrays, ours = theirs(name), explained(name, method="layer_cam", cut="heads")
    true, size = arrays["ultralytics_apart"], arrays["image"].shape[2:]
    large = [
        between_centres(on_own_cells(saliency[None], size[0] // STRIDES[level]), size)[0]
        for saliency, level in zip(ours, arrays["levels"], strict=True)
    ]
    scaled = np.stack([each / each.max() for each in large]).max(axis=0)
    difference = apart((255 * scaled).astype(np.uint8), true)
    figures = [
        difference.max(),
        *(apart(image_map(ours, size), arrays[key]).mean() for key in ("ultralytics_apart", "ultralytics")),
    ]
    print(
        f"{name}: {figures[0]} of 255 at most; in the mean {figures[1]:.1f} as ours is drawn, {figures[2]:.1f} where levels mix"
    )
    assert true.max() >= 254
    assert difference.max() <= 1


@pytest.mark.parametrize("cut", ["heads", "backbone"])
@pytest.mark.parametrize("name", ["v8n", "11n", "26n"])
def test_hires_cam_is_odam(name: str, cut: str) -> None:
    """ODAM differentiates the probability, p (1 - p) times the gradient of the log-odds."""
    arrays, ours = theirs(name), explained(name, method="hires_cam", cut=cut)
    correlations = []
    for n, (saliency, level) in enumerate(zip(ours, arrays["levels"], strict=True)):
        true = arrays["odam_backbone"][n] if cut == "backbone" else arrays[f"odam_heads_{level}"][n]
        times = len(saliency) // len(true)
        correlations.append(np.corrcoef(np.kron(true, np.ones((times, times))).ravel(), saliency.ravel())[0, 1])
    print(f"{name}, {cut}: r {min(correlations):.9f}")
    assert min(correlations) > 0.9999


@pytest.mark.parametrize("name", ["v8n", "11n", "26n"])
def test_class_probability_is_the_predecessors(name: str) -> None:
    arrays, path = theirs(name), FOLDER / f"{name}_predecessor.npz"
    hooked = xai.insert(str(FOLDER / f"{name}.onnx"), method="class_probability", scale="none", verify=False)
    with np.load(path) as predecessor:
        difference = np.abs(xai.load(hooked)(arrays["image"])["saliency_map"] - predecessor["class_probability"]).max()
        print(f"{name}: {difference:.1e} of {predecessor['class_probability'].max():.2f}")
    assert difference < 1e-5


@pytest.mark.parametrize("mask", ["keep", "drop"])
@pytest.mark.parametrize("kernel", ["cell", "gaussian"])
def test_masks_of_image_cells_are_masked_runs(kernel: str, mask: str) -> None:
    arrays = theirs("v8n")
    ours = explained("v8n", arrays["few"], method="reciprocam", cut="backbone", mask=mask, kernel=kernel)
    held_to(ours, arrays[f"backbone_{mask}_{kernel}"], arrays["logits"][arrays["few"]], mask)


@pytest.mark.parametrize("mask", ["keep", "drop"])
def test_masks_of_a_heads_cells_are_masked_runs(mask: str) -> None:
    arrays = theirs("v8n")
    ours = explained("v8n", arrays["few"], method="reciprocam", cut="heads", mask=mask)
    true = []
    for n, row in enumerate(arrays["few"]):
        of_level = arrays[f"heads_{mask}_{arrays['levels'][row]}"][n]
        times = ours.shape[1] // len(of_level)
        true.append(np.kron(of_level, np.ones((times, times))))
    held_to(ours, np.stack(true), arrays["logits"][arrays["few"]], mask)


def held_to(ours: np.ndarray, logits: np.ndarray, plain: np.ndarray, mask: str) -> None:
    true = logits if mask == "keep" else plain[:, None, None] - logits
    difference, spread = np.abs(ours - true).max(), np.ptp(true, axis=(1, 2))
    print(f"{mask}: {difference:.1e} of {spread.min():.1f} to {spread.max():.1f}")
    assert spread.min() > 0.1
    assert difference < 1e-4

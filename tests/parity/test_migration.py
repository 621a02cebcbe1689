"""The pairs of calls in docs/migration.md: openvino_xai 1.1.0 in its environment, and ours, give the maps that the page says.

`python scripts/parity.py --work FOLDER` makes what they are held to, and runs these tests.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

import openvino_xai as xai

ROOT = Path(__file__).parents[2]
MAPS = Path(os.environ.get("OVXAI_PARITY", "nowhere"))
FOLDER = MAPS / "migration"
CLASSIFIERS = sorted(path.stem for path in MAPS.glob("classifier_*.npz")) or ["classifiers"]
PAGE = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- ovxai: ([\w ]+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="python scripts/parity.py makes what these are held to: an optional check"),
]
# the largest difference, and the least correlation: bytes are cut off there and rounded here, the Explainer of 1.1.0 runs in
# bf16 where the CPU has it, and the masks of RISE are random
BOUNDS = {
    "explain": (0.05, 0.999),
    "insert": (1, 0.9999),
    "layer": (1e-6, 0.999999),
    "activation map": (1e-6, 0.999999),
    "detector": (1e-6, 0.999999),
    "rise": (255, 0.9),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_maps_are_those_of_the_predecessor(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[name], name, "exec"), names)
    ours, theirs = (maps.astype(np.float64) for maps in (names["maps"], np.load(FOLDER / f"{name}.npy")))
    difference, correlation = np.abs(ours.ravel() - theirs.ravel()).max(), np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
    print(f"{name}: {ours.shape} and {theirs.shape}, {difference:.1e} of {theirs.max():.2f}, r {correlation:.7f}")
    assert f"| {name} | `{list(np.load(FOLDER / f'{name}.npy').shape)}`" in PAGE
    assert f"`{list(names['maps'].shape)}`" in PAGE
    most, least = BOUNDS[name]
    assert difference <= most
    assert correlation >= least


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_layer_is_chosen_as_well(name: str) -> None:
    """`insert_xai` with nothing but the task: bytes, which are cut off there and rounded here."""
    with np.load(MAPS / f"{name}.npz") as arrays:
        images, theirs = arrays["images"], arrays["map_1"]
    model = xai.insert_xai(ov.Core().read_model(MAPS / f"{name}.onnx"), xai.Task.CLASSIFICATION)
    compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ours = compiled(images)["saliency_map"]  # all images at once, of which they explain one
    difference = np.abs(ours[:1].astype(int) - theirs).max()
    print(f"{name}: {ours.shape} and {theirs.shape}, {difference} of 255 at most")
    assert difference <= 1

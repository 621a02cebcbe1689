"""The pairs of calls in docs/migration.md: openvino_xai 1.1.0 in its environment, and ours, give the maps that the page says.

`python scripts/parity.py --work FOLDER` makes what they are held to, and runs these tests.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("OVXAI_PARITY", "nowhere")) / "migration"
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

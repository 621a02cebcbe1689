"""Maps of quantised models, held to their definition by the steps of what is rounded last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openvino_xai as xai
from openvino_xai.contract import MAP
from openvino_xai.errors import VerificationError
from openvino_xai.verify import hook as verify
from openvino_xai.verify.levels import Levels
from openvino_xai.verify.masks import Definition, Reference

pytestmark = pytest.mark.slow

INT8 = Path(__file__).parents[2] / "samples" / "models" / "efficientnet_lite0_int8.onnx"
Change = Callable[[np.ndarray], np.ndarray]


def changed(monkeypatch: pytest.MonkeyPatch, change: Change, *, spared: int) -> None:
    """Let maps be others than the hook makes, but for so many classes that matter most, and the one that does least."""
    hold = verify._hold_maps

    def hold_others(original: Reference, inputs: Any, plain: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> Any:
        maps, order = change(new[MAP]).copy(), np.argsort(-plain[original.location.scores.name], axis=1)
        for image, classes in enumerate(order):
            same = [*classes[:spared], *classes[-1:]] if spared else []
            maps[image, same] = new[MAP][image, same]
        return hold(original, inputs, plain, {**new, MAP: maps})

    monkeypatch.setattr(verify, "_hold_maps", hold_others)


def beside(maps: np.ndarray) -> np.ndarray:
    return np.roll(maps, 1, axis=3)


def mirrored(maps: np.ndarray) -> np.ndarray:
    return maps[..., ::-1]


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("change", [beside, mirrored])
@pytest.mark.parametrize("spared", [0, 3])
def test_a_map_of_other_cells_is_seen(change: Change, spared: int, runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, change, spared=spared)
    with pytest.raises(VerificationError, match="steps of the last quantisers"):
        xai.insert(INT8, runtime=runtime)


@pytest.mark.parametrize(("share", "is_refused"), [(0.002, False), (1.0, True)])
def test_elements_between_two_levels_may_be_rounded_either_way(
    share: float, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few of them: classes that are improbable move by more than twentieths of their scores."""
    rng = np.random.default_rng(0)

    class Moved(Definition):
        def __init__(self, original: Reference, inputs: dict[str, np.ndarray], *visible: Any) -> None:
            super().__init__(original, inputs, *visible)
            self._levels = Levels(original, inputs)

        def scores(self, masks: list[int], columns: int, rows: int) -> np.ndarray:
            return self._levels.moved(self.masked(masks, columns, rows), rng, share)

    monkeypatch.setattr(verify, "Definition", Moved)
    if is_refused:
        with pytest.raises(VerificationError, match="steps of the last quantisers"):
            xai.insert(INT8)
    else:
        assert xai.insert(INT8).verified is not None

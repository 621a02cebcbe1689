"""Channels that are switched off in tokens: hook and probe ask the same, and the class token keeps what it has."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import DIALECTS, in_dialect
from tiny_transformers import CELLS, Transformer

import openvino_xai as xai
from openvino_xai.locate.positions import Place

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("prefix", [0, 1, 2])
def test_the_hook_and_the_probe_agree(prefix: int, dialect: str) -> None:
    model = Transformer(prefix=prefix, head="class" if prefix else "mean").build(1)
    layer = next(item.name for item in xai.layers(model) if item.reason is None)
    hooked = xai.load(xai.insert(in_dialect(model, dialect), layer=layer, method="ablation_cam", scale="none", targets="all"))
    probed = xai.probe(in_dialect(model, dialect), "ablation_cam", layer=layer)
    photo = np.random.default_rng(5).integers(0, 256, (6, 8, 3), np.uint8)
    hooked_maps, slow = (network.explain(photo, targets="all") for network in (hooked, probed))
    slow_maps = dict(zip((target.id for target in slow.targets), slow.maps, strict=True))
    compared = 0
    for target, item in zip(hooked_maps.targets, hooked_maps.maps, strict=True):
        other = slow_maps[target.id]
        assert bool(np.ptp(item)) == bool(np.ptp(other))
        if np.ptp(other):
            compared += 1
            np.testing.assert_allclose((item - item.min()) / np.ptp(item), (other - other.min()) / np.ptp(other), atol=1e-3)
    assert compared


def test_tokens_beside_the_cells() -> None:
    beside = Place(0, (1,), (3, 4), 2).beside((5, CELLS + 3, 8))
    assert beside is not None
    assert beside.shape == (1, CELLS + 3, 1)
    assert np.flatnonzero(beside).tolist() == [0, 1, CELLS + 2]
    assert Place(0, (1,), (3, 4)).beside((5, CELLS, 8)) is None
    assert Place(0, (2, 3), (3, 4)).beside((5, 8, 3, 4)) is None

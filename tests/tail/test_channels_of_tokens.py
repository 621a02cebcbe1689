"""Ablation-CAM on tokens: hook and probe give the same maps. Channels are switched off in patches, not in the class token."""

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
    by_hook, by_probe = (network.explain(photo, targets="all") for network in (hooked, probed))
    probe_maps = dict(zip((target.id for target in by_probe.targets), by_probe.maps, strict=True))
    compared = 0
    for target, hook_map in zip(by_hook.targets, by_hook.maps, strict=True):
        probe_map = probe_maps[target.id]
        assert bool(np.ptp(hook_map)) == bool(np.ptp(probe_map))
        if np.ptp(probe_map):
            compared += 1
            np.testing.assert_allclose(
                (hook_map - hook_map.min()) / np.ptp(hook_map), (probe_map - probe_map.min()) / np.ptp(probe_map), atol=1e-3
            )
    assert compared


def test_tokens_beside_the_cells() -> None:
    beside = Place(0, (1,), (3, 4), 2).beside((5, CELLS + 3, 8))
    assert beside is not None
    assert beside.shape == (1, CELLS + 3, 1)
    assert np.flatnonzero(beside).tolist() == [0, 1, CELLS + 2]
    assert Place(0, (1,), (3, 4)).beside((5, CELLS, 8)) is None
    assert Place(0, (2, 3), (3, 4)).beside((5, 8, 3, 4)) is None

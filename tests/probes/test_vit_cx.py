"""ViT-CX: channels that are alike are one mask, and the map is where the model looks."""

from __future__ import annotations

import numpy as np
import pytest
from slow_vit_cx import slow_groups, slow_vit_cx

from openvino_xai.probes import PROBES, Settings
from openvino_xai.probes.channels import vit_cx
from openvino_xai.probes.channels.vit_cx import cosine_distances, grouped, scaled
from openvino_xai.probes.classifier import enlarged

RNG = np.random.default_rng(12)
IMAGE = RNG.normal(0.5, 1, (1, 3, 12, 16)).astype(np.float32)
SIZE = (12, 16)
SHAPES = np.repeat(RNG.uniform(0, 1, (4, 3, 4)), 3, axis=0)  # four shapes, three channels of each
CHANNELS = (SHAPES + RNG.normal(0, 0.05, SHAPES.shape)).astype(np.float32)


class Watching:
    """A model that sees one part of the image, and has the channels that it is given."""

    def __init__(self, channels: np.ndarray = CHANNELS, batch: int = 6) -> None:
        self.channels, self.batch = channels, batch

    def features(self, images: np.ndarray) -> np.ndarray:
        return self.channels[None]

    def scores(self, images: np.ndarray) -> np.ndarray:
        bright = 1 / (1 + np.exp(-images[:, :, 3:9, 4:12].astype(np.float64).sum(axis=(1, 2, 3)) / 20))
        return np.stack([1 - bright, bright], axis=1)

    def explained(self, seed: int = 0) -> np.ndarray:
        return PROBES["vit_cx"].ask(self, IMAGE, [1, 0], Settings(seed=seed))  # type: ignore[arg-type]


def slowly(seed: int = 0) -> list[np.ndarray]:
    large = [plane.astype(np.float64) for plane in enlarged(CHANNELS, SIZE)]
    return [slow_vit_cx(lambda x, k=k: float(Watching().scores(x[None])[0, k]), IMAGE[0], large, seed) for k in (1, 0)]


@pytest.mark.parametrize("batch", [1, 6, 100])
def test_it_is_what_the_authors_say(batch: int) -> None:
    for saliency, true in zip(Watching(batch=batch).explained(seed=5), slowly(seed=5), strict=True):
        np.testing.assert_allclose(saliency, true, rtol=0, atol=1e-5 * np.abs(true).max())


@pytest.mark.parametrize(("name", "value"), [("APART", 0.0), ("NOISE", 0.2)])
def test_other_numbers_are_seen(name: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vit_cx, name, value)
    assert np.abs(Watching().explained()[0] - slowly()[0]).max() > 1e-3 * np.abs(slowly()[0]).max()


def test_groups_are_those_of_complete_linkage() -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    distance = pytest.importorskip("scipy.spatial.distance")
    masks = scaled(CHANNELS.astype(np.float64), SIZE)
    large = enlarged(masks, SIZE).reshape(len(masks), -1).astype(np.float64)
    apart = cosine_distances(masks, SIZE)
    np.testing.assert_allclose(apart, distance.squareform(distance.pdist(large, "cosine")), atol=1e-6)
    theirs = hierarchy.fcluster(hierarchy.linkage(distance.pdist(large, "cosine"), "complete"), 0.1, "distance")
    ours = grouped(apart)
    assert len(set(ours)) == len(set(theirs)) == len(slow_groups(list(large))) < len(masks)
    assert len(set(zip(ours.tolist(), theirs.tolist(), strict=True))) == len(set(theirs))


def test_the_map_is_where_the_model_looks() -> None:
    channels = np.zeros((12, 3, 4), np.float32)
    channels[np.arange(12), np.arange(12) // 4, np.arange(12) % 4] = 1  # a channel for each cell
    bright = PROBES["vit_cx"].ask(Watching(channels), np.abs(IMAGE), [1], Settings())[0]  # type: ignore[arg-type]
    inside = np.zeros(SIZE, bool)
    inside[3:9, 4:12] = True
    assert bright[inside].mean() > bright[~inside].mean() + 0.1 * np.ptp(bright)


def test_channels_that_do_not_vary_take_no_part() -> None:
    constant = np.concatenate([np.full((2, 3, 4), 3, np.float32), CHANNELS])
    np.testing.assert_array_equal(Watching(constant).explained(), Watching().explained())
    assert not Watching(constant[:2]).explained().any()


def test_a_seed_is_a_seed() -> None:
    np.testing.assert_array_equal(Watching().explained(1), Watching().explained(1))
    assert np.abs(Watching().explained(1) - Watching().explained(2)).max() > 0

"""Metrics that ask what the prediction needs, each beside a slow spelling of its paper, or on a network known by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from evaluate.test_metrics import LEFT, SIDE, Halves, case

from openvino_xai.evaluate.classes import erasure, infidelity, road
from openvino_xai.evaluate.classes.baselines import BASELINES, baseline_case
from openvino_xai.evaluate.classes.case import Choices
from openvino_xai.evaluate.classes.information import SHARES, aic, sic
from openvino_xai.evaluate.classes.masking import adcc, average_drop, average_increase, complexity
from openvino_xai.evaluate.classes.metrics import METRICS, measured, metric_names
from openvino_xai.evaluate.classes.sparsity import sparsity
from openvino_xai.evaluate.examples import Example

# Byun and Lee, "Recipro-CAM", 2022, table 1, in percent: drop, coherency, complexity, ADCC
TABLE = """
66.42 69.20 15.65 53.52   32.88 89.34 26.33 75.65   36.72 82.68 28.09 71.72   26.13 93.83 20.27 81.66   21.51 92.24 27.48 80.27
42.90 81.03 23.04 69.98   17.85 98.18 44.63 74.24   20.67 97.53 43.11 74.20   12.81 98.35 41.78 77.30   20.68 97.38 33.60 79.08
32.99 82.80 22.24 75.27   12.82 97.84 43.99 75.86   15.21 97.47 42.25 76.19    8.61 98.12 42.05 78.14   15.69 96.68 32.90 80.84
29.38 81.97 22.51 76.40   11.38 98.28 43.94 76.34   13.37 97.76 42.61 76.54    7.20 98.37 42.04 78.55   15.07 97.21 32.45 81.38
28.06 82.72 25.57 76.09   11.12 97.30 48.66 73.16   12.70 97.32 47.48 73.58    7.20 98.00 46.86 75.38   13.70 96.37 37.36 79.10
24.12 82.94 25.45 77.62    9.74 95.05 46.27 74.61    9.49 96.81 49.24 73.03    5.37 97.03 46.83 75.60   12.03 97.50 35.62 80.74
"""


@dataclass
class Pixels(Halves):
    """Class 0 is as probable as the weighed sum of the pixels says."""

    weights: np.ndarray

    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        score = (images.mean(axis=1) * self.weights).sum(axis=(1, 2)) / self.weights.sum()
        return np.stack([score, 1 - score], axis=1).astype(np.float64)


def of_pixels(saliency: np.ndarray, weights: np.ndarray, **changes: Any) -> Any:
    return case(saliency, network=Pixels(saliency, weights), **changes)


def test_adcc_of_the_papers_table() -> None:
    """Its 30 rows, of which each number is rounded to two digits."""
    rows = np.array(TABLE.split(), float).reshape(-1, 4)
    assert len(rows) == 30
    for drop, coherency, complexity_, published in rows / 100:
        means = {"average_drop": drop, "coherency": coherency, "complexity": complexity_}
        assert adcc(means) == pytest.approx(published, abs=5e-4)
        assert adcc(means | {"complexity": 1 - complexity_}) != pytest.approx(published, abs=5e-4)  # it would be seen


@pytest.mark.parametrize("seed", range(3))
def test_sparsity_is_the_gini_index(seed: int) -> None:
    """Half of the mean difference between two pixels, over their mean."""
    sample = case(np.random.default_rng(seed).random((SIDE, SIDE), np.float32))
    flat = sample.mask.reshape(-1).astype(float)
    slow = np.abs(flat[:, None] - flat[None]).mean() / (2 * flat.mean())
    assert sparsity(sample) == pytest.approx(slow, abs=1e-9)
    assert abs(sparsity(case(LEFT)) - slow) > 0.01


def test_sparsity_at_its_ends() -> None:
    point = np.zeros((SIDE, SIDE), np.float32)
    point[3, 5] = 1
    assert sparsity(case(point)) == pytest.approx(1 - 1 / SIDE**2)
    assert sparsity(case(LEFT)) == pytest.approx(0.5)
    assert sparsity(case(np.ones((4, 4), np.float32))) == 0


def test_erasure_by_hand() -> None:
    """The left half is all that counts: without a half of the pixels nothing is left, with them all is."""
    bright = case(LEFT, bright=1.0)
    covered = [min(1, 2 * max(1, round(share * SIDE**2)) / SIDE**2) for share in erasure.SHARES]
    assert erasure.comprehensiveness(bright) == pytest.approx(np.mean(covered), abs=1e-6)
    assert erasure.sufficiency(bright) == pytest.approx(1 - np.mean(covered), abs=1e-6)
    wrong = case(1 - LEFT, bright=1.0)
    assert erasure.comprehensiveness(wrong) == pytest.approx(0, abs=1e-6)
    assert erasure.sufficiency(wrong) == pytest.approx(1, abs=1e-6)


def test_erasure_covers_with_what_is_chosen() -> None:
    black = case(LEFT, bright=1.0, choices=Choices(covered="black"))  # -1 of black, of 1
    assert erasure.comprehensiveness(black) == pytest.approx(2 * erasure.comprehensiveness(case(LEFT, bright=1.0)), abs=1e-6)


def test_a_map_of_the_weights_is_faithful() -> None:
    weights = np.random.default_rng(0).random((SIDE, SIDE)).astype(np.float32)
    weights -= weights.min()
    assert infidelity.infidelity(of_pixels(weights, weights)) == pytest.approx(0, abs=1e-6)
    assert infidelity.infidelity(of_pixels(weights.max() - weights, weights)) > 0.05
    assert infidelity.infidelity(of_pixels(np.ones_like(weights), weights)) == pytest.approx(1)  # a constant map tells nothing
    still = case(LEFT, bright=0.0)
    assert infidelity.infidelity(still) == 0  # nothing that is covered changes the score


def test_infidelity_is_the_best_fit() -> None:
    """No factor makes the sum of squares smaller."""
    rng = np.random.default_rng(1)
    saliency, weights = rng.random((2, SIDE, SIDE), np.float32)
    sample = of_pixels(saliency, weights)
    squares = infidelity._squares(sample)
    assert squares.any(axis=(1, 2)).all() and not squares.all(axis=(1, 2)).any()
    drops = np.array([0.8 * (weights * square).sum() / weights.sum() for square in squares])
    sums = (squares * sample.mask).sum(axis=(1, 2))
    errors = [((factor * sums - drops) ** 2).sum() / (drops**2).sum() for factor in np.linspace(0, 0.1, 4001)]
    assert infidelity.infidelity(sample) == pytest.approx(min(errors), abs=1e-4)


def test_removed_pixels_come_from_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each satisfies the equation of the paper, at corners and sides of the image, too."""
    monkeypatch.setattr(road, "NOISE", 0.0)
    rng = np.random.default_rng(0)
    image = rng.random((2, 6, 7), np.float32)
    removed = np.array([41, 0, 1, 8, 9, 10, 20, 6])
    result = road.imputed(image, removed, rng)
    left = np.setdiff1d(np.arange(42), removed)
    assert np.array_equal(result.reshape(2, -1)[:, left], image.reshape(2, -1)[:, left])
    for place in removed:
        y, x = divmod(int(place), 7)
        around = [(y + a, x + b, 1 / 6 if a * b == 0 else 1 / 12) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
        inside = [(i, j, weight) for i, j, weight in around if 0 <= i < 6 and 0 <= j < 7]
        mean = sum(weight * result[:, i, j] for i, j, weight in inside) / sum(weight for *_, weight in inside)
        assert result[:, y, x] == pytest.approx(mean, abs=1e-6)
    assert np.isfinite(road.imputed(image, np.arange(42), rng)).all()
    assert np.array_equal(road.imputed(image, np.arange(0), rng), image)


def test_road_by_hand() -> None:
    """Removed, a bright half becomes as dark as what is left of the image."""
    image = np.zeros((1, 3, SIDE, SIDE), np.float32)
    image[..., : SIDE // 2] = 1
    good, bad = (case(saliency, image=image, scores=np.array([1.0, 0.0])) for saliency in (LEFT, 1 - LEFT))
    assert road.road(good) > 0.3
    assert road.road(bad) == pytest.approx(-road.road(good), abs=0.05)
    assert road.road(good) == road.road(good)


def test_road_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy", None)
    with pytest.raises(Exception, match=r"road needs SciPy.*pip install 'ovxai\[evaluate\]'"):
        road.road(case())


def detailed(saliency: np.ndarray, **changes: Any) -> Any:
    """A photo whose left half has all of the detail, and all that counts."""
    image = np.full((1, 3, 32, 32), 0.2, np.float32)
    image[..., :16] = np.random.default_rng(0).random((3, 32, 16), np.float32)

    class Sharp(Halves):
        def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
            detail = np.abs(np.diff(images[..., :16], axis=2)).mean(axis=(1, 2, 3)) / 0.33
            return np.stack([detail, np.full(len(images), 0.5)], axis=1)

    network = Sharp(saliency)
    return case(saliency, image=image, network=network, scores=network.predict(image)[0], **changes)


def test_information_curves() -> None:
    good, bad = detailed(LEFT), detailed(1 - LEFT)
    assert sic(bad) == pytest.approx(sic(good), abs=0.15)  # pixels of a plain half tell nothing, and count nothing
    assert 0.1 < sic(good) < 0.9 and 0 < aic(good) < 0.9
    assert aic(detailed(LEFT, target=1)) == 0  # the photo is not of this class
    assert sic(case(LEFT, bright=0.5)) == 0  # blurred, it is as much of the class


def test_information_is_what_a_codec_takes() -> None:
    """The area as a loop draws it."""
    sample = detailed(np.random.default_rng(3).random((4, 4), np.float32))
    order = np.argsort(-sample.mask.reshape(-1), kind="stable")
    soft = np.stack([cv2.GaussianBlur(p, (0, 0), 32 / 12, borderType=cv2.BORDER_REFLECT) for p in sample.image[0]])
    points, best = [(0.0, 0.0)], 0.0
    low, high = float(sample.image.min()), float(sample.image.max())
    sizes, scores = [], []
    for share in SHARES:
        image = soft.copy()
        for place in order[: round(share * order.size)]:
            image[:, place // 32, place % 32] = sample.image[0, :, place // 32, place % 32]
        levels = np.rint((image - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
        sizes.append(len(cv2.imencode(".webp", levels.transpose(1, 2, 0).copy(), [cv2.IMWRITE_WEBP_QUALITY, 101])[1]))
        scores.append(sample.network.predict(image[None])[0, 0])
    for size, score in sorted(zip(sizes, scores, strict=True), key=lambda pair: pair[0]):
        best = max(best, min(1, (score - scores[0]) / (scores[-1] - scores[0])))
        points.append((min(1, max(0, (size - sizes[0]) / (sizes[-1] - sizes[0]))), best))
    area = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in zip(points, [*points[1:], (1, best)], strict=True))
    assert sic(sample) == pytest.approx(area, abs=1e-6)


def test_fake_cam_wins_drop_and_loses_adcc() -> None:
    fake = baseline_case(case(np.eye(SIDE, dtype=np.float32)), "fake_cam")
    assert average_drop(fake) < 0.1 and complexity(fake) > 0.9
    assert average_increase(baseline_case(case(bright=-0.5), "fake_cam")) == 1
    values = measured(fake, ["average_drop", "coherency", "complexity"])
    assert values["coherency"] == pytest.approx(1) and adcc(values) < 0.2


def test_baselines_are_of_the_photo() -> None:
    """A Gaussian is on the image's pixels, noise on the method's cells: another one for another photo, and the same again."""
    saliency = np.ones((3, 5), np.float32)
    sample, other = case(saliency), case(saliency, example=Example(Path("other.png"), 0))
    assert set(BASELINES) == {"gaussian", "random", "fake_cam"}
    bell = baseline_case(sample, "gaussian").saliency
    assert bell.shape == (SIDE, SIDE) and np.allclose(bell, bell[::-1, ::-1])
    assert bell[0, 0] == pytest.approx(np.exp(-(((0.5 / SIDE - 0.5) / 0.25) ** 2)), abs=1e-6)
    noise = baseline_case(sample, "random").saliency
    assert noise.shape == (3, 5)
    assert np.array_equal(noise, baseline_case(sample, "random").saliency)
    assert not np.array_equal(noise, baseline_case(other, "random").saliency)
    first, second = baseline_case(sample, "random").network.maps(np.zeros((2, 3, SIDE, SIDE), np.float32), [0, 0])[1]
    assert not np.array_equal(first, second)


def test_dear_metrics_are_asked_for() -> None:
    boxed = Example(Path("p"), 0, ((0.0, 0.0, 1.0, 1.0),))
    assert {name for name, metric in METRICS.items() if metric.dear} == {"infidelity", "road", "sic", "aic"}
    assert set(METRICS) - set(metric_names([], [boxed])) == {"infidelity", "road", "sic", "aic"}
    assert metric_names(["all"], [boxed]) == list(METRICS)
    assert "energy" not in metric_names(["all"], [Example(Path("bare.png"))])

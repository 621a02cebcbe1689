"""Probes against loops straight from their papers, on tiny models that onnx's reference implementation evaluates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from slow_aise import slow_aise
from slow_opti_cam import slow_opti_cam
from slow_superpixels import slow_lime, slow_shapley, slow_slic
from slow_vit_cx import slow_vit_cx
from tails import doubled
from tiny import CASES, CLASSES, DIALECTS, Oracle, images, in_dialect
from tiny_transformers import HEIGHT as TOKEN_ROWS
from tiny_transformers import WIDTH as TOKEN_COLUMNS
from tiny_transformers import Transformer

import openvino_xai as xai
from openvino_xai.errors import AlreadyHooked, InputError
from openvino_xai.probes import PROBES, Settings
from openvino_xai.probes.occlusion import starts
from openvino_xai.probes.rise import random_mask

pytestmark = pytest.mark.slow

CASE = CASES["3x3 convolution after the layer"]
SETTINGS = Settings(seed=3, masks=40, evaluations=20, groups=3, segments=4, patch=3, stride=2, steps=6, orders=4)


class Slow:
    """The model, asked one image at a time."""

    def __init__(self) -> None:
        self.model = CASE.build(1, 17)
        self._probable = Oracle(self.model, "f")
        self._logits = Oracle(self.model, "f", score="logit")
        self._exact = ReferenceEvaluator(doubled(self.model))

    def features(self, image: np.ndarray) -> np.ndarray:
        return self._probable.features(image[None].astype(np.float32))[0]

    def probability(self, image: np.ndarray, k: int) -> float:
        return float(self._probable.scores(self.features(image)[None], image[None])[k])

    def logit(self, features: np.ndarray, image: np.ndarray, k: int) -> float:
        return float(self._logits.scores(features[None].astype(np.float32), image[None])[k])

    def exact_logit(self, image: np.ndarray, k: int) -> float:
        """In f64, of which differences can be taken."""
        return float(self._exact.run(["logits"], {"image": image[None].astype(np.float64)})[0][0, k])

    def slopes(self, features: np.ndarray, k: int) -> np.ndarray:
        """[C, h, w]: how the logit moves with each element of the layer, by differences."""
        extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(self.model))
        tail = ReferenceEvaluator(doubled(extractor.extract_model(["f"], ["logits"])))
        slopes, step = np.zeros(features.shape), 1e-6
        for at in np.ndindex(features.shape):
            up, down = (features.astype(np.float64)[None] for _ in range(2))
            up[0][at] += step
            down[0][at] -= step
            higher, lower = (tail.run(None, {"f": moved})[0].reshape(-1)[k] for moved in (up, down))
            slopes[at] = (higher - lower) / (2 * step)
        return slopes


def slowly_enlarged(small: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = small.shape
    large = np.zeros((height, width))
    for h in range(height):
        for w in range(width):
            y = min(max((h + 0.5) * rows / height - 0.5, 0), rows - 1)
            x = min(max((w + 0.5) * columns / width - 0.5, 0), columns - 1)
            top, left = int(y), int(x)
            below, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            upper = small[top, left] * (1 - x + left) + small[top, right] * (x - left)
            lower = small[below, left] * (1 - x + left) + small[below, right] * (x - left)
            large[h, w] = upper * (1 - y + top) + lower * (y - top)
    return large


def slowly_unit(saliency: np.ndarray) -> np.ndarray:
    return (
        (saliency - saliency.min()) / (saliency.max() - saliency.min())
        if saliency.max() > saliency.min()
        else np.zeros_like(saliency)
    )


def slowly_blurred(image: np.ndarray, kernel: int, sigma: float) -> np.ndarray:
    reach = kernel // 2
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    wide = np.pad(image.astype(np.float64), ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    soft = np.zeros(image.shape)
    for h in range(image.shape[1]):
        for w in range(image.shape[2]):
            around = wide[:, h : h + kernel, w : w + kernel]
            soft[:, h, w] = np.einsum("chw,h,w->c", around, weights, weights)
    return soft


def score_cam(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    total = 0
    for channel in slow.features(image):
        if channel.max() > channel.min():
            mask = slowly_unit(slowly_enlarged(channel, *image.shape[1:]))
            total = total + slow.probability(image * mask, k) * channel
    return np.maximum(total, 0)


def ablation_cam(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    features, total = slow.features(image), 0
    baseline = slow.logit(features, image, k)
    for channel in range(len(features)):
        without = features.copy()
        without[channel] = 0
        total = total + (baseline - slow.logit(without, image, k)) / abs(baseline) * features[channel]
    return np.maximum(total, 0)


def abs_cam(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    """As printed, in pixels; the probe's map, on cells, is enlarged for it."""
    features, total = slow.features(image), np.zeros(image.shape[1:])
    for channel, slope in zip(features, slow.slopes(features, k), strict=True):
        mask = slowly_unit(slowly_enlarged(np.abs(slope).mean() * channel, *image.shape[1:]))
        total += slow.probability(image * mask, k) * mask
    return np.maximum(total, 0)


def shap_cam(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    features, rng = slow.features(image), np.random.default_rng(SETTINGS.seed)
    first, second = (rng.permutation(len(features)).tolist() for _ in range(2))
    total = np.zeros(features.shape[1:])
    for order in (first, first[::-1], second, second[::-1]):
        there = np.zeros_like(features)
        for channel in order:
            before = slow.logit(there, image, k)
            there[channel] = features[channel]
            total += (slow.logit(there, image, k) - before) / 4 * features[channel]
    return np.maximum(total, 0)


def group_cam(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    features = slow.features(image).astype(np.float64)
    weighed = [slope.mean() * channel for slope, channel in zip(slow.slopes(features, k), features, strict=True)]
    soft = slowly_blurred(image, 51, 50)
    total = np.zeros(image.shape[1:])
    for group in (weighed[:2], weighed[2:4]):  # 3 groups are asked of 4 channels: two in each
        positive = np.maximum(sum(group), 0)
        positive = np.where(positive > np.percentile(positive, 70), positive, 0)
        mask = slowly_unit(slowly_enlarged(positive, *image.shape[1:]))
        total += (slow.probability(image * mask + soft * (1 - mask), k) - slow.probability(soft, k)) * mask
    return np.maximum(total, 0)


def opti_cam(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    def logit(saliency: np.ndarray) -> float:
        return slow.exact_logit(image * slowly_unit(slowly_enlarged(saliency, *image.shape[1:])), k)

    return slow_opti_cam(logit, slow.features(image).astype(np.float64), SETTINGS.steps)


def vit_cx(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    large = [slowly_enlarged(channel.astype(np.float64), *image.shape[1:]) for channel in slow.features(image)]
    return slow_vit_cx(lambda masked: slow.probability(masked, k), image, large, SETTINGS.seed)


def rise(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    rng, total = np.random.default_rng(SETTINGS.seed), np.zeros(image.shape[1:])
    height, width = image.shape[1:]
    for _ in range(SETTINGS.masks):
        grid = np.array([[rng.random() < 0.5 for _ in range(7)] for _ in range(7)], float)
        down, right = rng.integers(0, -(-height // 7)), rng.integers(0, -(-width // 7))
        large = slowly_enlarged(grid, 8 * -(-height // 7), 8 * -(-width // 7))
        mask = large[down : down + height, right : right + width]
        total += slow.probability(image * mask, k) * mask
    return total / (SETTINGS.masks * 0.5)


def aise(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    def value(mask: np.ndarray) -> float:
        lost = slow.probability(image, k) - slow.probability(image * (1 - mask), k)
        return slow.probability(image * mask, k) + lost

    return slow_aise(image, (0.1, 0.175, 0.25), [(0, 1), (0, 1)], 0.1, SETTINGS.evaluations, value)


def occlusion(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    lost: dict[tuple[int, int], list[float]] = {}
    for top in (0, 2, 3):
        for left in (0, 2, 4, 5):
            covered = image.copy()
            covered[:, top : top + 3, left : left + 3] = 0
            loss = slow.probability(image, k) - slow.probability(covered, k)
            for h in range(top, top + 3):
                for w in range(left, left + 3):
                    lost.setdefault((h, w), []).append(loss)
    return np.array([[np.mean(lost[h, w]) for w in range(image.shape[2])] for h in range(image.shape[1])])


def of_superpixels(slow: Slow, image: np.ndarray, k: int) -> tuple[np.ndarray, Callable[[np.ndarray], float]]:
    """The superpixels of an image, and the class's probability where some are kept."""
    labels = slow_slic(image, SETTINGS.segments)
    return labels, lambda mask: slow.probability(image * mask[labels], k)


def lime(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    labels, score = of_superpixels(slow, image, k)
    return slow_lime(score, labels.max() + 1, SETTINGS.masks, SETTINGS.seed)[labels]


def kernel_shap(slow: Slow, image: np.ndarray, k: int) -> np.ndarray:
    labels, score = of_superpixels(slow, image, k)
    return slow_shapley(score, labels.max() + 1)[labels]


ORACLES: dict[str, Callable[[Slow, np.ndarray, int], np.ndarray]] = {
    "score_cam": score_cam,
    "ablation_cam": ablation_cam,
    "abs_cam": abs_cam,
    "shap_cam": shap_cam,
    "group_cam": group_cam,
    "opti_cam": opti_cam,
    "vit_cx": vit_cx,
    "rise": rise,
    "aise": aise,
    "occlusion": occlusion,
    "lime": lime,
    "kernel_shap": kernel_shap,
}


def test_every_probe_has_an_oracle() -> None:
    assert list(ORACLES) == [
        name for name, probe in PROBES.items() if probe.looks_at not in ("gradients", "tokens")
    ]  # those have theirs in a file of their own


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ORACLES)
def test_probes_are_what_the_papers_say(method: str, dialect: str) -> None:
    slow = Slow()
    layer = "f" if "layer" in PROBES[method].looks_at else None
    network = xai.probe(in_dialect(CASE.build("B", 17), dialect), method, layer=layer, settings=SETTINGS)
    batch = images(slow.model, 2, seed=10)
    scores, maps = network.maps(batch, [2, 4])
    for image, k, probabilities, saliency in zip(batch, (2, 4), scores, maps, strict=True):
        true = ORACLES[method](slow, image, k)
        if method == "abs_cam":
            saliency = slowly_enlarged(saliency, *image.shape[1:])
        assert probabilities[k] == pytest.approx(slow.probability(image, k), abs=1e-6)
        assert np.abs(true).max() > 1e-3  # something to be wrong about
        np.testing.assert_allclose(saliency, true, rtol=0, atol=2e-5 * np.abs(true).max() + 1e-6)


@pytest.mark.parametrize("method", ORACLES)
def test_an_oracle_sees_another_model(method: str) -> None:
    """Of a model with other weights the maps differ by more than the tolerance: the comparison above means something."""
    slow, other = Slow(), Slow()
    other._probable = Oracle(CASES["max pool, flatten, linear"].build(1, 17), "f")
    other._logits = Oracle(CASES["max pool, flatten, linear"].build(1, 17), "f", score="logit")
    other._exact = ReferenceEvaluator(doubled(CASES["max pool, flatten, linear"].build(1, 17)))
    image = images(slow.model, 1, seed=10)[0]
    true, wrong = ORACLES[method](slow, image, 4), ORACLES[method](other, image, 4)
    assert np.abs(true - wrong).max() > 1e-3 * np.abs(true).max()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", [name for name in PROBES if name != "tis"])  # of transformers
def test_the_batch_of_the_model_changes_nothing(method: str, dialect: str) -> None:
    open_batch, fixed = (xai.probe(in_dialect(CASE.build(batch, 17), dialect), method, settings=SETTINGS) for batch in ("B", 3))
    batch = images(CASE.build(1, 17), 4)
    for first, second in zip(open_batch.maps(batch, [0, 1, 2, 3]), fixed.maps(batch, [0, 1, 2, 3]), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_softmax_inside_is_stepped_over_where_logits_are_asked(dialect: str) -> None:
    outside, inside = (
        xai.probe(in_dialect(CASES[name].build("B", 17), dialect), "ablation_cam", layer="f")
        for name in ("pool and linear", "softmax inside")
    )
    batch = images(CASE.build(1, 17), 2)
    for first, second in zip(outside.maps(batch, [0, 3]), inside.maps(batch, [0, 3]), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tokens_are_cells(dialect: str) -> None:
    """A class token is no cell, and stays what it is while channels of the others are set to zero."""
    network = xai.probe(in_dialect(Transformer().build("B"), dialect), "ablation_cam")
    batch = images(Transformer().build(1), 1)
    _, maps = network.maps(batch, [0])
    assert maps.shape == (1, TOKEN_ROWS, TOKEN_COLUMNS)
    classifier = network._classifier
    features = classifier.features(batch)
    np.testing.assert_allclose(
        classifier.logits_from(features, batch), np.log(classifier.scores(batch)) + _offset(classifier, batch), atol=1e-4
    )


def _offset(classifier: object, batch: np.ndarray) -> np.ndarray:
    logits = classifier.logits_from(classifier.features(batch), batch)  # type: ignore[attr-defined]
    return np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_random_masks_keep_half() -> None:
    rng = np.random.default_rng(0)
    masks = np.stack([random_mask(rng, (30, 44)) for _ in range(300)])
    assert masks.shape == (300, 30, 44)
    assert masks.mean() == pytest.approx(0.5, abs=0.01)
    assert (masks.min(), masks.max()) == (0, 1)


@pytest.mark.parametrize(("size", "patch", "stride"), [(6, 3, 2), (7, 3, 3), (5, 5, 1), (4, 9, 2), (224, 32, 16)])
def test_patches_cover_all(size: int, patch: int, stride: int) -> None:
    covered = {pixel for start in starts(size, patch, stride) for pixel in range(start, min(start + patch, size))}
    assert covered == set(range(size))
    assert max(starts(size, patch, stride)) + min(patch, size) == size


def test_a_seed_is_a_seed() -> None:
    batch = images(CASE.build(1, 17), 1)
    same, again, other = (
        xai.probe(CASE.build("B", 17), "rise", settings=Settings(seed=seed, masks=30)).maps(batch, [0])[1] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(same, again)
    assert np.abs(same - other).max() > 1e-3


def test_progress_is_told() -> None:
    calls: list[tuple[int, int]] = []
    settings = Settings(masks=40, progress=lambda done, total: calls.append((done, total)))
    xai.probe(CASE.build("B", 17), "rise", settings=settings).maps(images(CASE.build(1, 17), 1), [0])
    assert calls == [(16, 40), (32, 40), (40, 40)]


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="probe 'gaze' is not known: one of score_cam, ablation_cam"):
        xai.probe(CASE.build(1, 17), "gaze")
    with pytest.raises(InputError, match="rise asks the model about images alone, and looks at no layer: leave layer 'f' out"):
        xai.probe(CASE.build(1, 17), "rise", layer="f")
    with pytest.raises(AlreadyHooked, match="carries a hook already"):
        xai.probe(xai.insert(CASE.build(1, 17), layer="f").model, "rise")
    with pytest.raises(InputError, match="masks is 0; 1 or more is expected"):
        Settings(masks=0)
    with pytest.raises(InputError, match="a stride of 9 pixels leaves some uncovered"):
        Settings(patch=8, stride=9)
    network = xai.probe(CASE.build(1, 17), "occlusion")
    with pytest.raises(InputError, match=f"class {CLASSES} "):
        network.maps(images(CASE.build(1, 17), 1), [CLASSES])

"""Probes of boxes against loops straight from their papers, for a detector whose answers are known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from slow_aise import slow_aise
from slow_superpixels import slow_lime, slow_shapley, slow_slic

from openvino_xai.probes import BOX_PROBES, PROBES, Settings
from openvino_xai.probes.d_rise import BoxScorer, Proposals, left_of, overlaps

HEIGHT, WIDTH = 24, 32
PARTS = ((2, 3, 10, 11), (18, 12, 30, 22))  # the corners of two boxes, each seen by what lies inside
BOXES = np.array(PARTS, np.float32)
SETTINGS = Settings(seed=5, masks=30, evaluations=40, segments=4, patch=6, stride=3)
IMAGE = np.random.default_rng(1).uniform(0.5, 1, (1, 3, HEIGHT, WIDTH)).astype(np.float32)


def brightness(image: np.ndarray, part: tuple[int, int, int, int]) -> float:
    left, top, right, bottom = part
    return float(image[:, top:bottom, left:right].mean())


def propose(images: np.ndarray) -> list[Proposals]:
    """For each image both boxes, moved to the right by a pixel: of class 1 as probably as they are bright."""
    moved = BOXES + np.float32([1, 0, 1, 0])
    return [Proposals(moved, np.array([[0.1, brightness(image, part)] for part in PARTS])) for image in images]


def scorer(boxes: np.ndarray = BOXES, classes: tuple[int, ...] = (1, 1), batch: int = 7) -> BoxScorer:
    return BoxScorer(batch, propose, boxes, np.array(classes))


def enlarged(small: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = small.shape
    large = np.zeros((height, width))
    for h, w in np.ndindex(height, width):
        y, x = (min(max((at + 0.5) * n / size - 0.5, 0), n - 1) for at, n, size in ((h, rows, height), (w, columns, width)))
        top, left = int(y), int(x)
        below, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
        upper = small[top, left] * (1 - x + left) + small[top, right] * (x - left)
        lower = small[below, left] * (1 - x + left) + small[below, right] * (x - left)
        large[h, w] = upper * (1 - y + top) + lower * (y - top)
    return large


def slow_iou(a: np.ndarray, b: np.ndarray) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return float(shared / (sum(areas) - shared)) if shared else 0.0


def slow_left(image: np.ndarray, box: np.ndarray, k: int) -> float:
    (proposals,) = propose(image[None])
    return max(slow_iou(box, other) * p[k] for other, p in zip(proposals.boxes, proposals.probabilities, strict=True))


def slow_d_rise(box: np.ndarray, k: int) -> np.ndarray:
    rng, total = np.random.default_rng(SETTINGS.seed), np.zeros((HEIGHT, WIDTH))
    tall, wide = -(-HEIGHT // 16), -(-WIDTH // 16)
    for _ in range(SETTINGS.masks):
        grid = np.array([[rng.random() < 0.5 for _ in range(16)] for _ in range(16)], float)
        down, right = rng.integers(0, tall), rng.integers(0, wide)
        mask = enlarged(grid, 17 * tall, 17 * wide)[down : down + HEIGHT, right : right + WIDTH]
        total += slow_left(IMAGE[0] * mask, box, k) * mask
    return total / (SETTINGS.masks * 0.5)


def slow_occlusion(box: np.ndarray, k: int) -> np.ndarray:
    lost: dict[tuple[int, int], list[float]] = {}
    for top in (*range(0, HEIGHT - 6, 3), HEIGHT - 6):
        for left in (*range(0, WIDTH - 6, 3), WIDTH - 6):
            covered = IMAGE[0].copy()
            covered[:, top : top + 6, left : left + 6] = 0
            for h, w in np.ndindex(6, 6):
                lost.setdefault((top + h, left + w), []).append(slow_left(IMAGE[0], box, k) - slow_left(covered, box, k))
    return np.array([[np.mean(lost[h, w]) for w in range(WIDTH)] for h in range(HEIGHT)])


def slow_aise_of_box(box: np.ndarray, k: int) -> np.ndarray:
    left, top, right, bottom = (float(edge) / size for edge, size in zip(box, (WIDTH, HEIGHT, WIDTH, HEIGHT), strict=True))
    wide, tall = right - left, bottom - top
    plane = [(max(left - wide / 2, 0), min(right + wide / 2, 1)), (max(top - tall / 2, 0), min(bottom + tall / 2, 1))]
    widths = [min(wide, tall) / divisor for divisor in (7, 4, 1)]
    return slow_aise(IMAGE[0], widths, plane, 0.05, SETTINGS.evaluations, lambda mask: slow_left(IMAGE[0] * mask, box, k))


def slow_lime_of_box(box: np.ndarray, k: int) -> np.ndarray:
    labels = slow_slic(IMAGE[0], 4)
    return slow_lime(lambda mask: slow_left(IMAGE[0] * mask[labels], box, k), 4, SETTINGS.masks, SETTINGS.seed)[labels]


def slow_shapley_of_box(box: np.ndarray, k: int) -> np.ndarray:
    labels = slow_slic(IMAGE[0], 4)
    return slow_shapley(lambda mask: slow_left(IMAGE[0] * mask[labels], box, k), 4)[labels]


ORACLES = {
    "d_rise": slow_d_rise,
    "aise": slow_aise_of_box,
    "occlusion": slow_occlusion,
    "lime": slow_lime_of_box,
    "kernel_shap": slow_shapley_of_box,
}


def test_every_probe_of_boxes_has_an_oracle() -> None:
    assert ORACLES.keys() == BOX_PROBES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("method", ORACLES)
def test_probes_are_what_the_papers_say(method: str) -> None:
    maps = BOX_PROBES[method](scorer(), IMAGE, range(2), SETTINGS)
    for box, saliency in zip(BOXES, maps, strict=True):
        true = ORACLES[method](box, 1)
        assert np.abs(true).max() > 1e-3
        np.testing.assert_allclose(saliency, true, rtol=0, atol=1e-5 * np.abs(true).max())


@pytest.mark.parametrize("method", ORACLES)
def test_another_box_is_seen(method: str) -> None:
    maps = BOX_PROBES[method](scorer(), IMAGE, range(2), SETTINGS)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        np.testing.assert_allclose(maps[0], ORACLES[method](BOXES[1], 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", ORACLES)
def test_what_is_seen_of_a_box_is_where_it_looks(method: str) -> None:
    maps = BOX_PROBES[method](scorer(), IMAGE, range(2), Settings(masks=2000, patch=4, stride=2))
    for (left, top, right, bottom), saliency in zip(PARTS, maps, strict=True):
        inside = saliency[top:bottom, left:right].mean()
        outside = (saliency.sum() - saliency[top:bottom, left:right].sum()) / (saliency.size - (bottom - top) * (right - left))
        assert inside > outside + 0.2 * np.ptp(saliency)


def test_a_class_that_no_small_mask_keeps_has_its_map_where_it_is_lost() -> None:
    """It is seen where all of a part is bright: every mask leaves less than is asked for, and those on the part lose it."""

    class AllOrNothing:
        batch = 6

        def scores(self, images: np.ndarray) -> np.ndarray:
            return np.array([[float(image[:, 4:12, 18:28].min() > 0.2)] for image in images])

    left = PROBES["aise"].ask(AllOrNothing(), IMAGE, [0], SETTINGS)[0]  # type: ignore[arg-type]
    rows, columns = np.indices(left.shape)
    inside = (rows >= 4) & (rows < 12) & (columns >= 18) & (columns < 28)
    assert left.min() >= 0
    assert left[inside].mean() > 2 * left[~inside].mean()


def test_masks_are_put_in_boxes_that_have_a_place() -> None:
    """A box without area, outside the image, or of no numbers has no map, and takes nothing from the others'."""
    odd = [[5, 5, 5, 9], [40, 3, 50, 11], [-np.inf, 0, np.inf, 9], [np.nan] * 4, [30, 20, 60, 50]]
    boxes = np.float32([*BOXES[:1], *odd, *BOXES[1:]])
    maps = BOX_PROBES["aise"](scorer(boxes, (1,) * len(boxes)), IMAGE, range(len(boxes)), SETTINGS)
    assert [saliency.max() > 0 for saliency in maps] == [True, False, False, False, False, True, True]
    np.testing.assert_array_equal(maps[[0, -1]], BOX_PROBES["aise"](scorer(), IMAGE, range(2), SETTINGS))


def test_the_same_seed_gives_the_same_maps_whatever_the_batch() -> None:
    first, second = (BOX_PROBES["d_rise"](scorer(batch=batch), IMAGE, range(2), SETTINGS) for batch in (7, 30))
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_progress_is_told() -> None:
    steps: list[tuple[int, int]] = []
    BOX_PROBES["d_rise"](scorer(batch=20), IMAGE, range(2), Settings(masks=30, progress=lambda *step: steps.append(step)))
    assert steps == [(20, 30), (30, 30)]


def test_how_much_is_left() -> None:
    boxes = np.array([[0, 0, 4, 4], [2, 0, 6, 4], [8, 8, 8, 9]], np.float32)
    np.testing.assert_allclose(overlaps(boxes[:1], boxes), [[1, 8 / 24, 0]])
    proposals = Proposals(boxes[1:], np.array([[0.2, 0.9], [1, 1]]))
    np.testing.assert_allclose(left_of(boxes[[0, 0, 2]], np.array([0, 1, 1]), proposals), [0.2 / 3, 0.3, 0])
    np.testing.assert_allclose(left_of(boxes[:1], np.array([2]), proposals), [0])  # a class that is not proposed
    nothing = Proposals(np.zeros((0, 4)), np.zeros((0, 2)))
    np.testing.assert_allclose(left_of(boxes, np.array([0, 1, 1]), nothing), [0, 0, 0])

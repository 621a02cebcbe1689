"""Metrics on networks whose answers are known by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from openvino_xai.errors import ImageError, InputError
from openvino_xai.evaluate.classes.case import Case, Choices
from openvino_xai.evaluate.classes.causal import deletion, insertion
from openvino_xai.evaluate.classes.masking import adcc, average_drop, average_increase, coherency, complexity
from openvino_xai.evaluate.classes.metrics import METRICS, accuracy, measured, metric_names, overall
from openvino_xai.evaluate.classes.pointing import energy, iou, largest_part, localisation, pointing_game
from openvino_xai.evaluate.classes.run import evaluate, some_of, which_target
from openvino_xai.evaluate.classes.sensitivity import sensitivity
from openvino_xai.evaluate.examples import Example

SIDE = 8
LEFT = np.zeros((SIDE, SIDE), np.float32)
LEFT[:, : SIDE // 2] = 1
BOX = (0.0, 0.0, float(SIDE), float(SIDE))


@dataclass
class Halves:
    """Class 0 is as probable as the left half of the image is bright, class 1 as the right half is; one map explains both."""

    saliency: np.ndarray

    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        wide = images.shape[3] // 2
        left, right = images[..., :wide].mean(axis=(1, 2, 3)), images[..., wide:].mean(axis=(1, 2, 3))
        shares = np.stack([left, right], axis=1).astype(np.float64)
        return np.log(np.maximum(shares, 1e-9)) if logits else shares

    def maps(self, images: np.ndarray, classes: list[int], *, logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        return self.predict(images, logits=logits), np.repeat(self.saliency[None], len(images), axis=0)


@dataclass
class Moving(Halves):
    """Its map turns around where the image is not what it was."""

    image: np.ndarray

    def maps(self, images: np.ndarray, classes: list[int], *, logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        maps = [self.saliency if np.array_equal(item, self.image) else 1 - self.saliency for item in images]
        return self.predict(images, logits=logits), np.stack(maps)


def case(saliency: np.ndarray = LEFT, *, bright: float = 0.8, target: int = 0, network: Any = None, **changes: Any) -> Case:
    image = np.full((1, 3, SIDE, SIDE), bright, np.float32)
    subject = network or Halves(saliency)
    fields = {
        "network": subject,
        "choices": Choices(),
        "example": Example(Path("photo.png"), target),
        "image": image,
        "black": np.full((1, 3, 1, 1), -1, np.float32),
        "scores": subject.predict(image)[0],
        "target": target,
        "saliency": saliency,
        "size": (SIDE, SIDE),
        "box": BOX,
    }
    return Case(**{**fields, **changes})


def test_a_map_of_all_that_counts_drops_nothing() -> None:
    perfect = case()
    assert (average_drop(perfect), average_increase(perfect), complexity(perfect)) == pytest.approx((0, 0, 0.5))


def test_a_map_of_nothing_that_counts_drops_all() -> None:
    assert average_drop(case(1 - LEFT)) == pytest.approx(1)
    assert average_drop(case(LEFT, target=1)) == pytest.approx(1)


def test_a_map_of_half_that_counts_drops_half() -> None:
    top = LEFT.copy()
    top[SIDE // 2 :] = 0
    assert average_drop(case(top)) == pytest.approx(0.5)
    assert complexity(case(top)) == pytest.approx(0.25)


def test_what_covers() -> None:
    """The right half is covered: with zero, with black, which is -1 here, or with what is blurred."""
    sample = case(LEFT, target=1, choices=Choices(covered="black"))
    assert sample.masked_result[0] == pytest.approx(-1)
    dark = case(LEFT, bright=-0.5, target=1)
    assert dark.masked_result[0] == pytest.approx(0)
    flat = case(LEFT, target=1, choices=Choices(covered="blur"))
    assert flat.masked_result[0] == pytest.approx(flat.blurred[..., SIDE // 2 :].mean())
    assert 0.2 < flat.masked_result[0] < 0.8  # beyond the edge of the image is 0


def test_logits_and_masks_over_the_maximum() -> None:
    logits = Choices(read="logit")
    image = np.full((1, 3, SIDE, SIDE), 0.8, np.float32)
    sample = case(LEFT / 2 + 0.5, choices=logits, scores=Halves(LEFT).predict(image, logits=True)[0])
    assert sample.masked_result[0] == pytest.approx(np.log(0.8))
    assert sample.mask.min() == 0
    scaled = case(LEFT / 2 - 0.25, choices=Choices(scaled="max"))
    assert (scaled.mask.min(), scaled.mask.max()) == (0, 1)
    assert case(LEFT / 2 + 0.5, choices=Choices(scaled="max")).mask.min() == 0.5


def test_an_increase() -> None:
    assert average_increase(case(LEFT, bright=-0.5, target=1)) == 1


def test_a_probability_of_nothing_drops_nothing() -> None:
    assert average_drop(case(bright=0.0)) == 0


def test_coherency() -> None:
    assert coherency(case()) == pytest.approx(1)
    image = np.full((1, 3, SIDE, SIDE), 0.8, np.float32)
    assert coherency(case(network=Moving(LEFT, image[0]))) == pytest.approx(0)
    assert coherency(case(np.ones((4, 4), np.float32))) == 0  # a constant map correlates with nothing


def test_coherency_on_cells_and_on_pixels() -> None:
    """Enlarged, cells at the border take fewer pixels than those inside, so that the correlation is another one."""
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 3, 3), np.float32)
    large = [cv2.resize(saliency, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for saliency in (first, second)]
    coherencies = {}
    for compared, maps in (("cells", (first, second)), ("pixels", large)):
        choices = Choices(compared=compared)  # type: ignore[arg-type]
        coherencies[compared] = coherency(case(first, choices=choices, network=Halves(second)))
        assert coherencies[compared] == pytest.approx(
            (np.corrcoef(*(saliency.ravel() for saliency in maps))[0, 1] + 1) / 2, abs=1e-6
        )
    assert abs(coherencies["cells"] - coherencies["pixels"]) > 0.01


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_not_measured(strange: float) -> None:
    """Neither a map, nor scores, be it of the photo itself, of the masked one or of a noisy one; and nothing warns."""
    with pytest.raises(ImageError, match=r"cannot measure photo.png: the network's map of it.* holds NaN or infinite"):
        case(np.where(LEFT > 0, LEFT, strange).astype(np.float32))
    with pytest.raises(ImageError, match="the network's scores of it"):
        case(scores=np.array([strange, 0.5]))
    lost = Halves(np.full((4, 4), strange, np.float32))
    for metric in (average_drop, coherency, sensitivity):
        with pytest.raises(ImageError, match="the network's map of it"):
            metric(case(network=lost))
    lost = Halves(LEFT)
    lost.predict = lambda images, *, logits=False: np.full((len(images), 2), strange)  # type: ignore[method-assign]
    for metric in (average_drop, average_increase, insertion, deletion):
        with pytest.raises(ImageError, match="the network's scores of it"):
            metric(case(network=lost, scores=np.array([0.5, 0.5])))


def test_a_constant_map_measures_nothing_without_a_warning() -> None:
    for value in (0, 0.3, 1):
        flat = case(np.full((4, 4), value, np.float32), example=Example(Path("p"), 0, ((0.0, 0.0, 1.0, 1.0),)))
        metrics = measured(flat, list(METRICS))
        assert all(np.isfinite(number) for number in metrics.values())
        assert (metrics["coherency"], metrics["sensitivity"], metrics["complexity"]) == (0, 0, 0)


def test_adcc_is_what_its_users_publish() -> None:
    """The row that the authors of Recipro-CAM print for ResNet-50 (sybyun/ReciproCAM, accuracy_check.ipynb), in percent."""
    row = {"average_drop": 15.181533268519809, "coherency": 83.77099173409597, "complexity": 45.07743290492466}
    assert 100 * adcc({name: value / 100 for name, value in row.items()}) == pytest.approx(71.53989475135123, abs=1e-9)


def test_adcc_is_a_harmonic_mean_of_means() -> None:
    assert adcc({"average_drop": 0.2, "coherency": 0.9, "complexity": 0.3}) == pytest.approx(3 / (1 / 0.8 + 1 / 0.9 + 1 / 0.7))
    assert adcc({"average_drop": 1.0, "coherency": 0.9, "complexity": 0.3}) == 0
    rows = [{"target": 0, "metrics": {"average_drop": d, "coherency": 0.9, "complexity": 0.3}} for d in (0.0, 0.4)]
    assert overall(rows)["adcc"] == pytest.approx(adcc({"average_drop": 0.2, "coherency": 0.9, "complexity": 0.3}))


def few_lines(sample: Case, start: np.ndarray, finish: np.ndarray, step: int) -> float:
    """The area as its authors' code has it: one image at a time, pixels changed in place."""
    now, pixels = start.copy(), SIDE * SIDE
    salient = np.argsort(-sample.mask.ravel(), kind="stable")
    scores = []
    for n in range((pixels + step - 1) // step + 1):
        scores.append(sample.network.predict(now)[0, sample.target])
        rows, columns = np.unravel_index(salient[step * n : step * (n + 1)], (SIDE, SIDE))
        now[0, :, rows, columns] = finish[0, :, rows, columns]
    scores = np.array(scores)
    return (scores.sum() - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1)


def test_small_steps_need_no_more_memory() -> None:
    """A step of one pixel makes as many images as there are pixels, but not at once."""
    counts = []
    network = Halves(LEFT)
    predict = network.predict

    def counted(images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        counts.append(len(images))
        return predict(images, logits=logits)

    network.predict = counted  # type: ignore[method-assign]
    image = np.full((1, 3, 32, 32), 0.8, np.float32)
    deletion(case(image=image, network=network, choices=Choices(step=1)))
    assert max(counts[1:]) <= 64 and sum(counts[1:]) == 32 * 32 + 1  # the first are of the case itself


@pytest.mark.parametrize("step", [1, 5, 8, 64])
@pytest.mark.parametrize("seed", range(3))
def test_insertion_and_deletion_bit_for_bit(seed: int, step: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.random((1, 3, SIDE, SIDE), np.float32)
    sample = case(rng.random((4, 4), np.float32), image=image, choices=Choices(step=step))
    blurred = np.stack([cv2.GaussianBlur(p, (11, 11), 5, borderType=cv2.BORDER_CONSTANT) for p in image[0]])[None]
    assert insertion(sample) == few_lines(sample, blurred, image, step)
    assert deletion(sample) == few_lines(sample, image, np.zeros_like(image), step)
    assert insertion(sample) != few_lines(sample, image, np.zeros_like(image), step)


def test_deletion_by_hand() -> None:
    """The probability falls evenly while the half that counts is deleted, first or last."""
    steps = Choices(step=SIDE * SIDE // 8)
    first, last = case(LEFT, bright=1.0, choices=steps), case(1 - LEFT, bright=1.0, choices=steps)
    assert deletion(first) == pytest.approx(0.25, abs=1e-6)
    assert deletion(last) == pytest.approx(0.75, abs=1e-6)


def pointing(peak: tuple[int, int], box: tuple[float, float, float, float]) -> Case:
    saliency = np.zeros((40, 60), np.float32)
    saliency[peak] = 1
    return case(saliency, example=Example(Path("p"), 0, (box,)), size=(40, 60), box=(0.0, 0.0, 60.0, 40.0))


@pytest.mark.parametrize(
    ("box", "hit"),
    [
        ((0.0, 0.0, 5.0, 5.0), 1.0),  # inside
        ((14.0, 0.0, 30.0, 5.0), 1.0),  # 14 pixels beside
        ((15.0, 0.0, 30.0, 5.0), 0.0),  # 15 are not closer than 15
        ((9.0, 12.0, 30.0, 39.0), 0.0),  # 15 by Pythagoras
        ((9.0, 11.0, 30.0, 39.0), 1.0),
        ((59.0, 39.0, 60.0, 40.0), 0.0),
    ],
)
def test_pointing_game_at_its_border(box: tuple[float, float, float, float], hit: float) -> None:
    assert pointing_game(pointing((0, 0), box)) == hit


def test_pointing_at_what_the_network_does_not_see() -> None:
    """The network sees the middle of the photo; its map's maximum is found where the photo has it."""
    saliency = np.zeros((4, 4), np.float32)
    saliency[0, 0] = 1
    sample = case(
        saliency, example=Example(Path("p"), 0, ((40.0, 40.0, 50.0, 50.0),)), size=(120, 120), box=(40.0, 40.0, 80.0, 80.0)
    )
    assert pointing_game(sample) == 1
    far = case(
        saliency, example=Example(Path("p"), 0, ((0.0, 0.0, 24.0, 24.0),)), size=(120, 120), box=(40.0, 40.0, 80.0, 80.0)
    )
    assert pointing_game(far) == 0


def test_a_constant_map_points_nowhere() -> None:
    """Its maximum is everywhere, and so at the first pixel, where the object may be."""
    corner = Example(Path("p"), 0, ((0.0, 0.0, 2.0, 2.0),))
    for value in (0, 0.5, 1):
        flat = case(np.full((4, 4), value, np.float32), example=corner)
        assert (pointing_game(flat), energy(flat), localisation(flat)) == (0, 0, 0)
    outside = case(LEFT, example=corner, box=(-8.0, 0.0, 0.0, 8.0))  # the network saw nothing of the photo
    assert (pointing_game(outside), energy(outside), localisation(outside)) == (0, 0, 0)


def test_photos_of_extreme_sides_are_measured() -> None:
    for size in ((1, 70000), (70000, 1)):
        far = Example(Path("p"), 0, ((0.0, 0.0, max(1.0, size[1] / 2), max(1.0, size[0] / 2)),))
        sample = case(LEFT if size[0] == 1 else LEFT.T, example=far, size=size, box=(0.0, 0.0, float(size[1]), float(size[0])))
        assert (pointing_game(sample), localisation(sample)) == (1, pytest.approx(1, rel=0.2))
        assert energy(sample) == pytest.approx(1, rel=0.1)


def test_energy() -> None:
    half = (0.0, 0.0, SIDE / 2, float(SIDE))
    assert energy(case(example=Example(Path("p"), 0, (half,)))) == 1
    assert energy(case(1 - LEFT, example=Example(Path("p"), 0, (half,)))) == 0
    assert energy(case(np.ones((2, 2), np.float32), example=Example(Path("p"), 0, (half,)))) == 0  # constant: says nothing


def test_localisation() -> None:
    assert iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    saliency = np.zeros((10, 12))
    saliency[2:5, 3:9] = 1
    saliency[8, 11] = 0.9  # apart from the rest, and smaller
    saliency[9, 0] = 0.1  # below the level
    assert largest_part(saliency > 0.2) == (3, 2, 9, 5)
    box = (0.0, 0.0, 12.0, 10.0)
    for where, share in (((3.0, 2.0, 9.0, 5.0), 1), ((3.0, 2.0, 9.0, 8.0), 0.5)):
        assert localisation(case(saliency, example=Example(Path("p"), 0, (where,)), size=(10, 12), box=box)) == share
    half = (0.0, 0.0, SIDE / 2, float(SIDE))
    assert localisation(case(example=Example(Path("p"), 0, (half, (6.0, 6.0, 7.0, 7.0))))) == 1


def test_sensitivity() -> None:
    assert sensitivity(case()) == 0
    image = np.full((1, 3, SIDE, SIDE), 0.8, np.float32)
    assert sensitivity(case(network=Moving(LEFT, image[0]))) == pytest.approx(np.sqrt(2))  # all ones elsewhere


def test_pointing_game_is_a_mean_over_classes() -> None:
    rows = [{"target": k, "metrics": {"pointing_game": hit}} for k, hit in ((0, 1.0), (0, 1.0), (0, 0.0), (5, 0.0))]
    assert overall(rows)["pointing_game"] == pytest.approx((2 / 3 + 0) / 2)


def test_which_metrics() -> None:
    bare, boxed = Example(Path("bare.png"), 0), Example(Path("p"), 0, ((0.0, 0.0, 1.0, 1.0),))
    assert metric_names([], [boxed]) == [name for name, metric in METRICS.items() if not metric.dear]
    assert "energy" not in metric_names([], [boxed, bare])
    assert metric_names(["adcc", "coherency"], [bare]) == ["average_drop", "coherency", "complexity"]
    assert set(measured(case(), metric_names([], [bare]))) == set(metric_names([], [bare]))
    with pytest.raises(InputError, match="metric 'beauty' is not known: one of average_drop"):
        metric_names(["beauty"], [bare])
    with pytest.raises(InputError, match=r"energy needs to know where the object is, and bare.png comes without boxes"):
        metric_names(["energy"], [boxed, bare])


def test_which_class() -> None:
    labelled, bare = Example(Path("a.png"), 0), Example(Path("b.png"))
    assert which_target(None, [labelled]) == "label"
    assert which_target(None, [labelled, bare]) == "predicted"
    with pytest.raises(InputError, match=r"the class of b.png is not known"):
        which_target("label", [labelled, bare])
    with pytest.raises(InputError, match="target is 'best'; one of label, predicted, or a contrast A-B"):
        which_target("best", [labelled])


def test_some_of_them() -> None:
    examples = [Example(Path(str(i))) for i in range(50)]
    picked = some_of(examples, 10, seed=1)
    assert len(picked) == 10 and picked == sorted(picked, key=examples.index)
    assert some_of(examples, 10, seed=1) == picked != some_of(examples, 10, seed=2)
    assert some_of(examples, 60, seed=1) == some_of(examples, None, seed=1) == examples


def test_accuracy() -> None:
    assert accuracy([{"label": 1, "predicted": 1}, {"label": 1, "predicted": 0}]) == 0.5
    assert accuracy([{"label": 1, "predicted": 1}, {"label": None, "predicted": 0}]) is None


def test_photos_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    network: Any = SimpleNamespace(streams=1)
    (error,) = evaluate(network, [Example(tmp_path / "none.png")], [], target="predicted", choices=Choices())
    assert isinstance(error, ImageError)


def test_choices_that_are_none() -> None:
    with pytest.raises(InputError, match="covered is 'white'; one of zero, black, blur is expected"):
        Choices(covered="white")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="compared is 'photo'; one of cells, pixels is expected"):
        Choices(compared="photo")  # type: ignore[arg-type]
    for step in (0, -1, 0.0, 1.0, 3.6, float("nan"), True, "3.6%"):
        with pytest.raises(InputError, match="a number of pixels, 1 or more, or their share of the image"):
            Choices(step=step)  # type: ignore[arg-type]


def test_the_protocol_of_fd_cam() -> None:
    """A step is a share of the image, whatever its size: 3.6 % of 8 x 8 are two pixels, and 0.1 % at least one."""
    image = np.random.default_rng(0).random((1, 3, SIDE, SIDE), np.float32)
    by_share, by_count = (case(image=image, choices=Choices(step=step)) for step in (0.036, 2))
    assert insertion(by_share) == insertion(by_count) and deletion(by_share) == deletion(by_count)
    assert len(by_share.curves["insertion"]) == SIDE * SIDE // 2 + 1
    steps = [Choices(step=0.036).pixels_of_step(pixels) for pixels in (224 * 224, 32 * 32, 1)]
    assert (
        steps == [1806, 37, 1] and Choices().pixels_of_step(224 * 224) == 1792 and Choices(step=224).pixels_of_step(10) == 224
    )


def test_the_protocol_of_abs_cam() -> None:
    """The half of the pixels where the map is largest stays as it is, however little larger it is; the other goes."""
    slope = np.linspace(0.4, 0.6, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    sample = case(slope, choices=Choices(scaled="half"), network=Halves(LEFT))
    visible = np.zeros((SIDE, SIDE))
    visible[SIDE // 2 :] = 1
    np.testing.assert_array_equal(sample.masked[0, 0], np.float32(0.8) * visible)
    assert average_drop(sample) == pytest.approx(0.5) and average_drop(case(slope)) != pytest.approx(0.5)
    assert average_drop(case(LEFT, choices=Choices(scaled="half"))) == 0
    plain = case(slope, network=Halves(LEFT))
    np.testing.assert_array_equal(sample.order, plain.order)  # insertion and deletion rank pixels by the map itself
    assert complexity(sample) == complexity(plain)
    flat = case(np.ones((4, 4), np.float32), choices=Choices(scaled="half"))
    assert not flat.masked.any()  # no pixel is above another: a map of nothing keeps nothing

"""What is strange of maps, on maps drawn by hand: each kind is seen where it is, at its threshold, and not beside it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import openvino_xai as xai
from openvino_xai.render.overlay import Box
from openvino_xai.render.suspicion import (
    BORDER,
    CORNER,
    DEFINITIONS,
    LIKE,
    PHOTOS,
    TITLES,
    Corners,
    Region,
    Suspicion,
    corner_shares,
    excess,
    inner,
    least_likeness,
    mass,
    suspicions,
)

PHOTO: Box = (0.0, 0.0, 1.0, 1.0)
LEFT_HALF: Box = (0.0, 0.0, 0.5, 1.0)


def cells(text: str) -> np.ndarray:
    """A map of digits, a row a word."""
    return np.array([[float(digit) for digit in row] for row in text.split()], np.float32)


MIDDLE = cells("0000000 0000000 0012100 0025200 0012100 0000000 0000000")
RING = cells("1111111 1000001 1000001 1000001 1000001 1000001 1111111")
TOP_LEFT = cells("9500000 5300000 0000000 0000000 0000000 0000000 0000000")
RIGHT = cells("0000000 0000000 0000000 0000121 0000252 0000121 0000000")


def kinds(maps: list[np.ndarray], photo: Box = PHOTO, **boxes: list[Box]) -> dict[str, Suspicion]:
    return {doubt.kind: doubt for doubt in suspicions(maps, photo, **boxes)}


def test_mass_is_what_lies_where() -> None:
    np.testing.assert_allclose(mass(cells("13 11")), [[0, 1], [0, 0]])  # min-max scaled before
    np.testing.assert_allclose(mass(cells("02 11") * 1e-30), [[0, 0.5], [0.25, 0.25]], rtol=1e-6)
    assert mass(np.full((3, 3), 0.7, np.float32)) is None
    assert mass(np.zeros((1, 1), np.float32)) is None
    assert mass(np.float32(1000) + cells("00 01") * np.float32(1e-4)) is None  # no more than the last bit of f32


def test_an_excess_does_not_hang_on_the_grid() -> None:
    assert excess(0.25, 0.25) == 0 and excess(1.0, 0.3) == 1.0 and excess(0.0, 0.5) == -1.0
    for side in (3, 7, 12, 50):
        even = np.full((side, side), 1 / side**2)
        rest = inner(even.shape)
        assert excess(1 - rest.mass(even), 1 - rest.area) == pytest.approx(0)
    assert inner((7, 7)).area == pytest.approx((5 / 7) ** 2) == pytest.approx(inner((70, 35)).area)
    assert inner((1, 1)).area == 0 and excess(1.0, 1.0) == 0


def test_a_region_takes_parts_of_cells() -> None:
    region = Region.of((0.25, 0.0, 0.75, 0.5), (2, 2))
    np.testing.assert_allclose(region.rows, [1, 0])
    np.testing.assert_allclose(region.columns, [0.5, 0.5])
    assert region.area == 0.25 and region.mass(np.full((2, 2), 0.25)) == 0.25
    assert Region.of((-3.0, -1.0, 0.5, 9.0), (4, 4)).area == 0.5  # cut off at the edges


def test_nothing_is_strange_of_a_map_in_the_middle() -> None:
    assert suspicions([MIDDLE], PHOTO) == []
    assert suspicions([MIDDLE, RIGHT], (-0.3, 0.0, 1.3, 1.0)) == []
    assert suspicions([], PHOTO, boxes=[]) == []


def test_a_constant_map_is_told_and_nothing_else_of_it() -> None:
    flat = np.zeros((7, 7), np.float32)
    assert kinds([flat]) == {"constant": Suspicion("constant", 1.0, "The map is the same everywhere: it tells nothing.", 0)}
    doubts = kinds([MIDDLE, flat], (0.2, 0.0, 0.8, 1.0), boxes=[PHOTO, PHOTO])
    assert doubts.keys() == {"constant"} and doubts["constant"].target == 1


def test_mass_on_the_border() -> None:
    doubt = kinds([MIDDLE, RING])["border"]
    assert (doubt.severity, doubt.target) == (1.0, 1)
    assert doubt.text == "100% of the map lies in its outermost cells, 49% of what the model saw."
    for threshold in (BORDER - 0.01, BORDER + 0.01):
        share = (threshold * 25 + 24) / 49  # of the mass, in 24 of 49 cells; the rest in 24 others, and the middle is lowest
        saliency = np.where(RING == 1, share, 1 - share).astype(np.float32)
        saliency[3, 3] = 0
        assert ("border" in kinds([saliency])) == (threshold > BORDER)
    assert "border" not in kinds([RING], boxes=[PHOTO])  # a box may lie there


def test_mass_beside_the_photo() -> None:
    beside = (0.0, 0.0, 4 / 7, 1.0)  # padded at the right
    doubt = kinds([RIGHT], beside)["padding"]
    assert doubt.text == "100% of the map lies beside the photo, 43% of what the model saw."
    assert "padding" not in kinds([MIDDLE], beside)
    assert "padding" not in kinds([RIGHT], (0.0, 0.0, 0.99, 1.0))  # too little to speak of


def test_mass_off_the_box() -> None:
    doubts = suspicions([RIGHT, RIGHT], PHOTO, boxes=[(0.6, 0.4, 0.95, 0.9), (0.0, 0.0, 0.3, 0.3)])
    (doubt,) = [doubt for doubt in doubts if doubt.kind == "off_box"]
    assert doubt.target == 1 and doubt.severity == 1.0
    assert doubt.text == "The box, with a cell around it, has 0% of its map: an even map puts 20% there."
    assert "off_box" not in kinds([MIDDLE], boxes=[(0.6, 0.3, 0.95, 0.7)])  # the next cell counts
    assert "off_box" not in kinds([RING], boxes=[PHOTO])  # nothing is beside it


def test_nearly_the_same_maps() -> None:
    rng = np.random.default_rng(0)
    maps = [MIDDLE, (MIDDLE * 3 + rng.normal(size=(7, 7)) * 0.01).astype(np.float32), MIDDLE + np.float32(1)]
    doubt = kinds(maps)["same"]
    assert (
        doubt.target is None and doubt.severity > 0.9 and doubt.text.startswith("The maps of the 3 classes are nearly the same")
    )
    assert "same" not in kinds([*maps, RIGHT])
    for share in (LIKE - 0.005, LIKE + 0.005):
        other = rng.normal(size=49)
        base = MIDDLE.ravel().astype(np.float64) - MIDDLE.mean()
        other -= other.mean() + base * (other @ base) / (base @ base)
        mixture = share * base / np.linalg.norm(base) + np.sqrt(1 - share**2) * other / np.linalg.norm(other)
        assert least_likeness([MIDDLE, mixture.reshape(7, 7).astype(np.float32)]) == pytest.approx(share, abs=1e-5)
        assert ("same" in kinds([MIDDLE, mixture.reshape(7, 7).astype(np.float32)])) == (share > LIKE)


def test_maps_of_boxes_that_meet_may_be_the_same() -> None:
    near, far = (0.3, 0.3, 0.6, 0.6), (0.7, 0.7, 0.9, 0.9)
    assert "same" not in kinds([MIDDLE, MIDDLE], boxes=[near, near])
    assert kinds([MIDDLE, MIDDLE], boxes=[near, far])["same"].text.startswith("The maps of boxes that do not meet")
    assert least_likeness([MIDDLE]) is None and least_likeness([MIDDLE, np.zeros((7, 7))]) is None


@pytest.mark.parametrize(("turn", "corner"), [(0, "top left"), (1, "bottom left"), (2, "bottom right"), (3, "top right")])
def test_one_corner_for_a_class(turn: int, corner: str) -> None:
    corners, maps = Corners(), [np.rot90(TOP_LEFT, turn)] * (PHOTOS - 1)
    for photo, saliency in enumerate([*maps, np.zeros((7, 7))]):  # a constant one counts as none
        corners.add(photo, 3, saliency)
    assert corners.suspicions({3: "ship"}) == {}  # too few
    corners.add(9, 3, MIDDLE)
    corners.add(10, 4, np.rot90(TOP_LEFT, turn))  # of another class
    doubts = corners.suspicions({3: "ship", 4: "cat"})
    assert doubts.keys() == set(range(PHOTOS - 1))  # and not the one in the middle
    assert doubts[0].kind == "corner" and f"taken for ship has 80% in its {corner} corner" in doubts[0].text


def test_corners_are_thirds_of_sides() -> None:
    even = np.full((7, 5), 1 / 35)
    np.testing.assert_allclose(corner_shares(even), 1 / 9)
    assert excess(1 / 3, 1 / 9) == pytest.approx(CORNER)


def test_each_kind_says_its_threshold() -> None:
    assert DEFINITIONS.keys() == TITLES.keys()
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    for kind, title in TITLES.items():
        assert f"| {title} | {DEFINITIONS[kind]} |" in page
    for kind, threshold in {"border": BORDER, "corner": CORNER, "same": LIKE}.items():
        assert f"at least {threshold:g}" in DEFINITIONS[kind]


def test_maps_of_many_classes_take_no_time() -> None:
    maps = list(np.random.default_rng(0).random((300, 7, 7), np.float32))
    assert suspicions(maps, PHOTO) == []


@pytest.mark.slow
def test_a_network_that_reads_a_corner() -> None:
    """The sample's cat, pasted into one corner of blurred noise: a real network calls all of that a cat."""
    samples = Path(__file__).parents[2] / "samples"
    network = xai.load(xai.insert(samples / "models" / "efficientnet_lite0.xml").model)
    cat = cv2.resize(cv2.imread(str(samples / "images" / "cat.png"), cv2.IMREAD_COLOR_RGB)[:, 75:375], (150, 150))
    corners, rng = Corners(), np.random.default_rng(0)
    for photo in range(PHOTOS):
        picture = cv2.GaussianBlur(rng.integers(0, 255, (448, 448, 3)).astype(np.uint8), (0, 0), 3 + photo)
        picture[-150:, :150] = cat
        explanation = network.explain(picture)
        assert explanation.targets[0].label == "Egyptian cat"
        corners.add(photo, 0, explanation.maps[0])
    doubts = corners.suspicions({0: "Egyptian cat"})
    assert len(doubts) == PHOTOS and "in its bottom left corner" in doubts[0].text

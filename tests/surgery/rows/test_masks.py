"""Recipro-CAM of boxes: the log-odds of rows where one cell of the image is kept or dropped, held to the model's own heads."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from detectors import Slow
from tiny import in_dialect
from tiny_detectors import CASES, Net, Tiny, backbone, one_convolution

import openvino_xai as xai
from openvino_xai.errors import InputError, PlanError

ROWS = 4
NAMES = [name for name in CASES if name not in ("end to end", "best rows")]  # their rows are those on the model's own list
SIGMA = 1.5  # cells, of the Gaussian that weighs neighbours


UNEVEN = "levels that are no halves of each other"


@cache
def tiny(name: str) -> Tiny:
    if name != UNEVEN:
        return CASES[name]("B")
    net = Net("B", image=(3, 40, 56))  # levels of 10 x 14, 5 x 7 and 3 x 4 cells
    return one_convolution(net, backbone(net))


def image_of(name: str) -> np.ndarray:
    sizes = [dim.dim_value for dim in tiny(name).model.graph.input[0].type.tensor_type.shape.dim][1:]
    return np.random.default_rng(8).normal(0, 1, (2, *sizes)).astype(np.float32)


def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    rng, count = np.random.default_rng(9), len(list(tiny(name).truth.rows()))
    rows = np.stack([[0, count - 1, *rng.integers(0, count, ROWS - 2)] for _ in range(2)])
    return rows, rng.integers(0, tiny(name).truth.classes, rows.shape)


def weight(kernel: str, at: tuple[int, int], mask: tuple[int, int], sizes: tuple[int, int], grid: tuple[int, int]) -> float:
    """What a mask of a grid keeps of one cell of a layer."""
    if kernel == "cell":
        return float(all(int((i + 0.5) * g / n) == m for i, m, n, g in zip(at, mask, sizes, grid, strict=True)))
    squares = [((i + 0.5) * g / n - 0.5 - m) ** 2 for i, m, n, g in zip(at, mask, sizes, grid, strict=True)]
    return float(np.exp(-sum(squares) / (2 * SIGMA**2)))


def expected(name: str, mask: str, kernel: str) -> np.ndarray:
    """[2, ROWS, h, w] at the backbone: every mask, cell by cell."""
    oracle, (rows, labels) = Slow(tiny(name), tiny(name).truth.backbone), rows_of(name)
    features = oracle.features(image_of(name))
    grid = features[-1].shape[2:]
    plain, maps = oracle.log_odds(features, rows, labels), np.zeros((*rows.shape, *grid))
    for cell in np.ndindex(*grid):
        masked = []
        for feature in features:
            sizes = feature.shape[2:]
            weights = np.array([[weight(kernel, (y, x), cell, sizes, grid) for x in range(sizes[1])] for y in range(sizes[0])])
            masked.append(feature * (1 - weights if mask == "drop" else weights))
        z = oracle.log_odds(masked, rows, labels)
        maps[:, :, *cell] = plain - z if mask == "drop" else z
    return maps


@pytest.mark.slow
@pytest.mark.parametrize(("mask", "kernel", "dialect"), [("keep", "gaussian", "openvino"), ("drop", "cell", "onnx")])
@pytest.mark.parametrize("name", NAMES)
def test_masks_of_image_cells_are_those_of_the_definition(name: str, mask: str, kernel: str, dialect: str) -> None:
    rows, labels = rows_of(name)
    model = in_dialect(tiny(name).model, dialect)
    try:
        hooked = xai.insert(
            model, targets=f"asked:{ROWS}", method="reciprocam", mask=mask, kernel=kernel, scale="none", verify=name == NAMES[0]
        )
    except PlanError as error:
        assert "cannot be followed in windows" in str(error) and error.node, error
        return
    assert (hooked.record["mask"], hooked.record["kernel"]) == (mask, kernel)
    inputs = {"image": image_of(name), "explain_index": rows, "explain_class": labels}
    maps = hooked.deployed.compile()(inputs)["saliency_map"]
    wanted = expected(name, mask, kernel)
    np.testing.assert_allclose(maps, wanted, atol=1e-4 * max(1, np.abs(wanted).max()))


@pytest.mark.slow
def test_most_tiny_detectors_can_be_masked() -> None:
    """A refusal is a way out, and not the rule."""
    refusals = []
    for name in CASES:
        try:
            xai.insert(tiny(name).model, targets="asked:1", method="reciprocam", verify=False)
        except PlanError as error:
            refusals.append((name, str(error)))
    assert len(refusals) <= 3, refusals


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mask"), [(NAMES[0], "keep"), (NAMES[0], "drop"), (UNEVEN, "keep")])
def test_at_the_heads_each_cell_of_the_rows_own_level_is_masked(name: str, mask: str) -> None:
    oracle, (rows, labels) = Slow(tiny(name), tiny(name).truth.heads), rows_of(name)
    hooked = xai.insert(
        tiny(name).model, targets=f"asked:{ROWS}", method="reciprocam", cut="heads", mask=mask, kernel="cell", scale="none"
    )
    assert hooked.record["mask"] == mask
    assert "kernel" not in hooked.record  # a cell has no neighbours in its mask
    inputs = {"image": image_of(name), "explain_index": rows, "explain_class": labels}
    maps = hooked.deployed.compile()(inputs)["saliency_map"]
    features, levels = oracle.features(image_of(name)), [level for level, *_ in tiny(name).truth.rows()]
    plain = oracle.log_odds(features, rows, labels)
    finest = features[0].shape[2:]
    for place in range(ROWS):
        for image in range(2):
            level = levels[rows[image, place]]
            sizes = features[level].shape[2:]
            for cell in np.ndindex(*sizes):
                masked = [np.zeros_like(f) if mask == "keep" else f.copy() for f in features]
                here = (image, slice(None), *cell)
                masked[level][here] = features[level][here] if mask == "keep" else 0
                z = oracle.log_odds(masked, rows, labels)[image, place]
                z = plain[image, place] - z if mask == "drop" else z
                # of the finest level, all cells whose middle lies in this one
                middles = [(np.arange(n) + 0.5) * m / n for n, m in zip(finest, sizes, strict=True)]
                at = np.ix_(*(np.flatnonzero(m.astype(int) == i) for m, i in zip(middles, cell, strict=True)))
                np.testing.assert_allclose(maps[image, place][at], z, atol=1e-4 * max(1, np.abs(plain).max()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "layer_cam", "mask": "drop"}, "layer_cam masks no cells"),
        ({"method": "reciprocam", "mask": "hide"}, "mask 'hide' is not known of a detector: one of keep, drop"),
        ({"method": "reciprocam", "kernel": "box"}, "kernel 'box' is not known of a detector: one of gaussian, cell"),
        ({"method": "reciprocam", "grid": "none"}, "grid 'none' is not understood"),
    ],
)
def test_options_of_masks_that_make_no_sense(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        xai.insert(tiny("two outputs").model, targets="asked:1", **options)

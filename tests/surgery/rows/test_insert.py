"""Hooks in detectors: their maps are those of the definition, row by row, and the model's own outputs stay to the bit."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from detectors import SLOW, Slow
from tiny import DIALECTS, in_dialect
from tiny_detectors import CASES, Tiny

import openvino_xai as xai

ASKED = 8  # rows of an image, of every level, in corners and in the middle


@cache
def tiny(name: str, batch: int | str = "B") -> Tiny:
    return CASES[name](batch)


def images(name: str, batch: int = 2) -> np.ndarray:
    sizes = [dim.dim_value for dim in tiny(name).model.graph.input[0].type.tensor_type.shape.dim][1:]
    return np.random.default_rng(5).normal(0, 1, (batch, *sizes)).astype(np.float32)


@cache
def asked(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows [2, ASKED] and their classes: the first and the last of each level, and others."""
    table = np.array([level for level, *_ in tiny(name).truth.rows()])
    rng = np.random.default_rng(6)
    ends = [edge for level in np.unique(table) for edge in (np.flatnonzero(table == level)[[0, -1]])]
    rows = np.array([[*ends, *rng.integers(0, len(table), ASKED - len(ends))] for _ in range(2)])
    return rows, rng.integers(0, tiny(name).truth.classes, rows.shape)


@cache
def slow(name: str, cut: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The features of the layers, and the slopes of the rows that are asked for."""
    rows, labels = asked(name)
    oracle = Slow(tiny(name), getattr(tiny(name).truth, cut))
    return oracle.features(images(name)), oracle.gradients(images(name), rows, labels)


def expected(name: str, cut: str, method: str) -> np.ndarray:
    return SLOW[method](*slow(name, cut))


def hold(maps: np.ndarray, wanted: np.ndarray) -> None:
    """Each map to its definition, by a share of its own largest value."""
    peak = np.abs(wanted).max(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(maps / np.maximum(peak, 1e-6), wanted / np.maximum(peak, 1e-6), atol=2e-4)


def unit(maps: np.ndarray) -> np.ndarray:
    low, high = maps.min(axis=(2, 3), keepdims=True), maps.max(axis=(2, 3), keepdims=True)
    return np.asarray((maps - low) / np.where(high > low, high - low, 1))


def run(hooked: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return hooked.deployed.compile()(inputs)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("cut", ["backbone", "heads"])
@pytest.mark.parametrize("name", CASES)
def test_maps_are_those_of_the_definition(name: str, cut: str, dialect: str) -> None:
    model = in_dialect(tiny(name).model, dialect)
    rows, labels = asked(name)
    inputs = {"image": images(name), "explain_index": rows, "explain_class": labels}
    for method in SLOW:
        hooked = xai.insert(model, targets=f"asked:{ASKED}", cut=cut, method=method, scale="none")
        assert hooked.record["layer"] == ",".join(getattr(tiny(name).truth, cut))
        hold(run(hooked, inputs)["saliency_map"], expected(name, cut, method))

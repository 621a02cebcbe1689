"""The table of methods says what the tables of hooks and probes hold, and is one as text and in a notebook."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import fields
from html.parser import HTMLParser
from typing import Any, get_args

import numpy as np
import pytest

import openvino_xai as xai
from openvino_xai.hooks import METHODS, Method
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.method_table import TEXTS, Explained, Kind
from openvino_xai.plan.rows.decision import DEFAULT
from openvino_xai.probes import BOX_PROBES, PROBES, Settings


def test_every_hook_and_probe_is_there_once() -> None:
    rows = {(row.kind, row.name): row for row in xai.methods()}
    assert len(rows) == len(xai.methods())
    assert {name for kind, name in rows if kind == "hook"} == METHODS.keys() | ROW_METHODS.keys()
    assert {name for kind, name in rows if kind == "probe"} == PROBES.keys() | BOX_PROBES.keys()
    for (kind, name), row in rows.items():
        assert row.kind in get_args(Kind)
        assert set(row.explains) <= set(get_args(Explained))
        assert row.explains
        of_classes = name in (METHODS if kind == "hook" else PROBES)
        assert ("classes" in row.explains) == of_classes
        assert row.summary
        assert row.cost
        assert re.search(r"\d{4}$", row.source) or "OpenVINO" in row.source or name == "class_map", row.source


def test_texts_are_of_methods_that_there_are() -> None:
    assert {(kind, name) for kind in TEXTS for name in TEXTS[kind]} == {(row.kind, row.name) for row in xai.methods()}


def test_traits_are_those_of_the_tables() -> None:
    rows = {(row.kind, row.name): row for row in xai.methods()}
    assert rows["hook", "layer_cam"].explains == ("classes", "boxes", "vectors", "pixels")
    assert rows["hook", "class_map"].explains == ("classes of detectors",)
    assert rows["probe", "d_rise"].explains == ("boxes",)
    assert rows["probe", "aise"].explains == ("classes", "boxes")
    assert rows["hook", "grad_cam"].gradients
    assert not rows["hook", "reciprocam"].gradients
    assert rows["probe", "group_cam"].gradients
    assert not rows["probe", "score_cam"].gradients
    assert "boxes" in rows["hook", DEFAULT].default


def test_some_of_them() -> None:
    assert set(xai.methods(kind="probe", explains="boxes").names) == BOX_PROBES.keys()
    without = xai.methods(kind="hook", explains="classes", gradients=False)
    assert without.names == (
        "reciprocam",
        "vit_reciprocam",
        "cam",
        "activation_map",
        "eigen_cam",
        "attention_rollout",
        "ablation_cam",
    )
    assert xai.methods()[0].name == "reciprocam"
    assert xai.methods()[:2].names == ("reciprocam", "vit_reciprocam")
    assert len(json.loads(json.dumps(xai.methods().to_dicts()))) == len(xai.methods())


class Watched(Settings):
    """Settings that note which of them are read."""

    def __getattribute__(self, name: str) -> Any:
        if name in {field.name for field in fields(Settings)}:
            READ.add(name)
        return super().__getattribute__(name)


READ: set[str] = set()


class Blobs:
    """A classifier of two classes that answers anything."""

    batch = 4

    def scores(self, images: np.ndarray) -> np.ndarray:
        bright = images.mean(axis=(1, 2, 3), keepdims=True).reshape(-1, 1)
        return np.concatenate([bright, 1 - bright], axis=1).astype(np.float64)

    def features(self, images: np.ndarray) -> np.ndarray:
        return np.random.default_rng(0).random((len(images), 5, 2, 3)).astype(np.float32)

    def logits_from(self, features: np.ndarray, image: np.ndarray) -> np.ndarray:
        return np.asarray(features.mean(axis=(2, 3))[:, :2], np.float64)

    def gradients(self, images: np.ndarray, k: int) -> np.ndarray:
        return images * (k + 1)

    def layer_gradients(self, image: np.ndarray, k: int) -> np.ndarray:
        return np.ones((5, 2, 3), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBES)
def test_probes_read_the_settings_that_they_name(name: str) -> None:
    """The table names what a probe reads; a probe that asks one question a class reads nothing."""
    settings = Watched(masks=8, segments=4, evaluations=3, groups=2, patch=4, stride=2, steps=3, copies=2, orders=2, channels=2)
    READ.clear()
    image = np.random.default_rng(0).random((1, 3, 12, 16)).astype(np.float32)
    maps = PROBES[name].ask(Blobs(), image, [0, 1], settings)
    assert len(maps) == 2
    (row,) = [row for row in xai.methods(kind="probe") if row.name == name]
    assert READ - {"progress"} == set(row.settings)


def test_a_method_without_a_text_is_told_by_its_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    def hostile(xp: object, site: object) -> object:
        """Maps of </table><script>alert(1)</script>."""

    monkeypatch.setitem(METHODS, "hostile", Method(hostile, "nothing"))
    table = xai.methods(kind="hook")
    assert [row.summary for row in table if row.name == "hostile"] == [hostile.__doc__]
    assert "<script>" not in table._repr_html_()


class Cells(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


def test_it_is_a_table() -> None:
    table = xai.methods()
    lines = repr(table).splitlines()
    assert len(lines) == len(table) + 2
    assert [line.split()[0] for line in lines[2:]] == [row.name for row in table]
    tags = Cells(table._repr_html_()).tags
    assert tags.count("tr") == len(table) + 1
    assert tags.count("td") == len(table) * tags.count("th")


def test_the_function_is_not_hidden_by_the_module() -> None:
    importlib.import_module("openvino_xai.method_table")
    assert callable(xai.methods)

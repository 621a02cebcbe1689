"""The campaign's own eyes: what it must see, it sees."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from tiny import CASES

import openvino_xai as xai

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from hostile_files import models, photos, records, served, trial, watch

CHANGES: dict[str, Callable[[Path], object]] = {
    "left: canary/new": lambda folder: (folder / "new").touch(),
    "left: canary/.ovxai-1": lambda folder: (folder / ".ovxai-1").mkdir(),
    "touched: canary/script": lambda folder: (folder / "script").chmod(0o700),
    "touched: canary/private": lambda folder: (folder / "private").write_bytes(b"other"),
    "touched: canary/photos/holiday.txt": lambda folder: os.utime(folder / "photos" / "holiday.txt", (0, 0)),
    "touched: canary/dangling is gone": lambda folder: (folder / "dangling").unlink(),
}


@pytest.mark.parametrize("difference", CHANGES)
def test_whatever_is_left_or_touched_is_seen(tmp_path: Path, difference: str) -> None:
    watch.canary(tmp_path / "canary")
    before = watch.Watch.of(tmp_path)
    assert before.differences(lambda name: False) == []
    CHANGES[difference](tmp_path / "canary")
    assert before.differences(lambda name: False) == [difference]


def test_other_bits_are_seen(tmp_path: Path) -> None:
    plain = CASES["pool and linear"].build(1, 17)
    onnx.save(plain, tmp_path / "plain.onnx")
    xai.insert(plain).save(tmp_path / "hooked.onnx")
    assert trial._compared(tmp_path / "plain.onnx", tmp_path / "hooked.onnx").name == "accepted"
    other = onnx.load(tmp_path / "hooked.onnx")
    weights = next(item for item in other.graph.initializer if item.name == "b")
    values = onnx.numpy_helper.to_array(weights).copy()
    values[0] += 1e-6
    weights.CopyFrom(onnx.numpy_helper.from_array(values, "b"))
    onnx.save(other, tmp_path / "hooked.onnx")
    assert trial._compared(tmp_path / "plain.onnx", tmp_path / "hooked.onnx").name == "wrong bits"


def test_a_secret_that_was_copied_is_seen(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"weights" + watch.SECRET)
    assert watch.leaked([tmp_path / "copy", tmp_path / "none"]) == [str(tmp_path / "copy")]


def test_every_kind_has_a_name_of_its_own() -> None:
    names = [*models.KINDS, *photos.KINDS, *records.KINDS, *served.KINDS]
    assert len(names) == len(set(names)) == len(set(trial.KINDS))


def test_a_name_that_leaves_its_field_is_seen(tmp_path: Path) -> None:
    xai.export(xai.insert(CASES["pool and linear"].build("B", 17)).model, tmp_path / "repo", server="triton", name="cells")
    assert served.faults(tmp_path / "repo") == []
    config = tmp_path / "repo" / "cells" / "config.pbtxt"
    text = config.read_text()
    config.write_text(text.replace('"logits"', '"other"'))
    assert served.faults(tmp_path / "repo") == ["injected: config.pbtxt: other names"]
    config.write_text(text + "version_policy { all { } }")
    assert served.faults(tmp_path / "repo") == ["injected: config.pbtxt: ParseError"]
    config.write_text(text)
    readme = tmp_path / "repo" / "README.md"
    readme.write_text(readme.read_text().replace("import numpy", "eval('1')\nimport numpy"))
    assert served.faults(tmp_path / "repo") == ["injected: README.md: AssertionError"]

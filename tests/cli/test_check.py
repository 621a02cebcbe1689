"""`ovxai explain --check` on a network that looks at one place alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from plain_detectors import decoding
from tiny import tiny

from openvino_xai.cli.app import main

Ovxai = Callable[..., tuple[str, str]]


@pytest.fixture
def ovxai(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ovxai:
    """What `ovxai explain` says on standard output and error. The class is as probable as the photo is bright at a place."""
    body = "f = Conv<pads=[1,1,1,1]>(image, k) p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm<transB=1>(v, w)"
    k, w = np.zeros((1, 3, 3, 3), np.float32), np.array([[12], [0], [0], [0], [0]], np.float32)
    k[:, :, 1, 1] = 1
    onnx.save(tiny(body, image=(3, 6, 6), k=k, w=w), tmp_path / "model.onnx")
    photo = np.random.default_rng(0).integers(0, 20, (6, 6, 3)).astype(np.uint8)
    photo[1:3, 1:4] = 255
    large = cv2.resize(photo, (240, 240), interpolation=cv2.INTER_NEAREST)
    for name in "abc":
        (tmp_path / "photos").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "photos" / f"{name}.png"), large)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, status: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", list(map(str, ["ovxai", "explain", *arguments])))
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert (end.value.code or 0) == status, err
        return out, err

    return run


FED = ("--scale-values", "255")


def test_one_photo(ovxai: Ovxai) -> None:
    out, _ = ovxai("model.onnx", "photos/a.png", *FED, "--check")
    assert "photos/a.png: covering the most salient 19% takes the score from 1.00 to 0." in out
    line = json.loads(Path("ovxai_out/explanations.jsonl").read_text().splitlines()[-1])
    check = line["targets"][0]["check"]
    assert check["covered"] < check["random"] <= check["score"]
    assert cv2.imread(line["targets"][0]["overlay"]).shape[0] > 240  # the text stands under the photo


@pytest.mark.slow
def test_a_folder_is_sampled(ovxai: Ovxai) -> None:
    out, _ = ovxai("model.onnx", "photos", *FED, "--check", "--check-limit", 2)
    assert "2 of 3 images checked, on average: covering the most salient 19% takes" in out
    out, _ = ovxai("model.onnx", "photos", *FED, "--check", "--json", "--again")
    assert all("check" in json.loads(line)["targets"][0] for line in out.splitlines())


def test_without_it_nothing_is_asked(ovxai: Ovxai) -> None:
    out, _ = ovxai("model.onnx", "photos", *FED, "--json")
    assert all("check" not in json.loads(line)["targets"][0] for line in out.splitlines())


def test_what_has_no_check(ovxai: Ovxai) -> None:
    for words in (("--against", "photos/b.png"), ("--engine", "local")):
        _, err = ovxai("model.onnx", "photos/a.png", "--check", *words, status=2)
        assert "leave out --check, or --against and --engine" in err
    onnx.save(decoding("xyxy"), "detector.onnx")
    _, err = ovxai("detector.onnx", "photos/a.png", "--check", status=2)
    assert "a check covers what the map of a class shows, and this model explains something else" in err

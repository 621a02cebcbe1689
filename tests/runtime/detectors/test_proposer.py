"""What a detector proposes, whether its file carries a hook or not."""

from __future__ import annotations

import numpy as np
import pytest
from plain_detectors import HEIGHT, WIDTH, decoding, returning
from tiny import CASES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.contract import RECORD
from openvino_xai.dialects.open import open_model
from openvino_xai.record.removal import unhooked
from openvino_xai.runtime.detectors.proposer import Proposer

IMAGES = np.random.default_rng(1).random((3, 3, HEIGHT, WIDTH), np.float32)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_a_hook_changes_nothing_of_what_is_proposed(dialect: str) -> None:
    plain = in_dialect(decoding("xyxy"), dialect)
    hooked = xai.insert(plain, targets="boxes:2", cut="heads", verify=False).model
    for first, second in zip(Proposer.of(plain)(IMAGES), Proposer.of(hooked)(IMAGES), strict=True):
        np.testing.assert_array_equal(first.boxes, second.boxes)
        np.testing.assert_array_equal(first.probabilities, second.probabilities)


@pytest.mark.slow
def test_the_record_tells_the_format_of_the_boxes() -> None:
    """A file of which several formats could be true: the hook was inserted with one."""
    model = returning("boxes = Exp(raw) ", 4)
    hooked = xai.insert(model, targets="boxes:2", cut="heads", boxes="distances", verify=False)
    assert len(Proposer.of(hooked.model)(IMAGES)) == 3


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_hook_is_taken_off_with_its_record(dialect: str) -> None:
    """So that another can be inserted; what else the model tells of itself stays."""
    model = in_dialect(CASES["3x3 convolution after the layer"].build(1, 17), dialect)
    opened = open_model(xai.insert(model, layer="f", verify=False).model)
    opened.set_info("model_info", {"labels": "cat dog"})
    plain = unhooked(opened)
    assert (plain.info(RECORD), plain.info("model_info")) == ({}, {"labels": "cat dog"})
    assert opened.info(RECORD)
    xai.insert(plain.object(), layer="f", verify=False)

"""What the page shows of an input is what the network is fed."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest
from small_server import random_photo

from openvino_xai.runtime.inputs.presets import PRESETS, updated_by
from openvino_xai.runtime.preprocessing import Preprocessing
from openvino_xai.ui.question import Question
from openvino_xai.ui.shown import fed

PLAIN = Preprocessing(size=(10, 14))


@pytest.mark.parametrize("preset", [*PRESETS, "negative"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize_type", ["standard", "fit_to_window_letterbox"])
def test_what_channels_hold(preset: str, channels: int, resize_type: str) -> None:
    values = {"scale_values": "-2"} if preset == "negative" else {"preset": preset}
    if channels == 1 and preset in ("imagenet", "caffe"):
        values = {"mean_values": "3", "scale_values": "7"}
    preprocessing = updated_by(replace(PLAIN, channels=channels), {**values, "resize_type": resize_type})
    content, sample = fed(preprocessing, random_photo()), preprocessing(random_photo())[0]
    assert len(content["channels"]) == channels
    for channel, plane in zip(content["channels"], sample, strict=True):
        numbers = [channel["least"], channel["mean"], channel["greatest"]]
        np.testing.assert_allclose(numbers, [plane.min(), plane.mean(), plane.max()], rtol=1e-5, atol=1e-5)
    assert content["words"] == preprocessing.summary
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(content["picture"]), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture.shape == (10, 14, 3)


def test_channels_are_named_by_the_colour_that_is_in_them() -> None:
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 200
    for reverse in ("yes", "no"):
        content = fed(updated_by(PLAIN, {"reverse_input_channels": reverse}), red)
        assert {channel["name"]: channel["greatest"] for channel in content["channels"]} == {"red": 200, "green": 0, "blue": 0}
        assert content["channels"][0]["name"] == ("red" if reverse == "yes" else "blue")


def test_what_is_covered_and_what_is_not() -> None:
    photo = random_photo()
    covered = Question(covers=((0.5, 0.25, 0.5, 0.5),)).covered(photo)
    assert (covered[6:18, 16:] == 127).all()
    covered[6:18, 16:] = photo[6:18, 16:]
    assert (covered == photo).all()
    blurred = Question(covers=((0, 0, 1, 1),), fill="blur").covered(photo)
    assert blurred.std() < photo.std() / 2
    assert abs(blurred.mean() - photo.mean()) < 5
    for cover in ((1.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.001), (0.99, 0.99, 1.0, 1.0)):  # nothing, and less than a pixel
        assert Question(covers=(cover,), fill="blur").covered(photo).shape == photo.shape
    assert (photo == random_photo()).all()

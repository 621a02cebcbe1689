"""The preprocessing of a model as it tells it."""

from __future__ import annotations

from collections.abc import Mapping

from openvino_xai.graph.model import Value
from openvino_xai.runtime.preprocessing import MODEL_INFO, Preprocessing


def own_preprocessing(image: Value, info: Mapping[str, str], *, channels_first: bool) -> Preprocessing:
    """What the input `image` itself implies, 224 x 224 where it takes any size, and its `model_info` says.

    Raises InputError for values that make no sense.
    """
    shape = image.shape or ()
    height, width, channels = (shape[axis] for axis in ((2, 3, 1) if channels_first else (1, 2, 3)))
    implied = Preprocessing(
        size=(height if isinstance(height, int) else 224, width if isinstance(width, int) else 224),
        layout="NCHW" if channels_first else "NHWC",
        dtype=str(image.dtype),
        channels=channels if isinstance(channels, int) else 3,
    )
    return implied.updated(info, source=MODEL_INFO)

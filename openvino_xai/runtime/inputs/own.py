"""The preprocessing of a model as it tells it."""

from __future__ import annotations

from collections.abc import Mapping

from openvino_xai.errors import InputError
from openvino_xai.graph.model import Value
from openvino_xai.runtime.preprocessing import MODEL_INFO, Preprocessing

EMBEDDED, INTENSITY = "embedded_processing", "intensity_mode"
RAW = {"mean_values": "0", "scale_values": "1", "reverse_input_channels": "False", "resize_type": "standard"}


def own_preprocessing(image: Value, info: Mapping[str, str], *, channels_first: bool) -> Preprocessing:
    """What the input `image` itself implies, 224 x 224 where it takes any size, and its `model_info` says.

    Where preprocessing is embedded in the model, its numbers tell what is done there, and pixels are fed as they are. Raises
    InputError for values that make no sense, and for what of Model API's preprocessing is not done here.
    """
    shape = image.shape or ()
    height, width, channels = (shape[axis] for axis in ((2, 3, 1) if channels_first else (1, 2, 3)))
    implied = Preprocessing(
        size=(height if isinstance(height, int) else 224, width if isinstance(width, int) else 224),
        layout="NCHW" if channels_first else "NHWC",
        dtype=str(image.dtype),
        channels=channels if isinstance(channels, int) else 3,
    )
    if info.get(INTENSITY, "none") not in ("none", "None", ""):
        raise InputError(f"{INTENSITY} is '{info[INTENSITY]}' in {MODEL_INFO}, and pixels of 0..255 alone are fed here")
    if info.get(EMBEDDED, "False").strip() in ("YES", "True"):
        if not (isinstance(height, int) and isinstance(width, int)):
            raise InputError(
                f"{EMBEDDED} is True in {MODEL_INFO}, and the input takes photos of any size, so that what the model cuts of "
                "them is not known here: take the model as it was before"
            )
        return implied.updated(RAW, source=MODEL_INFO)
    return implied.updated(info, source=MODEL_INFO)

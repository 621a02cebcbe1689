"""Random inputs for a deployed model, by which two models can be told apart, or timed."""

from __future__ import annotations

import numpy as np

from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Value

BATCH = 2  # images in a run, where the batch is dynamic: enough for one to disturb the other
SIDE = 224  # pixels, where height and width are dynamic


def random_inputs(model: Deployed, batch: int = BATCH, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Random images and the like, in the inputs' own shapes and types; a dynamic batch is `batch`.

    Raises ModelError for an input that is no tensor of numbers.
    """
    rng = np.random.default_rng(seed)
    return {value.name: _random(value, batch, rng) for value in model.graph.inputs}


def _random(value: Value, batch: int, rng: np.random.Generator) -> np.ndarray:
    if value.shape is None or value.dtype is None:
        raise ModelError(f"input '{value.name}' is no tensor of numbers with a known rank: nothing random can be given to it")
    shape = [size if isinstance(size, int) else batch if axis == 0 else SIDE for axis, size in enumerate(value.shape)]
    if value.dtype.kind == "f":
        return rng.standard_normal(shape).astype(value.dtype)
    return rng.integers(0, 256 if value.dtype.itemsize == 1 else 2, shape).astype(value.dtype)

"""The outputs of a hooked model, held to those of the plain one on as many batches as it takes to see a bit that changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from openvino_xai.contract import BOX, CLASS, FEATURES, INDEX, MAP, SCORE
from openvino_xai.dialects.protocol import Deployed, Runtime
from openvino_xai.dialects.random_inputs import BATCH, random_inputs
from openvino_xai.errors import OutputsChanged, VerificationError

ADDED = (MAP, CLASS, INDEX, BOX, SCORE, FEATURES)  # what a hook returns behind the outputs of the model
VALUES = 1000  # of the outputs, that are compared with the original's
FEWEST, MOST = 3, 16  # batches for that
AFFORDED = 200.0  # plain models that these may cost, beyond the fewest


def more_batches(original: Deployed, plain: Mapping[str, np.ndarray], cost: float) -> Iterator[dict[str, np.ndarray]]:
    """More random batches; where the batch is open, every other one is a single image.

    Kernels are chosen by the batch, and most clients send one image. Where a runtime fuses nodes in another way, the last bit
    of a value changes for some images and not for others: a few logits of one batch may be the same by chance.
    """
    values = sum(array.size for array in plain.values())
    count = min(max(-(-VALUES // max(values, 1)), FEWEST), MOST)
    for seed in range(1, max(FEWEST, min(count, int(AFFORDED / max(cost, 1.0))))):
        yield random_inputs(original, 1 if seed % 2 else BATCH, seed=seed)


def same_outputs(plain: dict[str, np.ndarray], new: dict[str, np.ndarray], runtime: Runtime) -> None:
    """Raise VerificationError where the outputs of a hooked model are not those of the plain one, to the bit."""
    names = [name for name in new if name not in ADDED]
    if names != list(plain):
        raise VerificationError(f"the hooked model's outputs are {list(new)}; {list(plain)} and {MAP} are expected")
    for name, array in plain.items():
        if not np.array_equal(array, new[name], equal_nan=array.dtype.kind == "f"):
            change = float(np.max(np.abs(array.astype(np.float64) - new[name])))
            raise OutputsChanged(
                f"output '{name}' changed by up to {change:.3g} in {runtime} when the hook was inserted; it must not change by "
                "a bit. The runtime fuses the model's nodes in another way when one of them is read: choose another layer",
                options=("layer",),
            )

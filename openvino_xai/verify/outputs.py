"""The outputs of a hooked model, held to those of the plain one on as many batches as it takes to see a bit that changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from openvino_xai.contract import GATE, nothing
from openvino_xai.dialects.protocol import Running, Runtime
from openvino_xai.dialects.random_inputs import BATCH
from openvino_xai.errors import ModelError, NoneRefused, OutputsChanged, VerificationError
from openvino_xai.verify.images import SampleImages

VALUES = 1000  # of the outputs, that are compared with the original's
FEWEST, MOST = 3, 16  # batches for that
AFFORDED = 200.0  # plain models that these may cost, beyond the fewest
# Scores of the same rows differ between kernels by rounding; 3e-7 of the largest was seen on real f32 models.
TOLERANCE = 1e-4


def more_batches(images: SampleImages, plain: Mapping[str, np.ndarray], cost: float) -> Iterator[dict[str, np.ndarray]]:
    """More random batches; where the batch is open, every other one is a single image.

    Kernels are chosen by the batch, and most clients send one image. Where a runtime fuses nodes in another way, the last bit
    of a value changes for some images and not for others: a few logits of one batch may be the same by chance.
    """
    values = sum(array.size for array in plain.values())
    count = min(max(-(-VALUES // max(values, 1)), FEWEST), MOST)
    for seed in range(1, max(FEWEST, min(count, int(AFFORDED / max(cost, 1.0))))):
        yield images.batch(1 if seed % 2 else BATCH, seed=seed)


def same_outputs(plain: dict[str, np.ndarray], new: dict[str, np.ndarray], runtime: Runtime) -> None:
    """Raise VerificationError where the outputs of a hooked model are not those of the plain one, to the bit."""
    if list(new)[: len(plain)] != list(plain) or len(new) == len(plain):
        raise VerificationError(f"the hooked model's outputs are {list(new)}; {list(plain)} and maps are expected")
    for name, array in plain.items():
        if not np.array_equal(array, new[name], equal_nan=array.dtype.kind == "f"):
            change = float(np.max(np.abs(array.astype(np.float64) - new[name])))
            raise OutputsChanged(
                f"output '{name}' changed by up to {change:.3g} in {runtime} when the hook was inserted; it must not change by "
                "a bit. The runtime fuses the model's nodes in another way when one of them is read: choose another layer",
                options=("layer",),
            )


def refuse_random(plain: dict[str, np.ndarray], again: dict[str, np.ndarray]) -> None:
    """Raise ModelError where a model has other outputs for the same inputs when it runs once more."""
    for name, array in plain.items():
        if not np.array_equal(array, again[name], equal_nan=array.dtype.kind == "f"):
            change = float(np.max(np.abs(array.astype(np.float64) - again[name])))
            raise ModelError(
                f"output '{name}' of the model without a hook differs by up to {change:.3g} from run to run for the same "
                "inputs: it draws random numbers, to which no map can be held; export it for inference, without dropout"
            )


def hold_gates(
    running: Running,
    *,
    inputs: Mapping[str, np.ndarray],
    plain: dict[str, np.ndarray],
    new: dict[str, np.ndarray],
    runtime: Runtime,
) -> None:
    """Hold maps of some images, and of none, to those of all; the original outputs do not change by a bit either way."""
    batch = len(inputs[GATE])
    for gates in (np.arange(batch) % 2 == 1, np.zeros(batch, bool)):
        try:
            outputs = running({**inputs, GATE: gates})
        except ModelError as error:
            if gates.any():
                raise
            raise NoneRefused(f"the runtime cannot explain no image at all: {error}") from error
        same_outputs(plain, outputs, runtime)
        for name in list(outputs)[len(plain) :]:
            if (outputs[name][~gates] != nothing(name)).any():
                raise VerificationError(f"'{name}' is not {nothing(name)} for an image that is not asked for")
            if not np.allclose(outputs[name][gates].astype(np.float64), new[name][gates], atol=TOLERANCE, rtol=TOLERANCE):
                raise VerificationError(f"'{name}' of an image changes when another is not asked for")

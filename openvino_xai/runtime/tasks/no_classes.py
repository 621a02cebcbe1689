"""Networks that tell no classes of images: what asks for these is refused, so that no number is taken for a probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.runtime.network import Network
from openvino_xai.tail.target import Pair


class NoClasses(Network):
    """A network whose output holds no scores of classes of images."""

    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        """Raises InputError: there is no probability of an image."""
        raise self._refusal()

    def maps(
        self, images: np.ndarray, classes: Sequence[int | Pair | None], *, logits: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Raises InputError: there is no map of a class of images."""
        raise self._refusal()

    def _refusal(self) -> InputError:
        task = self.record["task"]
        return InputError(
            f"the hook explains {task}, and what is asked for is of classes of images: `ovxai explain` explains it"
        )

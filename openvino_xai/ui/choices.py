"""What else a person may choose: the methods that a model takes, and the layers where a hook can go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from openvino_xai.contract import RECORD
from openvino_xai.dialects.open import Model
from openvino_xai.errors import OvxaiError
from openvino_xai.hooks import METHODS
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.locate.located import Where
from openvino_xai.locate.tasks.opening import opened
from openvino_xai.probes import BOX_PROBES, PROBES
from openvino_xai.surgery.layer import Layer
from openvino_xai.surgery.task import detector_of, tells_pixels


class Choices:
    """Methods and layers of a model, found when they are first asked for, which takes seconds.

    `insert` makes a hook by a method, without verifying it; `layers` lists where one can go. `of_vectors` where these
    are explained.
    """

    def __init__(
        self,
        model: Model,
        where: Where,
        *,
        insert: Callable[[str], object],
        layers: Callable[[], Sequence[Layer]],
        of_vectors: bool = False,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._model, self._where, self._insert, self._layers, self._alive = model, where, insert, layers, alive
        self._of_vectors = of_vectors
        self._working = threading.Lock()
        self._content: dict[str, Any] | None = None

    def __call__(self) -> dict[str, Any]:
        """The methods, each with the reason why not where it is not taken, and whether it asks the model again and again; the
        layers with their cells and what a hook costs there. None of either where the model carries a hook already.
        """
        with self._working:
            if self._content is None:
                self._content = self._listed()
            return self._content

    def _listed(self) -> dict[str, Any]:
        deployed = opened(self._model)
        if deployed.info(RECORD):
            return {"methods": [], "layers": [], "hooked": True}
        hooks, probes = list(METHODS), list(PROBES)
        alone = [name for name in hooks if name not in PROBES]  # what is both is asked as a probe, which explains classes
        if self._of_vectors:  # no probe asks for these, and layers are listed by their scores
            hooks = alone
            methods = [{"name": name, "reason": self._reason(name), "dear": False} for name in hooks]
            return {"methods": methods, "layers": [], "hooked": False}
        if detector_of(deployed, self._where) is not None:
            hooks, probes = list(ROW_METHODS), list(BOX_PROBES)
        elif tells_pixels(deployed, self._where):
            hooks, probes = alone, []
        methods = [{"name": name, "reason": self._reason(name), "dear": name in probes} for name in hooks]
        methods += [{"name": name, "reason": None, "dear": True} for name in probes if name not in hooks]
        layers = [
            {"name": layer.name, "cells": list(layer.cells), "cost": layer.cost, "method": layer.method}
            for layer in self._layers()
            if layer.reason is None
        ]
        return {"methods": methods, "layers": layers, "hooked": False}

    def _reason(self, method: str) -> str | None:
        """Why the model does not take a method, None where it does."""
        self._alive()
        try:
            self._insert(method)
        except OvxaiError as error:
            return str(error)
        return None

"""The model without a hook, by the runtime that is asked: all that a hooked one is held to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from openvino_xai.dialects.open import compile_for
from openvino_xai.dialects.protocol import Deployed, Running, Runtime
from openvino_xai.graph.model import Value


@dataclass(frozen=True, kw_only=True)
class Original:
    """The model without a hook, and the runtime that is asked."""

    model: Deployed
    runtime: Runtime

    def probing(self, *, read: Mapping[str, Value], inputs: Mapping[str, Value] = MappingProxyType({})) -> Running:
        """The model with the values `read` as more outputs, and some of its values as `inputs`, ready to run."""
        return self.compiled(self.model.probing(read=read, inputs=inputs))

    def plain(self) -> Running:
        """The model as its file has it, ready to run: in the older version of its format, where it was converted."""
        conversion = self.model.conversion
        return self.compiled(self.model if conversion is None else conversion.original)

    def returned(self, plain: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the `plain` model returned, and what more the model returns than its file: scores that it ranks."""
        more = [name for name in self.model.graph.outputs if name not in plain]
        outputs = self.compiled(self.model)(inputs) if more else {}
        return {**plain, **{name: outputs[name] for name in more}}

    def compiled(self, model: Deployed) -> Running:
        """A twin of the model, ready to run."""
        return compile_for(model, self.runtime)


def worst(differences: Iterable[float]) -> float:
    """The largest of differences, 0 of none; NaN where one of them is: Python's `max` would leave it out."""
    return float(np.max([0.0, *differences]))

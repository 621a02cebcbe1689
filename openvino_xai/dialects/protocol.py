"""What every dialect offers. Locating, planning and verifying are written once, against this.

A `Deployed` model owns its native object and may change it; `twin()` first where somebody else holds it too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from openvino_xai.files.watch import beat
from openvino_xai.graph.model import Graph, Node, Value
from openvino_xai.graph.sizes import Shape

Runtime: TypeAlias = Literal["onnxruntime", "openvino"]


@dataclass(frozen=True)
class Running:
    """A compiled model as a function from inputs to outputs by name, from any thread.

    `precision` is the one that runs. For measuring, `once` runs it and leaves the results where they are, and `many` runs it so
    often as fast as it can. `streams` is how many threads it serves best at a time.
    """

    run: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
    once: Callable[[Mapping[str, np.ndarray]], object]
    many: Callable[[Mapping[str, np.ndarray], int], None]
    precision: str
    streams: int = 1

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run it; whoever watches learns that the process gets on."""
        outputs = self.run(inputs)
        beat()
        return outputs


@dataclass(frozen=True)
class Adopted:
    """A compiled model that somebody else made: how it runs, its inputs and outputs as a graph of one node, where it runs.

    `info` is what it still tells about itself, by section.
    """

    running: Running
    graph: Graph
    device: str
    info: Callable[[str], dict[str, str]]


@dataclass(frozen=True)
class Conversion:
    """How a model came to a newer version of its format, from `before` to `after`: the `original` is only there to be run.

    The two are the same where the version is, and something else differs, as an output that the original has not.
    `written_as` names the form that its quantised operations were written in, where that is another.
    """

    original: Deployed
    before: int
    after: int
    written_as: Literal["", "QDQ"] = ""

    @property
    def entries(self) -> dict[str, str]:
        """What the record of a hook says of it."""
        versions = {"converted_from": str(self.before), "converted_to": str(self.after)} if self.before != self.after else {}
        return versions | ({"written_as": self.written_as} if self.written_as else {})


class Deployed(Protocol):
    """A model in one dialect; `runtime` is the dialect's own, first of those in `runtimes` that run its files.

    `conversion` is None where the model is read as its file has it.
    """

    suffix: str
    runtime: Runtime
    runtimes: tuple[Runtime, ...]
    native: Any
    conversion: Conversion | None

    @property
    def version(self) -> str:
        """The language of the file, and the version of its operations, in words."""

    @property
    def graph(self) -> Graph:
        """The model in the neutral form, read once, with native values of this model."""

    def twin(self) -> Deployed:
        """A copy that can be changed; weights are shared."""

    def reread(self) -> Deployed:
        """The same native model, of which the neutral form is read again: after it has grown."""

    def info(self, section: str) -> dict[str, str]:
        """What the model carries about itself under `section`, as text."""

    def set_info(self, section: str, values: Mapping[str, str]) -> None:
        """Write `values` under `section`."""

    def remove_info(self, section: str) -> None:
        """Remove what the model carries under `section`, if anything."""

    def constant(self, array: np.ndarray) -> Any:
        """A native value that holds `array`."""

    def repeat(self, node: Node, inputs: Sequence[Any], name: str) -> list[Any]:
        """The native outputs of a copy of `node` that reads `inputs`."""

    def emit(self, node: Node, inputs: Sequence[Any], name: str) -> Any:
        """The native output of a node of the vocabulary that reads `inputs`."""

    def evaluate(self, node: Node, arrays: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """The outputs of a copy of `node` for arrays; None is the model's own constant operand."""

    def shape_of(self, native: Any, axis: int, name: str) -> Any:
        """A native value [1], i64, with the size of one axis when the model runs."""

    def rewire(self, node: Node, index: int, native: Any) -> None:
        """Let an operand of a node be another native value."""

    def without(self, names: Collection[str]) -> Deployed:
        """A twin that has these outputs no more, nor what only they needed; inputs of these names, too, are no more."""

    def with_constants(self, arrays: Mapping[Value, np.ndarray]) -> Deployed:
        """A twin in which some constants hold other arrays, of the same shape and type."""

    def add_input(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> Any:
        """A native value that a caller has to give, behind the inputs that are there."""

    def add_output(self, native: Any, name: str, shape: Shape, dtype: np.dtype[Any]) -> None:
        """Make a native value the last output; `shape` and `dtype` are what it will have."""

    def probing(self, *, read: Mapping[str, Value], inputs: Mapping[str, Value]) -> Deployed:
        """A twin with the values `read` as more outputs, and the values `inputs` as inputs, whatever is computed there."""

    def object(self) -> Any:
        """The model as the object a caller knows: `ov.Model` or `onnx.ModelProto`."""

    def compile(
        self, device: str = "CPU", precision: str = "f32", hint: str = "LATENCY", cache_dir: Path | None = None
    ) -> Running:
        """The model, ready to run; `cache_dir` keeps what was compiled. Raises InputError for a device that is not there."""

    def save(self, path: Path) -> list[Path]:
        """Write the model, in the precision it has; the files written."""

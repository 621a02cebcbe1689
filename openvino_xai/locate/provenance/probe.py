"""A detector that is run with numbers put in, to tell what is only moved from one value to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from openvino_xai.dialects.protocol import Deployed, Running
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Value

SIDE = 256  # pixels, where height and width are open
SPREAD = (-1.0, 4.0)  # the mean and the deviation of log-odds that are put in
EXACT = {2: 2**11, 4: 2**24, 8: 2**53}  # whole numbers that floats of so many bytes tell apart


class Probe:
    """A model that is run for one random image, with some of its values put in and others read."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self._inputs = dict(_random(deployed))
        self._compiled: dict[tuple[tuple[Value, ...], tuple[Value, ...]], Running] = {}
        self.batch = max((len(array) for array in self._inputs.values() if array.ndim), default=1)

    def run(self, values: Mapping[Value, np.ndarray], *read: Value) -> list[np.ndarray]:
        """The values `read`, where `values` hold the arrays that are put in."""
        names = {value: f"ovxai_in_{i}" for i, value in enumerate(values)}
        outputs = {value: f"ovxai_out_{i}" for i, value in enumerate(read) if value not in values}
        if not outputs:
            return [values[value] for value in read]
        key = (tuple(values), read)
        if key not in self._compiled:
            # the shapes and types are those of a run: what a model tells of its values may be less
            inputs = {name: replace(v, shape=values[v].shape, dtype=values[v].dtype) for v, name in names.items()}
            probing = self._deployed.probing(read={name: value for value, name in outputs.items()}, inputs=inputs)
            self._compiled[key] = probing.compile()
        arrays = {**self._inputs, **{names[value]: array for value, array in values.items()}}
        results = self._compiled[key](arrays)  # inputs that are read no more are left out there
        return [values[value] if value in values else results[outputs[value]] for value in read]

    def scattered(
        self, elements: Mapping[Value, Sequence[np.ndarray]], *, beside: float | None = None
    ) -> dict[Value, np.ndarray]:
        """What values hold, with random log-odds in some elements of each image, so that some rows are detections.

        The other elements hold what is `beside`, or what they are for the image.
        """
        rng, values = np.random.default_rng(1), {}
        for value, array in zip(elements, self.run({}, *elements), strict=True):
            flat = array.reshape(len(array), -1).copy() if beside is None else np.full((len(array), array[0].size), beside)
            places = np.unique(np.concatenate([part.reshape(-1) for part in elements[value]]))
            flat[:, places] = rng.normal(*SPREAD, (len(array), len(places)))
            values[value] = flat.reshape(array.shape).astype(array.dtype)
        return values

    def distinct(self, value: Value, ends: Sequence[Value]) -> int:
        """How many different elements of its ends a value holds."""
        index, element = self.followed(list(dict.fromkeys(ends)), value)
        return len(np.unique(np.stack([index, element]), axis=1).T)

    def followed(
        self, sources: Sequence[Value], read: Value, *, ones: Sequence[Value] = (), rooted: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """For each element of `read`, of one image: the index of the source that it is moved from, and its element there.

        -1 stands for none. Every element of a source is given a number, digit by digit where floats are short; what does not
        come out as it was put in, with either sign, was not only moved. Nor was what is scaled by a whole number, which comes
        out as another element's number: so elements are counted from the last on, too. Where values called `ones` are factors,
        they hold ones. Of what is `rooted`, squares are put in, and no negative numbers.
        """
        arrays = self.run({}, *sources)
        plain = [array.reshape(self.batch, -1) for array in arrays]
        starts = np.cumsum([0, *(array.shape[1] for array in plain)])
        exact = EXACT[min(array.dtype.itemsize for array in plain)]
        total, base = int(starts[-1]), (int(exact**0.5) if rooted else exact) // 2
        factors = {value: np.ones_like(array) for value, array in zip(ones, self.run({}, *ones), strict=True)} if ones else {}
        digits = max(1, int(np.ceil(np.log(total + 1) / np.log(base))))
        first_to_last = np.arange(1, total + 1)

        def come_out(ids: np.ndarray) -> np.ndarray:
            values = dict(factors)
            ids = ids**2 if rooted else ids
            for i, (source, array) in enumerate(zip(sources, arrays, strict=True)):
                of_source = np.broadcast_to(ids[starts[i] : starts[i + 1]], plain[i].shape)
                values[source] = of_source.reshape(array.shape).astype(array.dtype)
            return np.asarray(self.run(values, read)[0].reshape(self.batch, -1)[0])

        moved, numbers, from_last = np.ones(1, bool), np.zeros(1, np.int64), np.zeros(1, np.int64)
        for power in base ** np.arange(digits):
            forward, back, other = (
                come_out(sign * (ids // power % base))
                for sign, ids in ((1, first_to_last), (1 if rooted else -1, first_to_last), (1, first_to_last[::-1]))
            )
            moved = (
                moved & (forward == np.round(forward)) & (forward == (back if rooted else -back)) & (other == np.round(other))
            )
            numbers = numbers + np.where(moved, forward, 0).astype(np.int64) * power
            from_last = from_last + np.where(moved, other, 0).astype(np.int64) * power
        there = moved & (numbers >= 1) & (numbers <= total) & (numbers + from_last == total + 1)
        index = np.where(there, np.searchsorted(starts, np.where(there, numbers - 1, 0), side="right") - 1, -1)
        return index, np.where(there, numbers - 1 - starts[np.maximum(index, 0)], -1)


def _random(deployed: Deployed) -> Iterator[tuple[str, np.ndarray]]:
    """A random image, and whatever else a model is given."""
    rng = np.random.default_rng(0)
    for value in deployed.graph.inputs:
        if value.shape is None or value.dtype is None:
            raise ModelError(f"input '{value.name}' is no tensor of numbers with a known rank")
        shape = [size if isinstance(size, int) else 1 if axis == 0 else SIDE for axis, size in enumerate(value.shape)]
        array = rng.random(shape) if value.dtype.kind == "f" else rng.integers(0, 2, shape)
        yield value.name, array.astype(value.dtype)

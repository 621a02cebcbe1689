"""Two models timed in turn in one process, so that what the machine does meanwhile happens to both."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from openvino_xai.dialects.protocol import Running

WARM_UP = 3
ROUNDS = 6  # of throughput, for each of the two


@dataclass(frozen=True)
class Pair:
    """Seconds of each inference (plain, hooked), [2, iterations], and images a second of each round, [2, rounds]."""

    latency: np.ndarray
    throughput: np.ndarray

    @property
    def latency_ratio(self) -> float:
        """Median latency of the hooked model over the plain one's."""
        plain, hooked = np.median(self.latency, axis=1)
        return float(hooked / plain)

    @property
    def throughput_ratio(self) -> float:
        """Median throughput of the hooked model over the plain one's."""
        plain, hooked = np.median(self.throughput, axis=1)
        return float(hooked / plain)


def measure(
    plain: Running, hooked: Running, inputs: Mapping[str, np.ndarray], iterations: int, tick: Callable[[], None] = lambda: None
) -> Pair:
    """Latencies of both, taken in turn as plain, hooked, hooked, plain ..., and then their throughputs in the same way."""
    models = (plain, hooked)
    batch = next(iter(inputs.values())).shape[0]
    (latency,) = turns(plain, hooked, inputs, iterations, tick)
    count = max(iterations // ROUNDS, 2)
    throughput = np.zeros((2, ROUNDS))
    for i in range(ROUNDS):
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            start = time.perf_counter()
            models[which].many(inputs, count)
            throughput[which, i] = count * batch / (time.perf_counter() - start)
        tick()
    return Pair(latency, throughput)


def turns(
    plain: Running,
    hooked: Running,
    inputs: Mapping[str, np.ndarray],
    iterations: int,
    tick: Callable[[], None] = lambda: None,
    *,
    clocks: Sequence[Callable[[], float]] = (time.perf_counter,),
) -> np.ndarray:
    """Seconds of each inference by each clock, [clocks, 2, iterations], taken in turn as plain, hooked, hooked, plain ..."""
    models = (plain, hooked)
    for model in models:
        for _ in range(WARM_UP):
            model.once(inputs)
    seconds = np.zeros((len(clocks), 2, iterations))
    for i in range(iterations):
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            starts = [clock() for clock in clocks]
            models[which].once(inputs)
            seconds[:, which, i] = [clock() - start for clock, start in zip(clocks, starts, strict=True)]
        tick()
    return seconds

"""Which cases of slow tests run: a third of them, the same ones each time, unless all are asked for with `--every-case`.

A case is one set of parameters of a test. A test of few cases runs all of them, and one of many runs at least one. A digest of
its name tells whether a case runs, which spreads those that run over all parameters, whatever their order. Of a test with five
or six cases one value of a parameter may be left out.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pytest

OPTION = "--every-case"
FEW = 3  # cases that are always run
PARTS = 3  # one of so many runs


def sampled(cases: Sequence[str]) -> list[str]:
    """The cases of one test, by their names, that run."""
    if len(cases) <= FEW:
        return list(cases)
    return [case for case in cases if zlib.crc32(case.encode()) % PARTS == 0] or list(cases[:1])


def left_out(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The collected tests that do not run."""
    tests = defaultdict[str, list[pytest.Item]](list)
    for item in items:
        if item.get_closest_marker("slow") is not None:
            tests[item.nodeid.partition("[")[0]].append(item)
    return [
        item
        for cases in tests.values()
        for running in [set(sampled([item.name for item in cases]))]
        for item in cases
        if item.name not in running
    ]

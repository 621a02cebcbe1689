"""The words of a method's vocabulary: which it uses, and each of them broken, which an oracle has to see."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from openvino_xai.graph.vocabulary import WORDS, numpy_namespace


def words_used(run: Callable[[Any], object]) -> list[str]:
    """The words that `run` uses of the namespace that it is given, sorted."""
    used: set[str] = set()

    def spy(word: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            used.add(word)
            return getattr(numpy_namespace(), word)(*args, **kwargs)

        return call

    run(SimpleNamespace(**{word: spy(word) for word in WORDS}))
    return sorted(used)


def broken_by(word: str) -> Any:
    """NumPy's vocabulary, of which one word returns something else."""

    def broken(*args: Any, **kwargs: Any) -> Any:
        result = getattr(numpy_namespace(), word)(*args, **kwargs)
        return ~result if result.dtype == bool else np.roll(result, 1) if result.size > 12 else result * 0.5

    return SimpleNamespace(**{**vars(numpy_namespace()), word: broken})

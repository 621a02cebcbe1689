"""A hook of somebody else: it is called as any, and what it gets wrong is told in its name."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from openvino_xai.errors import OvxaiError, PlanError

SLIPS = (TypeError, AttributeError, ValueError, LookupError, ArithmeticError, AssertionError, NotImplementedError)


def guarded(name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    """The same hook, which raises PlanError where it fails, or returns something else than saliency [B, N, K] or [B, N, 1]."""

    @wraps(hook)
    def call(xp: Any, site: Any) -> Any:
        try:
            saliency = hook(xp, site)
        except OvxaiError:
            raise
        except SLIPS as error:
            raise PlanError(
                f"the method '{name}', which was registered, fails: {type(error).__name__}: {error}. A hook computes with the "
                "words of xp (openvino_xai.graph.vocabulary.Namespace) and what a site offers (openvino_xai.hooks.site.Site), "
                "and not with NumPy",
                options=("method",),
            ) from error
        shape, cells = getattr(saliency, "shape", None), site.cells().shape
        if shape is None or len(shape) != 3 or shape[1] != cells[1]:
            there = f"shape [{', '.join(map(str, shape))}]" if shape is not None else type(saliency).__name__
            raise PlanError(
                f"the method '{name}', which was registered, returns {there}: saliency [B, N, K], or [B, N, 1] for all "
                f"classes, is expected, with N = {cells[1]} cells",
                options=("method",),
            )
        return saliency

    return call

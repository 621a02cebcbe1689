"""What tests in several folders are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openvino_xai.errors import OutputsChanged
from openvino_xai.surgery import insert
from openvino_xai.surgery.request import Request


@pytest.fixture(scope="session")
def torch() -> Any:
    """Torch with the grad-cam package, for checks that are made where they are installed."""
    module = pytest.importorskip("torch", reason="torch is not installed: an optional check")
    for name, signature in (
        ("nms", "(Tensor a, Tensor b, float c) -> Tensor"),
        ("qnms", "(Tensor a, Tensor b, float c) -> Tensor"),
    ):
        module.library.define(f"torchvision::{name}", signature)  # torchvision has no CPU build
    pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed: an optional check")
    return module


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The requests of which hooks are verified, in order."""
    return _noting(monkeypatch, lambda requests: None)


@pytest.fixture
def changed_once(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """As `verified`, where the first hook is said to change the model's outputs."""

    def refuse_first(requests: list[Request]) -> None:
        if len(requests) == 1:
            raise OutputsChanged("output 'logits' changed")

    return _noting(monkeypatch, refuse_first)


def _noting(monkeypatch: pytest.MonkeyPatch, before: Callable[[list[Request]], None]) -> list[Request]:
    real, requests = insert.verify_hook, []

    def noted(original: Any, hooked: Any, located: Any, request: Request, *, cost: float) -> Any:
        requests.append(request)
        before(requests)
        return real(original, hooked, located, request, cost=cost)

    monkeypatch.setattr(insert, "verify_hook", noted)
    return requests

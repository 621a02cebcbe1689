"""What tests in several folders are given."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def torch() -> Any:
    """Torch with the grad-cam package, for checks that are made where they are installed."""
    found = pytest.importorskip("torch", reason="torch is not installed: an optional check")
    for name, signature in (
        ("nms", "(Tensor a, Tensor b, float c) -> Tensor"),
        ("qnms", "(Tensor a, Tensor b, float c) -> Tensor"),
    ):
        found.library.define(f"torchvision::{name}", signature)  # torchvision has no CPU build
    pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed: an optional check")
    return found

"""What tests in several folders are given."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from openvino_xai.errors import OutputsChanged
from openvino_xai.plan.decision import Decision, Head
from openvino_xai.surgery import classes


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


@pytest.fixture(scope="session")
def zoo() -> ModuleType:
    """What `scripts/zoo.py` does with each model."""
    path = Path(__file__).parents[1] / "scripts" / "zoo_one.py"
    spec = importlib.util.spec_from_file_location("zoo_one", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A browser without a window, for what pages do."""
    driver = shutil.which("chromedriver")
    if driver is None:
        # A browser is no Python package: those that carry one want libraries of the system, or download it when they run. The
        # tests must pass where there is only Python and git, so the controls are tried where a browser is; what a page holds
        # is tested without one.
        pytest.skip("there is no chromedriver here (Debian: apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    flags = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900")
    for flag in (*flags, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"):  # a camera that is a drawing
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[Decision]:
    """The decisions of which hooks are verified, in order."""
    return _noting(monkeypatch, lambda call: None)


@pytest.fixture
def changed_once(monkeypatch: pytest.MonkeyPatch) -> list[Decision]:
    """As `verified`, where the first hook is said to change the model's outputs."""

    def refuse_first(call: int) -> None:
        if call == 1:
            raise OutputsChanged("output 'logits' changed")

    return _noting(monkeypatch, refuse_first)


def _noting(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None]) -> list[Decision]:
    real, decisions, calls = classes.verify_hook, list[Decision](), itertools.count(1)

    def noted(original: Any, hooked: Any, heads: Sequence[Head], *, cost: float) -> Any:
        decisions.extend(head.decision for head in heads)
        before(next(calls))
        return real(original, hooked, heads, cost=cost)

    monkeypatch.setattr(classes, "verify_hook", noted)
    return decisions

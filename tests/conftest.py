"""What tests in several folders are given."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from colours import colour_model, photo_examples
from command import ovxai
from sampling.cases import OPTION, left_out

from openvino_xai.errors import OutputsChanged
from openvino_xai.plan.decision import Decision, Head
from openvino_xai.surgery import classes


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="run every case of slow tests, and not a third of them")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption(OPTION):
        return
    idle = left_out(items)
    config.hook.pytest_deselected(items=idle)
    running = set(items) - set(idle)
    items[:] = [item for item in items if item in running]


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
    path = Path(__file__).parents[1] / "scripts" / "alone" / "zoo.py"
    spec = importlib.util.spec_from_file_location("zoo", path)
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
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`scripts/` as a program there sees it; what a test imports of it is forgotten behind it."""
    folder, loaded = Path(__file__).parents[1] / "scripts", set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield
    stems = {path.stem for path in folder.iterdir()}
    for name in [name for name in sys.modules if name not in loaded and name.split(".")[0] in stems]:
        del sys.modules[name]


@pytest.fixture
def command() -> Callable[..., str]:
    """What `ovxai` says to some words: on standard output, or on standard error where it fails."""

    def run(*words: object, status: int = 0) -> str:
        done = ovxai(*words, status=status)
        return done.stderr if status else done.stdout

    return run


@pytest.fixture
def evaluate_colours(command: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """What `ovxai evaluate` says of photos of one colour each, on standard error where it fails."""
    photo_examples(tmp_path / "photos")
    onnx.save(colour_model(), tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    return partial(command, "evaluate", "model.onnx", "photos", "--scale-values", "255")


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

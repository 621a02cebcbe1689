"""Whatever is passed to whatever is public, an OvxaiError says what was expected: nothing else is raised, and nothing hangs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from results import classes, match
from tiny import CASES
from tiny_detector import detector

import openvino_xai as xai
from openvino_xai.errors import OvxaiError
from openvino_xai.hooks import METHODS
from openvino_xai.locate import locate
from openvino_xai.probes import PROBES, Settings
from openvino_xai.runtime.ready import explain as module
from openvino_xai.runtime.ready.networks import Shelf

pytestmark = pytest.mark.slow
PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
MODEL = CASES["pool and linear"].build(1, 17)


class Rude:
    """An object of which nothing can be asked."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def junk() -> Iterator[Any]:
    """What nobody means, each anew."""
    circle: list[Any] = []
    circle.append(circle)
    yield from (None, 3.5, float("nan"), float("inf"), True, -1, 0, 10**30, -(10**30), 1j, ..., object(), Rude(), Rude, int)
    yield from ("", "\0", " ", "x" * 5000, "\ud800", "\x1b[31m", "../..", "top:", "top:0", "9" * 5000, "٣")
    yield from (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", bytearray(b"x"), memoryview(b"x"))
    yield from ([], [[]], circle, [None], ["a", 3], (), (1, 2, 3), {}, {1: 2}, {"a": circle}, set(), frozenset({1}), range(0))
    yield from (np.zeros(0), np.zeros((2, 2)), np.array("x"), np.array([None]), np.zeros((3, 4, 3), complex), np.float32("nan"))
    yield from (np.zeros((1, 3, 6, 8), np.float16), np.zeros((2, 3, 6, 8), "M8[s]"), np.int8(-3), np.zeros((6, 8, 3), ">f8"))
    yield from (
        (k for k in range(3)),
        iter([]),
        lambda: 3,
        print,
        Path(),
        Path("none.onnx"),
        onnx.ModelProto(),
        onnx.NodeProto(),
    )


class Call(NamedTuple):
    """A public call that works, with all its arguments by name."""

    function: Callable[..., Any]
    arguments: dict[str, Any]


def options_of(function: Callable[..., Any], *without: str) -> dict[str, Any]:
    """The arguments of a function that have defaults, with these."""
    parameters = inspect.signature(function).parameters
    return {name: item.default for name, item in parameters.items() if item.default is not item.empty and name not in without}


def calls(folder: Path) -> dict[str, Call]:
    onnx.save(MODEL, folder / "model.onnx")
    hooked = xai.insert(MODEL)
    hooked.save(folder / "hooked.onnx")
    network = xai.load(hooked)
    boxes = xai.load(detector([(2, 2, 20, 20)], [0], [0.9]))
    batch = np.zeros((1, 3, 6, 8), np.float32)
    result = classes()
    of_model = {"model": folder / "model.onnx"}
    explaining = dict.fromkeys([*module.HOOK_OPTIONS, *module.PROBE_SETTINGS])
    return {
        "insert": Call(xai.insert, of_model | options_of(xai.insert)),
        "layers": Call(xai.layers, of_model | options_of(xai.layers)),
        "locate": Call(locate, of_model | {"where": None}),
        "Where.parse": Call(xai.Where.parse, options_of(xai.Where.parse)),
        "load": Call(xai.load, of_model | options_of(xai.load)),
        "load_heads": Call(xai.load_heads, of_model | options_of(xai.load_heads)),
        "probe": Call(xai.probe, of_model | {"method": "rise"} | options_of(xai.probe)),
        "wrap": Call(xai.wrap, {"compiled": None} | options_of(xai.wrap)),
        "export": Call(
            xai.export, {"model": folder / "hooked.onnx", "output": folder / "o", "server": "ovms"} | options_of(xai.export)
        ),
        "methods": Call(xai.methods, options_of(xai.methods)),
        "explain": Call(xai.explain, of_model | {"image": PHOTO} | options_of(xai.explain)),
        "explain, options": Call(xai.explain, {"model": MODEL, "image": PHOTO} | explaining),
        "explain, rise": Call(xai.explain, {"model": MODEL, "image": PHOTO, "method": "rise", "masks": 2, "seed": 0}),
        "register_method": Call(xai.register_method, {"name": "junk", "hook": print} | options_of(xai.register_method)),
        "register_probe": Call(xai.register_probe, {"name": "junk", "probe": print} | options_of(xai.register_probe)),
        "metrics.case": Call(xai.metrics.case, {"network": network, "image": PHOTO} | options_of(xai.metrics.case)),
        "metrics.measure": Call(xai.metrics.measure, {"case": xai.metrics.case(network, PHOTO), "names": ["complexity"]}),
        "Settings": Call(Settings, options_of(Settings)),
        "Network.explain": Call(network.explain, {"image": PHOTO} | options_of(network.explain)),
        "Network.configure": Call(network.configure, options_of(network.configure)),
        "Network.match": Call(network.match, {"image": PHOTO, "other": PHOTO}),
        "Network": Call(network, {"batch": batch, "explain": None, "classes": None}),
        "Network.predict": Call(network.predict, {"images": batch, "logits": False}),
        "Network.predict_photos": Call(network.predict_photos, {"photos": [PHOTO], "logits": False}),
        "Network.maps": Call(network.maps, {"images": batch, "classes": [0], "logits": False}),
        "Network.prepare": Call(network.prepare, {"photo": PHOTO}),
        "Network.label": Call(network.label, {"k": 0}),
        "Detector.explain": Call(boxes.explain, {"image": PHOTO} | options_of(boxes.explain)),
        "Detector.configure": Call(boxes.configure, options_of(boxes.configure)),
        "Hooked.save": Call(hooked.save, {"path": folder / "again.onnx", "force": True}),
        "Explanation": Call(
            xai.Explanation,
            {
                "image": PHOTO,
                "predictions": (),
                "targets": (),
                "maps": np.zeros((0, 2, 2)),
                "box": (0, 0, 1, 1),
                "record": {},
                "path": None,
            },
        ),
        "Prediction": Call(xai.Prediction, {"id": 0, "label": "", "probability": 0.5}),
        "Contrast": Call(xai.Contrast, {"id": 0, "label": "", "probability": 0.5, "other": xai.Prediction(1, "", 0.5)}),
        "Explanation.save": Call(result.save, {"folder": folder / "out", "name": None}),
        "Explanation.load": Call(xai.Explanation.load, {"path": folder / "out"}),
        "Explanation.plot": Call(result.plot, options_of(result.plot)),
        "Explanation.overlay": Call(result.overlay, options_of(result.overlay)),
        "Explanation.heatmap": Call(result.heatmap, options_of(result.heatmap)),
        "Explanation.maps_in_photo": Call(result.maps_in_photo, options_of(result.maps_in_photo)),
        "Explanation.grid": Call(result.grid, {"style": xai.Style()}),
        "Style": Call(xai.Style, options_of(xai.Style)),
        "Match.maps_in_photos": Call(match().maps_in_photos, options_of(match().maps_in_photos)),
    }


NAMES = [
    "insert",
    "layers",
    "locate",
    "Where.parse",
    "load",
    "load_heads",
    "probe",
    "wrap",
    "export",
    "methods",
    "explain",
    "explain, options",
    "explain, rise",
    "register_method",
    "register_probe",
    "metrics.case",
    "metrics.measure",
    "Settings",
    "Network.explain",
    "Network.configure",
    "Network.match",
    "Network",
    "Network.predict",
    "Network.predict_photos",
    "Network.maps",
    "Network.prepare",
    "Network.label",
    "Detector.explain",
    "Detector.configure",
    "Hooked.save",
    "Explanation",
    "Prediction",
    "Contrast",
    "Explanation.save",
    "Explanation.load",
    "Explanation.plot",
    "Explanation.overlay",
    "Explanation.heatmap",
    "Explanation.maps_in_photo",
    "Explanation.grid",
    "Style",
    "Match.maps_in_photos",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Call]:
    return calls(tmp_path_factory.mktemp("junk"))


@pytest.fixture(autouse=True)
def unregistered() -> Iterator[None]:
    """What is registered meanwhile is gone after a test."""
    yield
    for methods in (METHODS, PROBES):
        for name in methods.added:
            dict.pop(methods, name)
        methods.added.clear()


def test_every_public_call_is_in_the_table(table: dict[str, Call]) -> None:
    assert list(table) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_junk_is_refused(name: str, table: dict[str, Call], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "SHELF", Shelf())
    function, arguments = table[name]
    wrong = []
    for argument in arguments:
        for value in junk():
            given_arguments = {**arguments, argument: value}
            if name == "explain, options":
                given_arguments = {"model": MODEL, "image": PHOTO, argument: value}
            try:
                function(**given_arguments)
            except OvxaiError as error:
                assert str(error)
                assert len(str(error)) < 13000, error
            except Exception as error:  # noqa: BLE001 - whatever it is, it is wrong
                wrong.append(f"{argument}={type(value).__name__} {_short(value)}: {type(error).__name__}: {str(error)[:150]}")
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong)


def _short(value: object) -> str:
    try:
        return repr(value)[:40]
    except RuntimeError:
        return "?"

"""The page in a browser: what it feeds and what it shows are what Python feeds and returns.

The model itself runs where OVXAI_ONNXRUNTIME_WEB names a folder of npm's package: `npm install onnxruntime-web`.
"""

from __future__ import annotations

import base64
import functools
import http.server
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from small_server import encoded
from tiny import CASES, tiny
from tiny_detector import detector

import openvino_xai as xai
from openvino_xai.render.overlay import stretch
from openvino_xai.render.photo import decode_photo, read_photo
from openvino_xai.serve.export import export

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RUNTIME = os.environ.get("OVXAI_ONNXRUNTIME_WEB")
needs_runtime = pytest.mark.skipif(RUNTIME is None, reason="OVXAI_ONNXRUNTIME_WEB names no folder of npm's onnxruntime-web")
CASE = CASES["pool and linear"]
EVIL = "</script><img src=x onerror=document.title='broken'>"
ADAPTERS = "No available adapters"  # what Chromium says where there is no graphics card

BASE64 = """
const base64 = ({ buffer, byteOffset, byteLength }) => {
  let all = "";
  for (const byte of new Uint8Array(buffer, byteOffset, byteLength)) all += String.fromCharCode(byte);
  return btoa(all);
};
"""
FED = f"""{BASE64}
const [text, done] = arguments;
decoded(new Blob([bytes(text)])).then((photo) => {{
  const numbers = fedNumbers(fedPixels(photo));
  done({{ numbers: base64(numbers), box: shownBox(photo), size: [photo.height, photo.width] }});
}}, (error) => done({{ error: error.message }}));
"""
RAN = f"""{BASE64}
const [text, done] = arguments;
(async () => {{
  const loaded = await load("wasm", () => {{}}), photo = await decoded(new Blob([bytes(text)]));
  const results = await loaded.session.run(feedsOf(loaded.ort, fedNumbers(fedPixels(photo)), 1));
  return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, base64(tensor.data)]));
}})().then(done, (error) => done({{ error: error.message }}));
"""
DROP = """
const [text, name] = arguments, dataTransfer = new DataTransfer();
dataTransfer.items.add(new File([bytes(text)], name, { type: "image/png" }));
const how = { dataTransfer, bubbles: true, cancelable: true };
for (const kind of ["dragover", "drop"]) at("stage").dispatchEvent(new DragEvent(kind, how));
"""
MAPS = """
const maps = answer.targets ? answer.targets.map(({ map }) => map) : answer.predictions.map(({ id }) => answer.mapOf(id));
return maps.map(({ values }) => [...values]);
"""
RESULTS = "return [...document.querySelectorAll('#results .choice')].map((item) => item.textContent)"
PREDICTIONS = "return answer.predictions.map(({ id, probability, isAnswer }) => [id, probability, isAnswer])"
OTHER_MAPS = """
const real = mapAt;
let level = 0;
mapAt = (...from) => {
  const map = real(...from);
  map.values.fill((level += 30));
  return map;
};
"""
PLACES = "return (answer.targets ?? []).map(({ place }) => place)"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, as Python's own server gives it."""
    handler = functools.partial(Quiet, directory=str(folder))
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64  # a browser asks for all scripts at once


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def opened(browser: Any, folder: Path) -> Iterator[Any]:
    """The page of a folder, which asks nobody else for anything, and of which the browser has nothing to say."""
    browser.set_window_size(1280, 900)
    browser.set_script_timeout(120)
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    with served(folder) as address:
        browser.get(address)
        until(lambda: status(browser) == "ready" or error(browser))
        yield browser
        entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        urls = [entry["params"]["request"]["url"] for entry in entries if entry["method"] == "Network.requestWillBeSent"]
        assert urls
        assert [url for url in urls if not url.startswith((address, "data:", "blob:"))] == []
        assert [entry["message"] for entry in browser.get_log("browser") if ADAPTERS not in entry["message"]] == []
        browser.get("about:blank")


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (outcome := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return outcome


def status(page: Any) -> str:
    """What the page says of itself; nothing where its scripts have not been run."""
    return page.execute_script("return typeof at === 'undefined' ? '' : at('status').textContent")


def error(page: Any) -> str:
    return page.execute_script("return typeof at === 'undefined' || at('error').hidden ? '' : at('error').textContent")


def results(page: Any) -> list[str]:
    return page.execute_script(RESULTS)


def evaluated(page: Any, script: str, data: bytes) -> Any:
    answer = page.execute_async_script(script, base64.b64encode(data).decode())
    assert "error" not in answer, answer["error"]
    return answer


def drop(page: Any, data: bytes, name: str = "dropped.png") -> None:
    page.execute_script("at('status').textContent = ''")
    page.execute_script(DROP, base64.b64encode(data).decode(), name)
    until(lambda: "a frame" in status(page) or error(page))


def photos() -> list[np.ndarray]:
    """Of many sizes: smaller than an input of 48 x 64, larger, a whole number of times as large, and as narrow as can be."""
    rng = np.random.default_rng(5)
    sizes = [(48, 64), (96, 128), (192, 320), (31, 45), (100, 47), (40, 200), (1, 1), (2, 300), (333, 500)]
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def model(
    info: dict[str, str] | None = None,
    *,
    nhwc: bool = False,
    kind: str = "FLOAT",
    channels: int = 3,
    batch: int | str = "B",
    tail: str = "logits = Identity(l)",
    output: str = "float[B,5] logits",
) -> onnx.ModelProto:
    """A tiny classifier of 48 x 64 pixels, whose image has another layout, type or number of channels, and a `tail`."""
    ahead = "y = Cast<to=1>(image)" + (" x = Transpose<perm=[0,3,1,2]>(y)" if nhwc else " x = Identity(y)")
    sizes = (48, 64, channels) if nhwc else (channels, 48, 64)
    weights = {**CASE.weights, "w0": (4, channels, 3, 3)}
    weights |= {name: array for name, array in LEVELS.items() if name in tail}
    body = CASE.body.replace("image", "x").replace("logits =", "l =")
    network = tiny(f"{ahead} {body} {tail}", image=sizes, batch=batch, output=output, **weights)
    network.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DataType.Value(kind)
    onnx.helper.set_model_props(network, {f"model_info {key}": text for key, text in (info or {}).items()})
    return network


LEVELS = {"step": np.array(0.03, np.float32), "zero": np.array(3, np.int8), "first": np.array(0)}
IMAGENET = {"mean_values": "123.675 116.28 103.53", "scale_values": "58.395 57.12 57.375", "reverse_input_channels": "True"}
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stretched, RGB": ({"info": IMAGENET}, {}),
    "cropped, halves, BGR": ({"info": {"resize_type": "crop", "scale_values": "255"}, "kind": "FLOAT16"}, {"targets": "all"}),
    "letterbox": ({"info": {**IMAGENET, "resize_type": "fit_to_window_letterbox", "pad_value": "114"}}, {"targets": "2,0"}),
    "padded, bytes, channels last": (
        {"info": {"resize_type": "fit_to_window", "pad_value": "7"}, "nhwc": True, "kind": "UINT8"},
        {"targets": "top:2"},
    ),
    "grey, two at once": ({"info": {"mean_values": "128"}, "channels": 1, "batch": 2}, {"scale": "u8"}),
    "gate": ({"info": IMAGENET}, {"gate": True}),
    "asked": ({"info": IMAGENET}, {"targets": "asked"}),
    "raw scores of several labels": ({"info": {**IMAGENET, "multilabel": "True", "labels": "a b c d e"}}, {"scale": "none"}),
    "whole numbers for scores": (
        {"info": IMAGENET, "tail": "logits = QuantizeLinear(l, step, zero)", "output": "int8[B,5] logits"},
        {},
    ),
    "scores without a batch": (
        {"info": IMAGENET, "tail": "logits = Gather(l, first)", "output": "float[5] logits", "batch": 1},
        {},
    ),
}


@pytest.fixture(params=MODELS)
def variant(request: Any, tmp_path: Path) -> tuple[Path, Path]:
    """A hooked file, and the folder of its page."""
    how, options = MODELS[request.param]
    path = xai.insert(model(**how), layer="f", **options).save(tmp_path / "m_xai.onnx")
    export(path, tmp_path / "site", server="web", runtime=RUNTIME)
    return path, tmp_path / "site"


def test_what_is_fed_has_the_bits_of_python(variant: tuple[Path, Path], browser: Any) -> None:
    path, site = variant
    preprocessing = xai.load(path).preprocessing
    with page_without_runtime(browser, site) as page:
        for photo in photos():
            fed = evaluated(page, FED, encoded(photo))
            expected = preprocessing(photo)
            numbers = np.frombuffer(base64.b64decode(fed["numbers"]), expected.dtype).reshape(-1, *expected.shape[1:])
            assert (numbers == expected).all(), (photo.shape, np.abs(numbers.astype(float) - expected).max())
            left, top, width, height = np.array(fed["box"]) * np.tile(photo.shape[1::-1], 2)
            assert np.allclose([left, top, left + width, top + height], preprocessing.box(photo.shape[:2]), atol=1e-6)


@contextmanager
def page_without_runtime(browser: Any, folder: Path) -> Iterator[Any]:
    """The page, which may have found no runtime: what it feeds can be asked all the same."""
    with served(folder) as address:
        browser.get(address)
        until(lambda: status(browser) == "ready" or error(browser))
        yield browser
        browser.get("about:blank")


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_photos_are_turned_as_their_exif_says(turn: int, tmp_path: Path, browser: Any) -> None:
    photo = cv2.resize(np.random.default_rng(turn).integers(0, 256, (6, 8, 3), dtype=np.uint8), (80, 60))
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes([0, turn, 0, 0]) + bytes(4)
    jpeg = encoded(photo, ".jpg")
    data = jpeg[:2] + b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff + jpeg[2:]
    path = xai.insert(model(), layer="f").save(tmp_path / "m.onnx")
    export(path, tmp_path / "site", server="web")
    with page_without_runtime(browser, tmp_path / "site") as page:
        fed = evaluated(page, FED, data)
    turned = decode_photo(data, "photo")
    assert tuple(fed["size"]) == turned.shape[:2]
    numbers = np.frombuffer(base64.b64decode(fed["numbers"]), np.float32).reshape(1, 3, 48, 64)
    assert np.abs(numbers - xai.load(path).preprocessing(turned)).max() <= 1  # decoders of JPEG may round in other ways


def test_transparent_pixels_lie_on_white(tmp_path: Path, browser: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 4), dtype=np.uint8)
    data = cv2.imencode(".png", pixels)[1].tobytes()
    path = xai.insert(model(), layer="f").save(tmp_path / "m.onnx")
    export(path, tmp_path / "site", server="web")
    with page_without_runtime(browser, tmp_path / "site") as page:
        fed = evaluated(page, FED, data)
    numbers = np.frombuffer(base64.b64decode(fed["numbers"]), np.float32).reshape(1, 3, 48, 64)
    assert np.abs(numbers - xai.load(path).preprocessing(decode_photo(data, "photo"))).max() <= 2


def test_without_a_runtime_the_page_says_what_is_missing(tmp_path: Path, browser: Any) -> None:
    export(xai.insert(model(), layer="f").save(tmp_path / "m.onnx"), tmp_path / "site", server="web")
    with page_without_runtime(browser, tmp_path / "site") as page:
        assert "its README.md says which files of npm's onnxruntime-web" in error(page)


@needs_runtime
def test_what_is_shown_is_what_python_explains(variant: tuple[Path, Path], browser: Any) -> None:
    path, site = variant
    network = xai.load(path)
    photo = photos()[8]
    expected = network.explain(photo, targets="all" if network.record["targets"] != "asked" else None)
    with opened(browser, site) as page:
        drop(page, encoded(photo))
        assert error(page) == ""
        shown = page.execute_script(PREDICTIONS)
        assert [item[0] for item in shown] == [item.id for item in expected.predictions]
        assert np.allclose([item[1] for item in shown], [item.probability for item in expected.predictions], atol=1e-5)
        assert [item[0] for item in shown if item[2]] == list(expected.answers or ())
        for target, saliency in zip(expected.targets, expected.maps, strict=True):
            page.execute_script("pick(arguments[0])", target.id)
            until(lambda wanted=target.id: page.execute_script("return !running && current()") == wanted)
            cells = page.execute_script("return [...currentMap().values]")
            assert np.abs(np.reshape(cells, saliency.shape) - stretch(saliency) * 255).max() <= 1


SAMPLES = {
    "efficientnet_lite0_int8.onnx": (
        {"targets": "top:5", "scale": "u8"},
        ["images/cat.png", "images/coffee.png", "images/rocket.jpg"],
    ),
    "ultraface_rfb320.onnx": ({"targets": "boxes:4"}, ["faces/astronaut.png", "images/coffee.png"]),
}


@needs_runtime
@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str, tmp_path: Path, browser: Any) -> None:
    """INT8 to the bit, float within 1 of 255: the same file in Python's ONNX Runtime."""
    options, names = SAMPLES[name]
    path = xai.insert(ROOT / "samples/models" / name, **options).save(tmp_path / "m_xai.onnx")
    export(path, tmp_path / "site", server="web", runtime=RUNTIME)
    network = xai.load(path)
    with opened(browser, tmp_path / "site") as page:
        for photo in names:
            data = (ROOT / "samples" / photo).read_bytes()
            pixels = read_photo(ROOT / "samples" / photo)
            outputs = evaluated(page, RAN, data)
            arrays = network(network.preprocessing(pixels))
            for output, array in arrays.items():
                here = np.frombuffer(base64.b64decode(outputs[output]), array.dtype).reshape(array.shape)
                if "int8" in name and not photo.endswith(".jpg"):
                    assert here.tobytes() == array.tobytes(), (photo, output)
                elif array.dtype == np.float32:
                    apart = (
                        1e-2 if photo.endswith(".jpg") else 1e-5
                    )  # decoders of JPEG, and kernels of floats, round in other ways
                    assert np.allclose(here, array, rtol=apart, atol=apart), (photo, output)
            drop(page, data)
            expected = network.explain(pixels, targets="all")
            maps = page.execute_script(MAPS)
            assert len(maps) == len(expected.maps)
            for cells, saliency in zip(maps, expected.maps, strict=True):
                assert np.abs(np.reshape(cells, saliency.shape) - stretch(saliency) * 255).max() <= 1
            height, width = pixels.shape[:2]
            for place, target in zip(page.execute_script(PLACES), expected.targets, strict=False):
                left, top, wide, tall = np.array(place) * [width, height, width, height]
                assert np.allclose([left, top, left + wide, top + tall], target.box, atol=0.1)


@needs_runtime
def test_a_strangers_labels_are_text(tmp_path: Path, browser: Any) -> None:
    boxes = [[4, 4, 30, 20], [10, 8, 39, 31]]
    info = {"label_info": json.dumps({"label_names": [EVIL, "b", "c"]})}
    onnx.save(detector(boxes, [0, 1], [0.9, 0.7], info=info), tmp_path / "m_xai.onnx")
    export(tmp_path / "m_xai.onnx", tmp_path / "site", server="web", name="evil", runtime=RUNTIME)
    with opened(browser, tmp_path / "site") as page:
        drop(page, encoded(photos()[3]), f"{EVIL}.png")
        assert results(page) == ["all 2 boxes", f"{EVIL}90.0%", "b70.0%"]
        assert page.title == "evil - ovxai"
        assert page.execute_script("return document.querySelectorAll('img, main script').length") == 0
        page.execute_script("element('p', document.body).innerHTML = arguments[0]", EVIL)  # if the page took it for markup
        time.sleep(0.5)
        assert page.title == "evil - ovxai"
        said = [entry["message"] for entry in page.get_log("browser")]
        assert any("inline event handler" in line for line in said), said


@needs_runtime
def test_a_persons_hands(tmp_path: Path, browser: Any) -> None:
    """Keys, the slider, boxes as buttons, a broken photo, the camera, and a narrow screen."""
    from selenium.webdriver import ActionChains

    onnx.save(detector([[4, 4, 30, 20], [10, 8, 39, 31]], [0, 1], [0.9, 0.7]), tmp_path / "m_xai.onnx")
    export(tmp_path / "m_xai.onnx", tmp_path / "site", server="web", runtime=RUNTIME)
    with opened(browser, tmp_path / "site") as page:
        drop(page, encoded(photos()[8]))
        joint = page.execute_script("return [...currentMap().values]")
        page.execute_script("document.querySelector('#results input').focus()")
        ActionChains(page).send_keys("\ue015").perform()  # arrow down
        assert page.execute_script("return [chosen, document.querySelectorAll('.mark[aria-pressed=true]').length]") == [0, 1]
        assert page.execute_script("return [...currentMap().values]") != joint
        page.find_elements("css selector", ".mark")[1].send_keys("\ue007")  # enter
        assert page.execute_script("return chosen") == 1
        page.execute_script("at('opacity').focus()")
        ActionChains(page).send_keys("\ue011").perform()  # home
        assert page.execute_script("return getComputedStyle(at('map')).opacity") == "0"
        drop(page, b"no photo")
        assert "cannot read the photo" in error(page)
        drop(page, b"")
        assert error(page) == "the photo is empty"
        page.find_element("id", "camera").click()
        until(lambda: page.execute_script("return stream !== null && times.length === FRAMES"))
        assert error(page) == ""
        page.find_element("id", "camera").click()
        assert page.execute_script("return stream === null")
        metrics = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            assert page.execute_script("return document.documentElement.scrollWidth") <= 390
        finally:
            page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@needs_runtime
def test_a_graphics_card_is_held_to_the_processor(tmp_path: Path, browser: Any) -> None:
    """The processor stands for the card: what it says is taken where it is the same, and the processor goes on where not."""
    onnx.save(detector([[4, 4, 30, 20], [10, 8, 39, 31]], [0, 1], [0.9, 0.7]), tmp_path / "m_xai.onnx")
    export(tmp_path / "m_xai.onnx", tmp_path / "site", server="web", runtime=RUNTIME)
    choose = "sessions.webgpu = sessions.wasm; at('place').onchange({ target: { value: 'webgpu' } })"
    with opened(browser, tmp_path / "site") as page:
        drop(page, encoded(photos()[8]))
        page.execute_script(choose)
        until(lambda: "same answer, and a map that is 0 of 255 apart" in page.execute_script("return at('apart').textContent"))
        assert page.execute_script("return place") == "webgpu"
        page.execute_script(OTHER_MAPS)
        page.execute_script(choose)
        until(lambda: "the processor goes on" in page.execute_script("return at('apart').textContent"))
        assert page.execute_script("return [place, at('place').value]") == ["wasm", "wasm"]


@needs_runtime
def test_weights_beside_the_file(tmp_path: Path, browser: Any) -> None:
    onnx.save(model(IMAGENET), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    path = xai.insert(tmp_path / "m.onnx", layer="f").save(tmp_path / "m_xai.onnx")
    export(path, tmp_path / "site", server="web", runtime=RUNTIME)
    assert (tmp_path / "site" / "model.onnx.data").is_file()
    with opened(browser, tmp_path / "site") as page:
        drop(page, encoded(photos()[8]))
        assert error(page) == ""
        expected = xai.load(path).explain(photos()[8])
        shown = page.execute_script(PREDICTIONS)
        assert np.allclose([item[1] for item in shown], [item.probability for item in expected.predictions], atol=1e-5)

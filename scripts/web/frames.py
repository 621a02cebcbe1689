"""What a hook costs a frame of the page, in Chromium: `python scripts/web/frames.py --work FOLDER`.

Needs chromedriver, selenium and npm, which fetches onnxruntime-web into FOLDER. The sample models are hooked and written as
pages. The plain file lies beside the hooked one, and both explain a sample photo in one tab, a block of frames in turn, as
WASM on one thread. A frame is all that the page does with a photo that is decoded: it resizes, runs, reads, and shows photo
and classes; and the map, where there is one. Printed are milliseconds a frame: of the processor, as Chromium counts them for
the tab's process, and of a clock (median), which other programs disturb.
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import json
import shutil
import statistics
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compare import MODELS, ROOT
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

import openvino_xai as xai
from openvino_xai.serve.export import export

BLOCKS, FRAMES = 8, 10
START = """
const [text, done] = arguments;
(async () => {
  const { ort, session } = await load("wasm", () => {}), options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
  const plain = await ort.InferenceSession.create("./plain.onnx", options);
  photo = await decoded(new Blob([bytes(text)]));
  const fed = () => fedNumbers(fedPixels(photo)), numbers = fed();
  const shown = (results) => {
    if (data.task === "classes") answer = classesOf(results, photo);
    showPhoto();
    listResults();
  };
  const explained = (results) => { answer = explanationOf(results, photo); show(); };
  answer = { targets: [], predictions: [] };
  window.kinds = {
    "plain model": () => plain.run(feedsOf(ort, numbers, 0)),
    "hooked model": () => run({ ort, session }, numbers, null),
    "plain frame": async () => shown(await plain.run(feedsOf(ort, fed(), 0))),
    "hooked frame": async () => explained(await run({ ort, session }, fed(), null)),
  };
})().then(() => done(null), (error) => done(String(error)));
"""
BLOCK = """
const [kind, frames, done] = arguments;
(async () => {
  const times = [];
  for (let frame = 0; frame < frames; frame++) {
    const begin = performance.now();
    await window.kinds[kind]();
    times.push(performance.now() - begin);
    await new Promise((drawn) => { requestAnimationFrame(drawn); });
  }
  return times;
})().then(done, (error) => done(String(error)));
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "install", "--silent", "--prefix", str(work), "onnxruntime-web"], check=True)
    version = json.loads((work / "node_modules/onnxruntime-web/package.json").read_text())["version"]
    with opened() as browser:
        print(f"onnxruntime-web {version}, Chromium {browser.capabilities['browserVersion']}, {BLOCKS * FRAMES} frames of each")
        for name, (photo, how) in MODELS.items():
            times = measured(browser, page_of(work, name, how), (ROOT / "samples" / photo).read_bytes())
            for what in ("model", "frame"):
                (plain, plain_clock), (hooked, hooked_clock) = times[f"plain {what}"], times[f"hooked {what}"]
                print(
                    f"{name} {how}, {what}: plain {plain:.1f} ms of the processor, hooked {hooked:.1f}, "
                    f"{hooked / plain:.2f} times; by the clock {plain_clock:.1f} and {hooked_clock:.1f} ms"
                )


@contextmanager
def opened() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.set_script_timeout(300)
        browser.execute_cdp_cmd("Performance.enable", {})
        yield browser
    finally:
        browser.quit()


def page_of(work: Path, name: str, how: dict[str, Any]) -> Path:
    """The page of a hooked sample, with the plain file beside the hooked one."""
    path = xai.insert(ROOT / "samples/models" / name, **how).save(work / f"{Path(name).stem}_xai.onnx", force=True)
    folder = work / f"{Path(name).stem}_site"
    shutil.rmtree(folder, ignore_errors=True)
    export(path, folder, server="web", runtime=work)
    shutil.copy(ROOT / "samples/models" / name, folder / "plain.onnx")
    return folder


def measured(browser: Any, folder: Path, photo: bytes) -> dict[str, tuple[float, float]]:
    """Milliseconds of each kind of frame: of the processor, and the median by the clock."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.get(f"http://127.0.0.1:{server.server_address[1]}/")
        if problem := browser.execute_async_script(START, base64.b64encode(photo).decode()):
            raise SystemExit(problem)
        kinds = browser.execute_script("return Object.keys(window.kinds)")
        processor, clock = dict.fromkeys(kinds, 0.0), {kind: list[float]() for kind in kinds}
        for block in range(BLOCKS + 1):
            for kind in kinds if block % 2 else reversed(kinds):
                begin = processor_time(browser)
                times = browser.execute_async_script(BLOCK, kind, FRAMES)
                if block:  # the first are compiled meanwhile
                    processor[kind] += processor_time(browser) - begin
                    clock[kind] += times
        server.shutdown()
    return {kind: (1000 * processor[kind] / (BLOCKS * FRAMES), statistics.median(clock[kind])) for kind in kinds}


def processor_time(browser: Any) -> float:
    """Seconds that the tab's process has computed."""
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "ProcessTime")


if __name__ == "__main__":
    main()

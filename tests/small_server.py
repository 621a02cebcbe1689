"""A client that may do what no browser does, and a tiny model for the page to be about."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import onnx
from tiny import tiny

from openvino_xai.errors import InputError
from openvino_xai.runtime.loading import load
from openvino_xai.surgery.insert import insert
from openvino_xai.ui.question import Choice
from openvino_xai.ui.server import KEY, Server


def encoded(photo: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, photo[..., ::-1])[1].tobytes()


def random_photo(height: int = 24, width: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@dataclass(frozen=True)
class Client:
    """Sends requests to a server, as its own page unless told otherwise."""

    server: Server

    def send(
        self, method: str, path: str, body: bytes | None = None, *, without: str = "", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """The status, the headers and the content of what is answered."""
        sent = {
            "Host": self.server.hosts[0],
            "Origin": f"http://{self.server.hosts[0]}",
            KEY: self.server.key,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if name != without:
                connection.putheader(name, value)
        if body is not None and "Content-Length" not in sent and without != "Content-Length":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, dict(response.getheaders()), content

    def ask(self, data: bytes = b"", *, status: int = 200, path: str = "/explain", **question: Any) -> dict[str, Any]:
        """What a question is answered."""
        answer, _, content = self.send("POST", path, json.dumps(question).encode() + b"\n" + data)
        assert answer == status, content
        return json.loads(content)


def small() -> onnx.ModelProto:
    body = (
        "f = Conv<pads=[1,1,1,1]>(image, k) g = Relu(f) p = GlobalAveragePool(g) v = Flatten(p) logits = Gemm<transB=1>(v, w)"
    )
    return tiny(body, image=(3, 12, 16), k=(4, 3, 3, 3), w=np.random.default_rng(1).normal(0, 0.02, (5, 4)).astype(np.float32))


def small_load(choice: Choice, tell: Callable[[int, int], None]) -> Any:
    """A tiny classifier with a hook; the method `boom` breaks, `slow` says how far it is."""
    if choice.method == "boom":
        raise RuntimeError("the runtime\nis broken")
    if choice.method == "slow":
        for done in range(500):
            tell(done, 500)
            threading.Event().wait(0.01)
    if choice.method not in (None, "reciprocam", "grad_cam"):
        raise InputError(f"method '{choice.method}' is not known")
    model = small()
    targets = "asked" if choice.method == "grad_cam" else None
    network = load(insert(model, method=choice.method, layer=choice.layer, targets=targets, verify=False))
    network.configure(labels=["cat", "dog & <b>co</b>", "<img src=x onerror=document.title='broken'>", "fox", "x" * 200])
    network.notify = None
    return network

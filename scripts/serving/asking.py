"""Requests that clients send, and those that none should."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

PATIENCE = 120  # seconds
FORM = "multipart/form-data; boundary=limit"


def v2_checks(address: str, samples: Path) -> dict[str, bool]:
    """What a server answers as JSON by the Open Inference Protocol."""
    arrays, checks = np.load(samples), {}
    both = post(address, arrays["images"][:2], ["logits", "saliency_map"])
    checks["outputs in order"] = list(both) == ["logits", "saliency_map"]
    checks["maps"] = bool(np.allclose(both["saliency_map"], arrays["maps"][:2], atol=1e-4))
    scores = post(address, arrays["images"][:1], ["logits"])
    checks["logits alone"] = list(scores) == ["logits"] and bool(np.allclose(scores["logits"], arrays["logits"][:1], rtol=1e-6))
    checks["old client"] = next(iter(post(address, arrays["images"][:1], []))) == "logits"
    return checks | {f"refused: {name}": is_refused(address, body) for name, body in mistakes().items()}


def post(address: str, images: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """One request of the Open Inference Protocol."""
    content: dict[str, Any] = {
        "inputs": [{"name": "image", "shape": list(images.shape), "datatype": "FP32", "data": images.reshape(-1).tolist()}]
    }
    if outputs:
        content["outputs"] = [{"name": name} for name in outputs]
    tensors = post_json(address, content)["outputs"]
    return {output["name"]: np.array(output["data"], np.float32).reshape(output["shape"]) for output in tensors}


def post_json(address: str, body: Any) -> Any:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def mistakes() -> dict[str, Any]:
    """Requests that no client should send."""
    shape = [1, 3, 224, 224]
    size = int(np.prod(shape))
    image = {"name": "image", "shape": shape, "datatype": "FP32", "data": [0.5] * size}
    changed: dict[str, dict[str, Any]] = {
        "another name": {"name": "img"},
        "another rank": {"shape": shape[1:]},
        "another size": {"shape": [1, 3, 112, 448]},
        "no images": {"shape": [0, *shape[1:]], "data": []},
        "another type": {"datatype": "FP64"},
        "too few numbers": {"data": [0.5] * (size - 1)},
        "words": {"data": ["a"] * size},
        "NaN": {"data": [float("nan")] * size},
    }
    return {
        **{name: {"inputs": [{**image, **change}]} for name, change in changed.items()},
        "no input": {"inputs": []},
        "two of a name": {"inputs": [image, image]},
        "another output": {"inputs": [image], "outputs": [{"name": "maps"}]},
        "another protocol": {"instances": [[0.5]]},
    }


def is_refused(address: str, body: Any, kind: str = "application/json") -> bool:
    """Whether a request is said to be the client's mistake, and no file of a source is named."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address, content, {"Content-Type": kind})
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except urllib.error.HTTPError as error:
        return 400 <= error.code < 500 and not any(word in error.read().decode() for word in (".py", ".cpp", ".cc", "/src"))
    return False


def refuses(address: str, port: int) -> bool:
    """Whether nothing listens there."""
    try:
        socket.create_connection((address, port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def uploaded(photo: bytes) -> bytes:
    """A photo as a form of a browser holds it."""
    head = b'--limit\r\nContent-Disposition: form-data; name="photo"; filename="photo"\r\n\r\n'
    return head + photo + b"\r\n--limit--\r\n"

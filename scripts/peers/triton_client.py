"""Ask a Triton that serves the sample network, plain and hooked, and tell what was seen: run in Triton's own environment.

    python triton_client.py HTTP GRPC SAMPLES.npz REQUESTS

SAMPLES.npz holds `images`, and what the models answer when they run alone: `logits`, `maps`. One JSON object on stdout.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from tritonclient import grpc, http
from tritonclient.utils import InferenceServerException

PLAIN, OLD, HOOKED, DRAWN = "plain", "sample", "sample_xai", "drawn_overlay"
TOLERANCE = 1e-4  # between maps of one image alone and in a batch that Triton made: kernels round by their shape


class Client:
    """One client of either protocol."""

    def __init__(self, module: Any, address: str, **options: Any) -> None:
        self.module, self.client = module, module.InferenceServerClient(address, **options)

    def ask(self, model: str, images: np.ndarray, outputs: list[str], **options: Any) -> dict[str, np.ndarray]:
        image = self.module.InferInput("image", list(images.shape), "FP32")
        image.set_data_from_numpy(images, **({"binary_data": options["binary"]} if "binary" in options else {}))
        more = {"binary_data": options["binary"]} if "binary" in options else {}
        wanted = [self.module.InferRequestedOutput(name, **more) for name in outputs]
        result = self.client.infer(model, [image], outputs=wanted)
        names = [output["name"] if isinstance(output, dict) else output.name for output in answered(result)]
        assert sorted(names) == sorted(outputs), names  # an ensemble answers in no order
        return {name: result.as_numpy(name) for name in outputs}


def answered(result: Any) -> Any:
    response = result.get_response()
    return response["outputs"] if isinstance(response, dict) else response.outputs


def main(http_address: str, grpc_address: str, samples: str, requests: str) -> None:
    arrays = np.load(samples)
    images, logits, maps = arrays["images"], arrays["logits"], arrays["maps"]
    both = ["logits", "saliency_map"]
    by_http, by_grpc = Client(http, http_address, network_timeout=120.0), Client(grpc, grpc_address)
    checks: dict[str, bool] = {}

    outputs = by_http.ask(HOOKED, images[:1], both)
    checks["http, binary"] = np.array_equal(outputs["logits"], logits[:1]) and np.allclose(
        outputs["saliency_map"], maps[:1], atol=TOLERANCE
    )
    text = by_http.ask(HOOKED, images[:1], both, binary=False)
    checks["http, json"] = np.allclose(text["logits"], logits[:1], rtol=1e-6) and np.allclose(
        text["saliency_map"], maps[:1], atol=TOLERANCE
    )
    outputs = by_grpc.ask(HOOKED, images[:1], both)
    checks["grpc"] = np.array_equal(outputs["logits"], logits[:1]) and np.allclose(
        outputs["saliency_map"], maps[:1], atol=TOLERANCE
    )
    checks["logits alone"] = np.array_equal(by_grpc.ask(HOOKED, images[:1], ["logits"])["logits"], logits[:1])
    checks["the old endpoint"] = np.array_equal(by_http.ask(OLD, images[:1], ["logits"])["logits"], logits[:1])
    plain = by_grpc.ask(PLAIN, images[:1], ["logits"])["logits"]
    checks["bits of the plain model"] = np.array_equal(plain, logits[:1])
    several = by_grpc.ask(HOOKED, images[:3], both)
    checks["a batch of three"] = all(
        np.allclose(several["saliency_map"][i], maps[i], atol=TOLERANCE) and several["logits"][i].argmax() == logits[i].argmax()
        for i in range(3)
    )
    metadata = by_grpc.client.get_model_metadata(OLD)
    checks["old outputs, old order"] = [output.name for output in metadata.outputs] == ["logits"]
    checks["overlays"] = all(drawn_right(client, arrays) for client in (by_http, by_grpc))
    checks["64 at once"] = all(ThreadPoolExecutor(64).map(lambda n: mixed(n, http_address, grpc_address, arrays), range(64)))
    checks["one mistake fails no other"] = all(
        ThreadPoolExecutor(16).map(
            lambda n: mistaken(n, grpc_address, arrays) if n % 2 else mixed(n, http_address, grpc_address, arrays), range(32)
        )
    )
    print(json.dumps({"checks": checks, **load(grpc_address, arrays, int(requests))}))


def drawn_right(client: Client, arrays: Any) -> bool:
    """Whether PNG bytes come, beside the bits of the logits, for a batch of photos, and show what `explain` draws of them.

    A map of a batch is not that of one image to the last bit, so that a colour may be the next one: by 2 of 255, halved.
    """
    count = len(arrays["overlays"])
    answer = client.ask(DRAWN, arrays["images"][:count], ["logits", "overlay"])
    pictures = [
        cv2.imdecode(np.frombuffer(item, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for item in answer["overlay"].reshape(-1)
    ]
    difference = np.abs(np.stack(pictures).astype(int) - arrays["overlays"])
    alone = client.ask(DRAWN, arrays["images"][:1], ["logits"])  # the step is left out
    return bool(
        difference.max() <= 4 and (difference > 0).mean() < 0.01 and np.array_equal(alone["logits"], arrays["logits"][:1])
    )


def mixed(number: int, http_address: str, grpc_address: str, arrays: Any) -> bool:
    """One of many clients: its own protocol, endpoint and image, and the right answer."""
    client = Client(http, http_address, network_timeout=120.0) if number % 2 else Client(grpc, grpc_address)
    which, maps = number % len(arrays["images"]), number % 3 == 0
    outputs = client.ask(
        HOOKED if maps else OLD, arrays["images"][which : which + 1], ["logits", "saliency_map"] if maps else ["logits"]
    )
    right = np.allclose(outputs["logits"][0], arrays["logits"][which], atol=1e-3)
    return bool(right and (not maps or np.allclose(outputs["saliency_map"][0], arrays["maps"][which], atol=TOLERANCE)))


def mistaken(number: int, address: str, arrays: Any) -> bool:
    """A client whose image has NaN, in a batch with those of others, and that is told so."""
    which = number % len(arrays["images"])
    try:
        Client(grpc, address).ask(HOOKED, np.full_like(arrays["images"][which : which + 1], np.nan), ["logits", "saliency_map"])
    except InferenceServerException as error:
        return "input 'image' has data that are not finite" in str(error)
    return False


def load(address: str, arrays: Any, requests: int) -> dict[str, Any]:
    """So many requests to each of the plain and the hooked model, in turns of a tenth, four clients at a time."""
    turns = 10
    spent: dict[str, list[float]] = {PLAIN: [], HOOKED: []}
    rate: dict[str, list[float]] = {PLAIN: [], HOOKED: []}
    wrong = 0
    local = threading.local()

    def ask(job: tuple[str, int]) -> tuple[float, bool]:
        model, number = job
        if not hasattr(local, "client"):
            local.client = Client(grpc, address)
        which = number % len(arrays["images"])
        outputs = ["logits"] if model == PLAIN else ["logits", "saliency_map"]
        start = time.perf_counter()
        answer = local.client.ask(model, arrays["images"][which : which + 1], outputs)
        took = time.perf_counter() - start
        right = np.allclose(answer["logits"][0], arrays["logits"][which], atol=1e-3)
        return took, bool(
            right and (model == PLAIN or np.allclose(answer["saliency_map"][0], arrays["maps"][which], atol=TOLERANCE))
        )

    with ThreadPoolExecutor(4) as pool:
        for turn in range(turns):
            for model in (PLAIN, HOOKED) if turn % 2 == 0 else (HOOKED, PLAIN):
                start = time.perf_counter()
                answers = list(pool.map(ask, [(model, number) for number in range(requests // turns)]))
                rate[model].append(len(answers) / (time.perf_counter() - start))
                spent[model] += [took for took, _ in answers]
                wrong += sum(not right for _, right in answers)
    return {
        "requests": {model: len(taken) for model, taken in spent.items()},
        "wrong": wrong,
        "throughput": {model: float(np.median(rates)) for model, rates in rate.items()},
        "throughput_ratio": float(np.median(np.array(rate[HOOKED]) / np.array(rate[PLAIN]))),
        "p50_ms": {model: float(np.percentile(taken, 50) * 1e3) for model, taken in spent.items()},
        "p99_ms": {model: float(np.percentile(taken, 99) * 1e3) for model, taken in spent.items()},
    }


if __name__ == "__main__":
    main(*sys.argv[1:])

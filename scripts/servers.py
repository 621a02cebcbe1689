"""The sample network, exported, served by real servers, and asked as clients ask.

    python scripts/servers.py --work FOLDER [--requests 1000]

NVIDIA Triton comes from PyPI (nvidia-pytriton bundles the server and its Python backend) into a virtual environment of its own
in FOLDER. It serves three endpoints on this machine alone: the plain network, and of the hooked one the pair that `--legacy`
makes. What was seen is written to FOLDER/servers.json; the exit status is 1 where an answer was wrong, and 0, with the reason
printed, where Triton cannot run here. KServe's own server is asked in the same way.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.render.photo import read_photo
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.export import export
from openvino_xai.serve.servers.kserve import VERSION as KSERVE_VERSION
from openvino_xai.serve.servers.server import Options
from openvino_xai.serve.servers.triton import write_triton

SAMPLES = Path(__file__).parents[1] / "samples"
CLIENT = Path(__file__).parent / "peers" / "triton_client.py"
PACKAGES = ("nvidia-pytriton==0.7.0", "numpy<2", "tritonclient[http,grpc]", "openvino", "onnxruntime")
KSERVE = (f"kserve=={KSERVE_VERSION}", "openvino", "onnxruntime")
IMAGES = 24
WARM = 40  # requests before memory is looked at
PATIENCE = 120  # seconds until a server is ready


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=200, help="to each of the plain and the hooked model, under load")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if (reason := why_not()) is not None:
        print(f"skipped: Triton cannot run here: {reason}")
        return
    python = environment(work, "triton", PACKAGES)
    repository, samples = repositories(work)
    with triton(work, python, repository) as (http, grpc, process):
        ask(python, http, grpc, samples, WARM)  # what a server needs when it works for the first time
        warm = memory(process)
        results = ask(python, http, grpc, samples, arguments.requests)
        results["memory_mb"] = {"warm": warm, "after": memory(process)}
    results["checks"].update(kserve(work, samples))
    (work / "servers.json").write_text(json.dumps(results, indent=2))
    print(json.dumps(results, indent=2))
    if results["wrong"] or not all(results["checks"].values()):
        sys.exit("some answers are not what the models answer alone")


def ask(python: Path, http: str, grpc: str, samples: Path, requests: int) -> dict[str, Any]:
    """What the client saw, with so many requests under load."""
    done = subprocess.run(
        [str(python), str(CLIENT), http, grpc, str(samples), str(requests)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"the client failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)


def why_not() -> str | None:
    """What Triton needs and this machine has not."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return "its build is for Linux on x86_64"
    if sys.version_info[:2] != (3, 11):
        return f"its Python backend is set up for Python 3.11 here, and this is {sys.version.split()[0]}"
    if find_library("python3.11") is None:
        return "its Python backend needs libpython3.11 (Debian: apt-get install libpython3.11)"
    return None


def environment(work: Path, name: str, packages: Sequence[str]) -> Path:
    """The Python of a server's environment, made where it is not there yet."""
    python = work / name / "bin" / "python"
    if not (work / name / "ready").exists():
        shutil.rmtree(work / name, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(work / name)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        (work / name / "ready").touch()
    return python


def kserve(work: Path, samples: Path) -> dict[str, bool]:
    """What KServe's own server answers, asked as JSON."""
    python = environment(work, "kserve", KSERVE)
    shutil.rmtree(work / "kserve_export", ignore_errors=True)
    export(work / "sample_xai.xml", work / "kserve_export", server="kserve", backend="python")
    folder, port = work / "kserve_export" / "predictor", free_port()
    command = [str(python), str(folder / "predictor.py"), "--model_name=sample", f"--model_path={folder / 'model.xml'}"]
    command += [f"--http_port={port}"]
    arrays, checks = np.load(samples), {}
    with (work / "kserve.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/v2/health/ready", process, work / "kserve.log")
        address = f"http://127.0.0.1:{port}/v2/models/sample/infer"
        both = post(address, arrays["images"][:2], ["logits", "saliency_map"])
        checks["kserve, at loopback alone"] = refuses("127.0.0.2", port)  # as any but the one it was told
        checks["kserve, outputs in order"] = list(both) == ["logits", "saliency_map"]
        checks["kserve, maps"] = bool(np.allclose(both["saliency_map"], arrays["maps"][:2], atol=1e-4))
        scores = post(address, arrays["images"][:1], ["logits"])
        checks["kserve, logits alone"] = list(scores) == ["logits"] and bool(
            np.allclose(scores["logits"], arrays["logits"][:1], rtol=1e-6)
        )
        checks["kserve, old client"] = next(iter(post(address, arrays["images"][:1], []))) == "logits"
        checks |= {f"kserve, refused: {name}": is_refused(address, body) for name, body in mistakes().items()}
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return checks


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


def is_refused(address: str, body: Any) -> bool:
    """Whether a request is said to be the client's mistake, and no file of a source is named."""
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
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


def post(address: str, images: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """One request of the Open Inference Protocol."""
    content: dict[str, Any] = {
        "inputs": [{"name": "image", "shape": list(images.shape), "datatype": "FP32", "data": images.reshape(-1).tolist()}]
    }
    if outputs:
        content["outputs"] = [{"name": name} for name in outputs]
    request = urllib.request.Request(address, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        tensors = json.load(answer)["outputs"]
    return {output["name"]: np.array(output["data"], np.float32).reshape(output["shape"]) for output in tensors}


def repositories(work: Path) -> tuple[Path, Path]:
    """A repository with the plain and the hooked sample, and what they answer when they run alone."""
    repository = work / "repository"
    shutil.rmtree(repository, ignore_errors=True)
    model = SAMPLES / "models" / "efficientnet_lite0.xml"
    hooked = xai.insert(model, targets="all", scale="unit").save(work / "sample_xai.xml", force=True)
    export(hooked, repository, server="triton", backend="python", legacy=True, force=True)
    plain = open_model(model)
    write_triton(repository, Endpoint.of(plain, "plain"), plain, Options(backend="python"))
    alone, with_maps = xai.load(model), xai.load(hooked)
    photos = [read_photo(path) for path in sorted((SAMPLES / "images").iterdir())]
    rng = np.random.default_rng(0)
    images = [alone.prepare(photos[number % len(photos)]) for number in range(IMAGES)]
    images = [
        (image + rng.normal(0, 0.1 * (number // len(photos)), image.shape)).astype(np.float32)
        for number, image in enumerate(images)
    ]
    answers = [with_maps(image) for image in images]
    for image, answer in zip(images, answers, strict=True):
        assert np.array_equal(alone(image)["logits"], answer["logits"])
    path = work / "samples.npz"
    np.savez(
        path,
        images=np.concatenate(images),
        logits=np.concatenate([a["logits"] for a in answers]),
        maps=np.concatenate([a["saliency_map"] for a in answers]),
    )
    return repository, path


@contextmanager
def triton(work: Path, python: Path, repository: Path) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    """A Triton that serves a repository on loopback addresses, in a process group of its own, which ends with the block."""
    packages = next((work / "triton" / "lib").iterdir()) / "site-packages"
    bundled = packages / "pytriton" / "tritonserver"
    backends = work / "backends"
    shutil.rmtree(backends, ignore_errors=True)
    shutil.copytree(bundled / "backends", backends)
    shutil.copy(bundled / "python_backend_stubs" / "3.11" / "triton_python_backend_stub", backends / "python")
    http, grpc = free_port(), free_port()
    command = [str(bundled / "bin" / "tritonserver"), f"--model-repository={repository}", f"--backend-directory={backends}"]
    command += [
        "--http-address=127.0.0.1",
        "--grpc-address=127.0.0.1",
        f"--http-port={http}",
        f"--grpc-port={grpc}",
        "--allow-metrics=false",
    ]
    variables = {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "PYTHONPATH": str(packages),
        "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
    }
    with (work / "triton.log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_ready(f"http://127.0.0.1:{http}/v2/health/ready", process, work / "triton.log")
        yield f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit(f"the server is not ready:\n{log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident megabytes of a process group."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields: list[Any] = status.read_text().rpartition(")")[2].split()
            if int(fields[2]) == process.pid:
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue
    return round(total / 1e6, 1)


if __name__ == "__main__":
    main()

"""The sample network, exported, served by real servers, and asked as clients ask.

    python scripts/servers.py --work FOLDER [--requests 1000] [--only triton kserve mlserver fastapi]

NVIDIA Triton comes from PyPI (nvidia-pytriton bundles the server and its Python backend) into a virtual environment of its own
in FOLDER. It serves three endpoints on this machine alone: the plain network, and of the hooked one the pair that `--legacy`
makes. KServe's own server, MLServer and the FastAPI program are asked in the same way, each in an environment of its own, and
run the client that export writes. What was seen is written to FOLDER/servers.json; the exit status is 1 where an answer was
wrong. Where Triton cannot run here, the reason is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np
from serving.asking import FORM, is_refused, post_json, refuses, uploaded, v2_checks
from serving.names import names_are_read_back
from serving.processes import environment, free_port, memory, run_client, run_page, serving

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.render.photo import read_photo
from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.export import export
from openvino_xai.serve.servers.kserve import VERSION as KSERVE_VERSION
from openvino_xai.serve.servers.mlserver import VERSION as MLSERVER_VERSION
from openvino_xai.serve.servers.server import Options
from openvino_xai.serve.servers.triton import write_models

SAMPLES = Path(__file__).parents[1] / "samples"
CLIENT = Path(__file__).parent / "peers" / "triton_client.py"
PACKAGES = ("nvidia-pytriton==0.7.0", "numpy<2", "tritonclient[http,grpc]", "openvino", "onnxruntime", "opencv-python-headless")
KSERVE = (f"kserve=={KSERVE_VERSION}", "openvino", "onnxruntime")
MLSERVER = (f"mlserver=={MLSERVER_VERSION}", "openvino", "onnxruntime")
FASTAPI = (str(SAMPLES.parent), "fastapi", "uvicorn", "python-multipart", "requests")
RAGGED = {"instances": [[[[0.5]]], [[0.5]]]}
IMAGES = 24
WARM = 40  # requests before memory is looked at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=200, help="to each of the plain and the hooked model, under load")
    parser.add_argument("--only", nargs="+", choices=list(SERVERS), default=list(SERVERS))
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    samples = repositories(work)
    results: dict[str, Any] = {"wrong": 0, "checks": {}}
    for name in arguments.only:
        report = SERVERS[name](work, samples, arguments.requests)
        results["checks"] |= {f"{name}, {check}": bool(right) for check, right in report.pop("checks").items()}
        results |= report
    (work / "servers.json").write_text(json.dumps(results, indent=2))
    print(json.dumps(results, indent=2))
    if results["wrong"] or not all(results["checks"].values()):
        sys.exit("some answers are not what the models answer alone")


def asked_triton(work: Path, samples: Path, requests: int) -> dict[str, Any]:
    """What Triton answers, and how fast; nothing where it cannot run."""
    if (reason := why_not()) is not None:
        print(f"skipped: Triton cannot run here: {reason}")
        return {"checks": {}}
    python = environment(work, "triton", PACKAGES)
    names = names_are_read_back(work, python, "triton", backend="python", legacy=True, overlay=True)
    with triton(work, python, work / "repository") as (http, grpc, process):
        ask(python, http, grpc, samples, WARM)  # what a server needs when it works for the first time
        warm = memory(process)
        results = ask(python, http, grpc, samples, requests)
        results["memory_mb"] = {"warm": warm, "after": memory(process)}
    results["checks"] |= names
    return results


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


def exported(work: Path, server: Any, **options: Any) -> Path:
    """A folder that export has written anew."""
    folder = work / f"{server}_export"
    shutil.rmtree(folder, ignore_errors=True)
    export(work / "sample_xai.xml", folder, server=server, name="sample", **options)
    return folder


def asked_kserve(work: Path, samples: Path, _: int) -> dict[str, Any]:
    """What KServe's own server answers: by the Open Inference Protocol, and by `:predict` and `:explain`."""
    python, port = environment(work, "kserve", KSERVE), free_port()
    folder = exported(work, "kserve", backend="python") / "predictor"
    command = [python, folder / "predictor.py", "--model_name=sample", f"--model_path={folder / 'model.xml'}"]
    root = f"http://127.0.0.1:{port}"
    with serving([*command, f"--http_port={port}"], f"{root}/v2/health/ready", work / "kserve.log", work):
        checks = v2_checks(f"{root}/v2/models/sample/infer", samples)
        checks["at loopback alone"] = refuses("127.0.0.2", port)  # as any but the one it was told
        arrays = np.load(samples)
        body = {"instances": arrays["images"][:2].tolist()}
        plain = post_json(f"{root}/v1/models/sample:predict", body)
        both = post_json(f"{root}/v1/models/sample:explain", body)
        checks[":predict, logits and nothing else"] = list(plain) == ["predictions"] and bool(
            np.allclose(plain["predictions"], arrays["logits"][:2], rtol=1e-4, atol=1e-4)
        )
        maps = np.array([row["saliency_map"] for row in both["explanations"]])
        checks[":explain, maps"] = bool(np.allclose(maps, arrays["maps"][:2], atol=1e-4))
        checks[":explain, logits"] = both["predictions"] == plain["predictions"]
        (work / "instances.json").write_text(json.dumps(body))
        changes = {":8080": f":{port}", "efficientnet_lite0": "sample"}
        checks[":explain, the page's request"] = json.loads(run_page(":explain", work, changes)) == both
        for verb in ("predict", "explain"):
            for name, mistake in {"nothing": {}, "words": {"instances": ["a"]}, "no list": [], "ragged": RAGGED}.items():
                checks[f":{verb}, refused: {name}"] = is_refused(f"{root}/v1/models/sample:{verb}", mistake)
    return {"checks": checks}


def asked_mlserver(work: Path, samples: Path, _: int) -> dict[str, Any]:
    """What MLServer answers by the Open Inference Protocol, as JSON and, to the client in the export's README, by gRPC."""
    python, folder = environment(work, "mlserver", MLSERVER), exported(work, "mlserver")
    http, grpc, metrics = free_port(), free_port(), free_port()
    settings = json.loads((folder / "settings.json").read_text())
    changed = settings | {"http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps(changed))
    root = f"http://127.0.0.1:{http}"
    with serving([python.with_name("mlserver"), "start", "."], f"{root}/v2/models/sample/ready", work / "mlserver.log", folder):
        checks = v2_checks(f"{root}/v2/models/sample/infer", samples)
        checks["at loopback alone"] = refuses("127.0.0.2", http) and refuses("127.0.0.2", grpc)
        with urllib.request.urlopen(f"{root}/v2/models/sample", timeout=60) as answer:
            about = json.load(answer)
        checks |= names_are_read_back(work, python, "mlserver")
        checks["metadata"] = [item["name"] for item in about["outputs"]] == ["logits", "saliency_map"]
        checks["the README's client"] = "saliency_map (1, 1000, 7, 7)" in run_client(
            python, folder, settings["grpc_port"], grpc
        )
        # OpenVINO Model Server speaks the same protocol: what its export's client sends, a server of that protocol reads
        ovms = exported(work, "ovms")
        checks["the client for OpenVINO Model Server"] = "saliency_map (1, 1000, 7, 7)" in run_client(python, ovms, 9000, grpc)
    return {"checks": checks}


def asked_fastapi(work: Path, *_: object) -> dict[str, Any]:
    """What the FastAPI program answers to photos, and whether the client in its README gets a picture."""
    python, folder, port = environment(work, "fastapi", FASTAPI), exported(work, "fastapi"), free_port()
    command = [python, "-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", str(port)]
    os.environ["PYTHONPATH"] = str(SAMPLES.parent)
    photo, expected = SAMPLES / "images" / "cat.png", xai.load(work / "sample_xai.xml").explain(SAMPLES / "images" / "cat.png")
    root, checks = f"http://127.0.0.1:{port}", {}
    with serving(command, f"{root}/openapi.json", work / "fastapi.log", folder):
        shutil.copy(photo, folder / "photo.jpg")
        printed = run_client(python, folder, 8000, port)
        checks["the README's client: classes"] = expected.predictions[0].label in printed
        picture = read_photo(folder / "explained.png")
        checks["the README's client: the picture"] = np.array_equal(picture, expected.overlay())
        (folder / "explained.png").unlink()
        run_page("/explain -F", folder, {":8000": f":{port}"})
        checks["the page's request: the picture"] = np.array_equal(read_photo(folder / "explained.png"), expected.overlay())
        answer = json.loads(run_page("/predict -F", folder, {":8000": f":{port}"}))
        checks["the page's request: classes"] = answer["predictions"][0]["label"] == expected.predictions[0].label
        for name, content in {"no photo": b"no photo", "nothing": b"", "cut off": photo.read_bytes()[:2000]}.items():
            for verb in ("predict", "explain"):
                checks[f"/{verb}, refused: {name}"] = is_refused(f"{root}/{verb}", uploaded(content), FORM)
        checks["/explain, refused: a class"] = is_refused(
            f"{root}/explain?targets=no+such+class", uploaded(photo.read_bytes()), FORM
        )
        checks["refused: no form"] = is_refused(f"{root}/explain", {"photo": 1})
    return {"checks": checks}


def repositories(work: Path) -> Path:
    """Write a repository with the plain and the hooked sample; a file with what they answer when they run alone."""
    repository = work / "repository"
    shutil.rmtree(repository, ignore_errors=True)
    model = SAMPLES / "models" / "efficientnet_lite0.xml"
    hooked = xai.insert(model, targets="all", scale="unit").save(work / "sample_xai.xml", force=True)
    export(hooked, repository, server="triton", backend="python", legacy=True, force=True)
    deployed = open_model(hooked)
    write_models(repository, Endpoint.of(deployed, "drawn"), deployed, Options(backend="python", overlay=True))
    plain = open_model(model)
    write_models(repository, Endpoint.of(plain, "plain"), plain, Options(backend="python"))
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
    # of what the model is fed of a photo: a step has no other pixels
    drawings = [with_maps.explain(with_maps.preprocessing.pixels(photo)).overlay() for photo in photos]
    path = work / "samples.npz"
    np.savez(
        path,
        images=np.concatenate(images),
        logits=np.concatenate([a["logits"] for a in answers]),
        maps=np.concatenate([a["saliency_map"] for a in answers]),
        overlays=np.stack(drawings),
    )
    return path


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
    with serving(command, f"http://127.0.0.1:{http}/v2/health/ready", work / "triton.log", work, variables) as process:
        yield f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", process


SERVERS = {"triton": asked_triton, "kserve": asked_kserve, "mlserver": asked_mlserver, "fastapi": asked_fastapi}

if __name__ == "__main__":
    main()

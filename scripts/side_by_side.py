"""The table of docs/cost.md: hooked models beside plain ones, and beside what else could be used.

    python scripts/side_by_side.py --work FOLDER

Everything is kept in FOLDER: two virtual environments (torch with Grad-CAM; the predecessor, openvino_xai 1.1.0, with the
OpenVINO it needs), networks with seeded weights, and a JSON file for each measurement. What is there is not done again, so a
run that was stopped goes on where it was. At the end FOLDER/side_by_side.md holds the table, the versions and the machine.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openvino as ov
from rich.progress import Progress

PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = {
    "torch": [
        ["torch==2.13.0"],
        ["--no-deps", "torchvision==0.28.0", "grad-cam==1.5.7", "captum==0.9.0", "ttach", "timm"],
        [
            "numpy",
            "pillow",
            "matplotlib",
            "scikit-learn",
            "tqdm",
            "opencv-python-headless",
            "onnx",
            "onnxscript",
            "openvino",
            "nncf",
        ],
        ["huggingface_hub", "safetensors", "pyyaml"],
    ],
    "predecessor": [["openvino_xai==1.1.0", "openvino==2024.4.0", "numpy==1.26.4"]],
    "ultralytics": [
        ["torch==2.13.0"],
        ["--no-deps", "torchvision==0.28.0", "ultralytics==8.4.190", "ultralytics-thop"],
        ["numpy", "pillow", "matplotlib", "opencv-python-headless", "pyyaml", "requests", "scipy", "psutil", "polars"],
        ["onnx", "onnxslim", "onnxruntime", "openvino"],
    ],
    "hugging_face": [
        ["torch==2.13.0"],
        ["--no-deps", "torchvision==0.28.0", "timm"],
        ["transformers==5.24.0", "numpy", "onnx", "onnxscript", "openvino"],
    ],
    "keras": [["tensorflow-cpu", "tf2onnx", "keras", "openvino", "onnx"]],
    "paddle": [["paddlepaddle", "paddle2onnx", "packaging"]],
    "onnxruntime_openvino": [["onnxruntime-openvino==1.24.1", "numpy"]],
    "mnn": [["MNN==3.6.1", "numpy"]],
    "tract": [["tract==0.23.9", "numpy"]],
    "ncnn": [["--no-deps", "ncnn==1.0.20261020", "pnnx==20261020"], ["numpy"]],  # pnnx asks for torch, its program does not
}
# name of the row: architecture, image side, quantised
NETWORKS = {
    "ResNet-50 224": ("resnet50", 224, False),
    "ResNet-50 448": ("resnet50", 448, False),
    "EfficientNet-B0": ("efficientnet_b0", 224, False),
    "ConvNeXt-Tiny": ("convnext_tiny", 224, False),
    "MobileNetV3-Large": ("mobilenet_v3_large", 224, False),
    "DenseNet-121": ("densenet121", 224, False),
    "SqueezeNet 1.1": ("squeezenet1_1", 224, False),
    "VGG-16": ("vgg16", 224, False),
    "ResNet-50 224 INT8": ("resnet50", 224, True),
}
SMALL = ("efficientnet_b0", "mobilenet_v3_large", "squeezenet1_1")  # milliseconds an image: more of them can be timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder for environments, networks and measurements")
    parser.add_argument("--only", help="rows, by parts of their names, with commas between")
    arguments = parser.parse_args()
    wanted = {k: v for k, v in NETWORKS.items() if not arguments.only or any(part in k for part in arguments.only.split(","))}
    (arguments.work / "measured").mkdir(parents=True, exist_ok=True)
    pythons = {name: environment(arguments.work, name) for name in ("torch", "predecessor")}
    results = {}
    with Progress() as bar:
        task = bar.add_task("measuring", total=len(wanted))
        for name, (architecture, side, quantised) in wanted.items():
            bar.update(task, description=name)
            results[name] = measure(arguments.work, pythons, architecture, side, quantised=quantised)
            bar.advance(task)
    text = table(results)
    (arguments.work / "side_by_side.md").write_text(text, encoding="utf-8")
    print(text)


def environment(work: Path, name: str) -> Path:
    """The interpreter of an environment, made if it is not there."""
    folder = work / "environments" / name
    python, done = folder / "bin" / "python", folder / "done"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for packages in ENVIRONMENTS[name]:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        done.touch()
    return python


def measure(work: Path, pythons: dict[str, Path], architecture: str, side: int, *, quantised: bool) -> dict[str, Any]:
    """Every figure of one row; files that are there are taken as they are."""
    stem = f"{architecture}_{side}" + ("_int8" if quantised else "")
    onnx, ir = work / f"{architecture}_{side}.onnx", work / f"{stem}.xml"
    if not onnx.exists():
        run(pythons["torch"], "export.py", architecture, side, onnx)
    if not ir.exists():
        float_ir = work / f"{architecture}_{side}.xml"
        ov.save_model(ov.Core().read_model(onnx), float_ir, compress_to_fp16=False)
        if quantised:
            run(pythons["torch"], "quantise.py", float_ir, ir)
    cache = work / "measured"
    times = 300 if architecture in SMALL else 100
    results = {
        "openvino": once(cache / f"{stem}_openvino.json", lambda: ours(ir, times)),
        "throughput": once(cache / f"{stem}_throughput.json", lambda: ours(ir, times, "--hint", "THROUGHPUT")),
        "top": once(cache / f"{stem}_top.json", lambda: ours(ir, times, "--targets", "top:1", "--score", "logit")),
        "predecessor": once(
            cache / f"{stem}_predecessor.json", lambda: run(pythons["predecessor"], "predecessor.py", ir, times)
        ),
    }
    if not quantised:
        results["onnx"] = once(cache / f"{stem}_onnx.json", lambda: ours(onnx, times))
        results["grad_cam"] = once(
            cache / f"{stem}_grad_cam.json", lambda: run(pythons["torch"], "grad_cam.py", architecture, side, 30)
        )
    return results


def once(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is in the file, which is made if it is not there."""
    if not path.exists():
        text = json.dumps(make())
        temporary = path.with_suffix(".part")
        temporary.write_text(text)
        temporary.replace(path)
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def ours(model: Path, times: int, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "openvino_xai.cli", "benchmark", "-m", model, "--json", "--iterations", str(times)]
    return last_line(subprocess.run([*command, *options], check=True, capture_output=True, text=True).stdout)


def run(python: Path, script: str, *arguments: object) -> dict[str, Any]:
    """The last line that a peer prints, as JSON; {} where it prints none, and `failed` where it ends badly."""
    done = subprocess.run([python, PEERS / script, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"}
    return last_line(done.stdout)


def last_line(text: str) -> dict[str, Any]:
    lines = [line for line in text.splitlines() if line.startswith("{")]
    result: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return result


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: ratios over the plain model of the same pair, and what the peers take."""
    lines = [
        "| network | plain, ms | hooked / plain, OpenVINO | ONNX Runtime | images/s, async | top class, logit | peak memory "
        "| predecessor | its weights grow | PyTorch, ms | with Grad-CAM, ms |",
        "| --- " * 11 + "|",
    ]
    for name, row in results.items():
        plain, hooked = row["openvino"]["rows"]
        old, torch = row["predecessor"], row.get("grad_cam", {})
        lines.append(
            f"| {name} | {plain['latency_p50'] * 1e3:.1f} | **{hooked['latency_ratio']:.2f}** | {ratio(row.get('onnx'))} "
            f"| {row['throughput']['rows'][1]['throughput_ratio']:.2f} | {ratio(row['top'])} "
            f"| {hooked['peak_bytes'] / plain['peak_bytes']:.2f} "
            f"| {'fails' if 'failed' in old else format(old['latency_ratio'], '.2f')} "
            f"| {'' if 'failed' in old else format(old['grown_bytes'] / 1e6, '+.1f') + ' MB'} "
            f"| {milliseconds(torch, 'plain_seconds')} | {milliseconds(torch, 'explained_seconds')} |"
        )
    return "\n".join([*lines, "", footnote(results), ""])


def ratio(result: dict[str, Any] | None) -> str:
    return "" if result is None else f"{result['rows'][1]['latency_ratio']:.2f}"


def milliseconds(result: dict[str, Any], key: str) -> str:
    return f"{result[key] * 1e3:.1f}" if key in result else ""


def footnote(results: dict[str, dict[str, Any]]) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ovxai", "openvino", "onnxruntime"))
    peers = {row["predecessor"].get("openvino", "").partition("-")[0] for row in results.values()} - {""}
    torches = {row.get("grad_cam", {}).get("torch", "") for row in results.values()} - {""}
    model = next(
        (line.partition(":")[2].strip() for line in cpu_lines() if line.startswith("model name")), platform.processor()
    )
    return (
        f"{versions}; the predecessor is openvino_xai 1.1.0 on openvino {', '.join(sorted(peers))}; "
        f"grad-cam 1.5.7 on torch {', '.join(sorted(torches))}. {os.cpu_count()} cores, {model}, {platform.system()}."
    )


def cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main()

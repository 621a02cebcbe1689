"""Maps of detectors held to what others make of the same weights: `python scripts/parity.py --work FOLDER`.

FOLDER/environments/ has three virtual environments from PyPI: Ultralytics with torch, pytorch-grad-cam and Captum with torch,
and the predecessor, openvino_xai 1.1.0, with the OpenVINO it needs. There, FOLDER/maps/ is filled: detectors from
Ultralytics' YAML files with seeded weights, as it exports them, and its map, ODAM, masked runs and the predecessor's map
beside each; the maps of the predecessor's blocks in docs/migration.md, and of classifiers with random weights where it
chooses the layer; and those of a classifier by pytorch-grad-cam and Captum. What is there is not made again, but for
detectors that `--again` names, or `migration`. Then tests/parity holds hooks to these, and how far they are apart is printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from rich.progress import Progress
from side_by_side import PEERS, environment

from openvino_xai.dialects.open import open_model
from openvino_xai.locate.detector import Detector
from openvino_xai.locate.located import Where

ROOT = Path(__file__).parents[1]
DETECTORS = {  # the configuration, and what the peer is told
    "v8n": ("yolov8n.yaml", "masks"),
    "11n": ("yolo11n.yaml",),
    "26n": ("yolo26n.yaml",),
    "26n_end2end": ("yolo26n.yaml", "end2end"),
}
CLASSIFIERS = ("deit_tiny_patch16_224", "mobilenetv3_small_100", "densenet121", "convnext_atto", "torchvision/squeezenet1_1")
PREDECESSOR = ("v8n", "11n", "26n")  # it knows no rows that are chosen inside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder for environments and maps")
    parser.add_argument("--again", default="", help="detectors that are made anew, with commas between")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    maps = work / "maps"
    maps.mkdir(parents=True, exist_ok=True)
    for name in arguments.again.split(","):
        for suffix in (".npz", "_predecessor.npz"):
            (maps / f"{name}{suffix}").unlink(missing_ok=True)
    ultralytics, predecessor = (environment(work, name) for name in ("ultralytics", "predecessor"))
    with Progress() as bar:
        task = bar.add_task("detectors", total=len(DETECTORS))
        for name, (configuration, *options) in DETECTORS.items():
            bar.update(task, description=name)
            if not (maps / f"{name}.npz").exists():
                run(ultralytics, "ultralytics_maps.py", maps, name, configuration, *options)
            if name in PREDECESSOR and not (maps / f"{name}_predecessor.npz").exists():
                model, arrays, output = maps / f"{name}.onnx", maps / f"{name}.npz", maps / f"{name}_predecessor.npz"
                run(predecessor, "predecessor_detector.py", model, arrays, output, ",".join(heads(model)))
            bar.advance(task)
    if not (maps / "migration").exists() or "migration" in arguments.again.split(","):
        run(predecessor, "predecessor_page.py", ROOT / "docs" / "migration.md", ROOT / "samples", maps / "migration")
    torch = environment(work, "torch")
    if not (maps / "resnet18.npz").exists():
        run(torch, "torch_maps.py", maps / "resnet18.onnx", maps / "resnet18.npz")
    for name in CLASSIFIERS:
        model = maps / f"classifier_{name.rpartition('/')[2]}.onnx"
        if not model.with_suffix(".npz").exists():
            run(torch, "export_family.py", "timm_torchvision", maps, "torchscript", name)
            (maps / f"{name.replace('/', '_')}_torchscript_dynamic.onnx").rename(model)
            run(predecessor, "predecessor_zoo.py", model, model.with_suffix(".npz"))
    command = [sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider", str(ROOT / "tests" / "parity")]
    sys.exit(subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, "OVXAI_PARITY": str(maps)}).returncode)


def heads(model: Path) -> list[str]:
    """The tensors with the logits of classes, one a level."""
    detector = Detector.of(open_model(model), Where.parse(None, scores=None, image_input=None))
    return [head.value.name for head in detector.rows.heads]


def run(python: Path, script: str, *arguments: object) -> None:
    """Run a peer by itself: its package has the name of ours. Raises SystemExit with what it said where it fails."""
    done = subprocess.run([python, "-Es", PEERS / script, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{script} {' '.join(map(str, arguments))} failed:\n{done.stderr}")


if __name__ == "__main__":
    main()

"""Make `samples/` from a folder with the original models and photos: `python scripts/samples/make_samples.py --data FOLDER`.

The networks are those of the folder, with their preprocessing and labels written into them; nothing else is changed.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import openvino as ov

from openvino_xai.dialects.open import open_model

INFO = {
    "model_type": "Classification",
    "layout": "NCHW",
    "mean_values": "127.5 127.5 127.5",
    "scale_values": "127.5 127.5 127.5",
    "reverse_input_channels": "True",
    "resize_type": "crop",
    "confidence_threshold": "0.0",
}
MODELS = {
    "efficientnet_lite0.xml": "efficientnet_lite0.xml",
    "efficientnet_lite0_qdq_int8.onnx": "efficientnet_lite0_int8.onnx",
}
FACE_INFO = {
    "model_type": "SSD",
    "layout": "NCHW",
    "mean_values": "127 127 127",
    "scale_values": "128 128 128",
    "reverse_input_channels": "True",
    "resize_type": "standard",
    "confidence_threshold": "0.7",
    "labels": "background face",
}
FACES = "ultraface_rfb320"  # of opset 9: as ONNX it is written as opset 13, and as IR by OpenVINO
PHOTOS = {
    "chelsea.png": "images/cat.png",
    "coffee.png": "images/coffee.png",
    "rocket.jpg": "images/rocket.jpg",
    "astronaut.png": "faces/astronaut.png",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with models/ and images/free/")
    parser.add_argument("--output", type=Path, default=Path("samples"))
    arguments = parser.parse_args()
    for folder in ("models", "images", "faces"):
        (arguments.output / folder).mkdir(parents=True, exist_ok=True)
    labels = (arguments.data / "models" / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()[1:]
    (arguments.output / "models" / "imagenet_labels.txt").write_text(
        "".join(f"{label}\n" for label in labels), encoding="utf-8"
    )
    short = " ".join(label.split(",")[0].strip().replace(" ", "_") for label in labels)
    for source, name in MODELS.items():
        model = open_model(arguments.data / "models" / source).twin()
        model.set_info("model_info", {**INFO, "labels": short})
        model.save(arguments.output / "models" / name)
    detector = arguments.data / "models" / f"{FACES}.onnx"
    for model, suffix in ((open_model(detector), "onnx"), (open_model(ov.convert_model(detector)), "xml")):
        twin = model.twin()
        twin.set_info("model_info", FACE_INFO)
        twin.save(arguments.output / "models" / f"{FACES}.{suffix}")
    for source, name in PHOTOS.items():
        shutil.copyfile(arguments.data / "images" / "free" / source, arguments.output / name)
        (arguments.output / name).chmod(0o644)


if __name__ == "__main__":
    main()

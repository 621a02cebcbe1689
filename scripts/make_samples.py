"""Make `samples/` from a folder with the original models and photos: `python scripts/make_samples.py --data FOLDER`.

The networks are those of the folder, with their preprocessing and labels written into them; nothing else is changed.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

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
PHOTOS = {"chelsea.png": "cat.png", "coffee.png": "coffee.png", "rocket.jpg": "rocket.jpg"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with models/ and images/free/")
    parser.add_argument("--output", type=Path, default=Path("samples"))
    arguments = parser.parse_args()
    for folder in ("models", "images"):
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
    for source, name in PHOTOS.items():
        shutil.copyfile(arguments.data / "images" / "free" / source, arguments.output / "images" / name)
        (arguments.output / "images" / name).chmod(0o644)


if __name__ == "__main__":
    main()

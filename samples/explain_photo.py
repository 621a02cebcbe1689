"""Hook a deployed model in memory, explain one photo, and keep the picture: `python samples/explain_photo.py OUTPUT`."""

import sys
from pathlib import Path

import openvino_xai as xai

SAMPLES = Path(__file__).parent


def main(output: Path) -> None:
    hooked = xai.insert(SAMPLES / "models" / "efficientnet_lite0.xml")
    network = xai.load(hooked)
    explanation = network.explain(SAMPLES / "images" / "cat.png", targets="top:2")
    for target in explanation.targets:
        print(f"{target.label}: {target.probability:.1%}")
    for files in explanation.save(output):
        print(files["overlay"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))

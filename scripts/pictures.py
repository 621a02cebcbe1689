"""The pictures of the README: `python scripts/pictures.py [--data FOLDER]`.

`cat.jpg` is one photo beside its map, with a scale; `models.jpg` one right answer of each kind of model, over free photos. The
sample models and photos are in samples/; FOLDER has models/ and images/free/ for kinds of which there is no sample. What the
model did not see of a photo is dimmed. A model that gives another answer than the one that a panel names ends the script.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import openvino_xai as xai
from openvino_xai.render.overlay import COLORMAPS, Box, Style

SAMPLES = Path(__file__).parents[1] / "samples"
STYLE = Style(colormap="turbo")
PAPER, INK, GREY = (255, 255, 255), (28, 35, 48), (95, 104, 120)
TILE = (350, 234)  # width and height of a photo
GAP, HEAD = 14, 52
SCALE = 8  # width of the bar beside a map
CAFFE = {"mean_values": "103.939 116.779 123.68", "resize_type": "crop"}
YOLOX = {"preset": "raw", "resize_type": "fit_to_window", "pad_value": "114"}


@dataclass(frozen=True)
class Panel:
    """A kind of model, its file, the photo, the answer that is right for it, and the method."""

    kind: str
    file: str
    photo: str
    answer: str
    title: str
    method: str | None = None
    preprocessing: dict[str, str] = field(default_factory=dict)
    labels: tuple[int, str] | None = None  # a class's number and name, where the file tells no labels


SAMPLED = (
    Panel("convolutional network", "efficientnet_lite0.xml", "images/cat.png", "Egyptian cat", "EfficientNet-Lite0"),
    Panel("INT8, ONNX", "efficientnet_lite0_int8.onnx", "images/coffee.png", "espresso", "EfficientNet-Lite0", "layer_cam"),
    Panel("face detector", "ultraface_rfb320.onnx", "faces/astronaut.png", "face", "UltraFace"),
)
OTHERS = (
    Panel(
        "gradients",
        "squeezenet1.1.onnx",
        "chelsea.png",
        "Egyptian cat",
        "SqueezeNet 1.1",
        "grad_cam",
        CAFFE,
        (285, "Egyptian cat"),
    ),
    Panel("detector", "yolox_nano.onnx", "coffee.png", "cup", "YOLOX-nano", None, YOLOX, (41, "cup")),
    Panel(
        "segmentation, INT8, TFLite",
        "deeplabv3_mnv2_dm05_pascal_quant.tflite",
        "astronaut.png",
        "person",
        "DeepLabv3",
        None,
        {"reverse_input_channels": "yes"},
        (15, "person"),
    ),
)
NAMES = {"reciprocam": "Recipro-CAM", "layer_cam": "Layer-CAM", "grad_cam": "Grad-CAM"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder with models/ and images/free/")
    parser.add_argument("--output", type=Path, default=SAMPLES / "pictures")
    options = parser.parse_args()
    warnings.simplefilter("ignore", xai.PreprocessingWarning)  # what a file does not tell is told here, as far as it matters
    first, *following = [explained(panel, SAMPLES / "models" / panel.file, SAMPLES / panel.photo) for panel in SAMPLED]
    beside(first).save(options.output / "cat.jpg", quality=90, optimize=True)
    panels = [first, *following]
    if options.data is not None:
        free = options.data / "images" / "free"
        panels += [explained(panel, options.data / "models" / panel.file, free / panel.photo) for panel in OTHERS]
        panels = [panels[0], panels[3], panels[1], panels[4], panels[2], panels[5]]
    rows([panel_picture(*panel) for panel in panels]).save(options.output / "models.jpg", quality=88, optimize=True)


def explained(panel: Panel, model: Path, photo: Path) -> tuple[Panel, Any]:
    """A photo, explained for what a panel says is there. Ends the script where the model's own answer is another."""
    network = xai.load(xai.insert(model, method=panel.method))
    if panel.labels is not None:
        number, name = panel.labels
        count = network.classes or 0
        network.configure(labels=[name if index == number else f"class {index}" for index in range(count)])
    if panel.preprocessing:
        network.configure(preprocessing=panel.preprocessing)
    explanation = network.explain(photo)
    answers = [target.label for target in explanation.targets if target.label != "class 0"]
    if not answers or answers[0] != panel.answer:
        sys.exit(f"{model.name} answers {answers} for {photo.name}: {panel.answer} is expected")
    return panel, explanation


def picture_of(panel: Panel, explanation: Any) -> tuple[Image.Image, Any]:
    """The photo with the map of the panel's answer, dimmed where the model saw nothing; the target."""
    index = [target.label for target in explanation.targets].index(panel.answer)
    return Image.fromarray(dimmed(explanation.drawn(STYLE, index), explanation.box)), explanation.targets[index]


def dimmed(picture: np.ndarray, box: Box) -> np.ndarray:
    """[H, W, 3] RGB bytes: a picture, pale and grey outside of a box (x0, y0, x1, y1)."""
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    pale = (0.35 * grey + 0.65 * 255).astype(np.uint8)
    x0, y0, x1, y1 = (max(0, round(edge)) for edge in box)
    pale[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
    return pale


def panel_picture(panel: Panel, explanation: Any) -> Image.Image:
    """A photo with its map under two lines: the answer, and who gave it by which method."""
    drawing, target = picture_of(panel, explanation)
    share = "of the pixels" if panel.kind.startswith("segmentation") else ""
    method = NAMES[str(explanation.record["method"])]
    sheet = Image.new("RGB", (TILE[0] + 2 * GAP, TILE[1] + HEAD + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, 8), f"{target.label} {target.probability:.0%} {share}".strip(), INK, letters(19))
    pen.text((GAP, 31), f"{panel.title} ({panel.kind}), {method}", GREY, letters(14))
    drawing.thumbnail(TILE, Image.Resampling.LANCZOS)
    sheet.paste(drawing, (GAP, HEAD))
    return sheet


def rows(pictures: list[Image.Image]) -> Image.Image:
    """Pictures in rows of three, and the scale below."""
    across = min(3, len(pictures))
    width, height = pictures[0].size
    down = -(-len(pictures) // across)
    sheet = Image.new("RGB", (across * width, down * height + 48), PAPER)
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index % across * width, index // across * height))
    bar = Image.fromarray(colours(np.linspace(0, 1, 300)[None].repeat(12, 0)))
    left, top = sheet.width - 300 - 60, down * height + 12
    sheet.paste(bar, (left, top))
    pen = ImageDraw.Draw(sheet)
    pen.text((left - 10, top + 6), "the answer rests on it little", GREY, letters(14), anchor="rm")
    pen.text((left + 310, top + 6), "most", GREY, letters(14), anchor="lm")
    return sheet


def beside(example: tuple[Panel, Any]) -> Image.Image:
    """A photo and its map side by side, with a title, what the model saw, and a scale."""
    panel, explanation = example
    drawing, target = picture_of(panel, explanation)
    photo = Image.fromarray(explanation.image)
    width, height = drawing.size
    method, cells = NAMES[str(explanation.record["method"])], " x ".join(map(str, explanation.maps.shape[1:]))
    top, right = 64, 74
    sheet = Image.new("RGB", (2 * width + 3 * GAP + right, height + top + 34), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, 10), f"{target.label}, {target.probability:.1%}", INK, letters(24))
    pen.text((GAP, 38), f"{panel.title}, OpenVINO IR; {method}, {cells} cells", GREY, letters(15))
    sheet.paste(photo, (GAP, top))
    sheet.paste(drawing, (2 * GAP + width, top))
    x0, y0, x1, y1 = (round(edge) for edge in explanation.box)
    pen.rectangle((GAP + x0, top + y0, GAP + x1 - 1, top + y1 - 1), outline=(255, 255, 255), width=2)
    pen.text((GAP, top + height + 8), "the photo, and the square that the model sees", GREY, letters(15))
    pen.text((2 * GAP + width, top + height + 8), "what the answer rests on", GREY, letters(15))
    left = 3 * GAP + 2 * width
    bar = Image.fromarray(colours(np.linspace(1, 0, height)[:, None].repeat(2 * SCALE, 1)))
    sheet.paste(bar, (left, top))
    for value, word in ((1.0, "most"), (0.5, "half"), (0.0, "least")):
        pen.text((left + 2 * SCALE + 6, top + (1 - value) * (height - 1)), word, GREY, letters(14), anchor="lm")
    return sheet


def colours(values: np.ndarray) -> np.ndarray:
    """[H, W, 3] RGB bytes: numbers [H, W] of 0..1 in the colours of the maps, as they lie over a grey of a half."""
    bgr = cv2.applyColorMap((255 * values).astype(np.uint8), COLORMAPS[STYLE.colormap])
    return np.asarray((STYLE.opacity * bgr[..., ::-1] + (1 - STYLE.opacity) * 128).astype(np.uint8))


letters: Callable[[float], Any] = ImageFont.load_default  # what Pillow carries, in a size


if __name__ == "__main__":
    main()

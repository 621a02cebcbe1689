"""A model that knows colours and brightness by pixels of 0..1, RGB, and photos of them in folders of their classes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
from tiny import tiny

from openvino_xai.evaluate.examples import Example

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
COLOURS = {0: RED, 1: GREEN, 2: BLUE, 3: (200, 200, 200), 4: (160, 160, 160)}  # by class: the last two are bright, and dim


def colour_model(batch: int | str = "B") -> onnx.ModelProto:
    """Logits: ten times the means of red, green and blue; bright where they add up to more than 2; and 8 for what is dim."""
    w = np.concatenate([10 * np.eye(3), np.full((1, 3), 30.0), np.zeros((1, 3))]).astype(np.float32)
    b = np.array([0, 0, 0, -60, 8], np.float32)
    k = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    body = "f = Conv(image, k) p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
    return tiny(body, batch=batch, image=(3, 6, 6), k=k, w=w, b=b)


def photo_examples(folder: Path, shape: tuple[int, int] = (9, 9), each: int = 2) -> list[Example]:
    """Photos of one colour, in folders that are called after their class."""
    examples = []
    for label, colour in COLOURS.items():
        (folder / str(label)).mkdir(parents=True)
        for number in range(each):
            path = folder / str(label) / f"{number}.png"
            cv2.imwrite(str(path), np.full((*shape, 3), colour[::-1], np.uint8))
            examples.append(Example(path, label))
    return examples

"""How soon the prediction comes back with the pixels that a map holds for the most important, by what a codec says they tell.

Kapishnikov et al., "XRAI: Better attributions through regions", 2019, section 4.1 (performance information curves): pixels are
added to the blurred image, and the curve is drawn over the size of the compressed image, not the number of pixels: many pixels
of a plain background count little. SIC reads the probability of the class, AIC whether it is the predicted one.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import cv2
import numpy as np

from openvino_xai.evaluate.classes.case import Case

SHARES = (0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.13, 0.21, 0.34, 0.5, 0.75, 1)  # of the pixels, as in their code
BLUR = 1 / 12  # the deviation, of the shorter side: their 20 of 224 pixels, rounded
LARGEST = 16383  # pixels a side, of WebP
LOSSLESS = [cv2.IMWRITE_WEBP_QUALITY, 101]


def sic(case: Case) -> float:
    """The area in [0, 1] under the probability, over that of the photo and cut off at 1: more is better."""
    information, scores = _curve(case)
    first, last = scores[0, case.target], scores[-1, case.target]
    if last <= first:
        return 0.0  # blurred, the photo is as much of the class: there is no way to go
    reached = (scores[:, case.target] - first) / (last - first)
    return _area(information, reached)


def aic(case: Case) -> float:
    """The area in [0, 1] under whether the class is the predicted one, where it is so of the photo; else 0. More is better."""
    information, scores = _curve(case)
    hits = (scores.argmax(axis=1) == case.target).astype(np.float64)
    return _area(information, hits) if hits[-1] else 0.0


# of each case, which both metrics read; cases are measured side by side
_CURVES: WeakKeyDictionary[Case, tuple[np.ndarray, np.ndarray]] = WeakKeyDictionary()


def _curve(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """What the images tell [P], 0 of the blurred one and 1 of the photo, and the probabilities of their classes [P, K]."""
    if case not in _CURVES:
        _CURVES[case] = _new_curve(case)
    return _CURVES[case]


def _new_curve(case: Case) -> tuple[np.ndarray, np.ndarray]:
    order = case.order
    start, finish = _soft(case.image), case.image
    images = np.repeat(start, len(SHARES), axis=0)
    for image, share in zip(images, SHARES, strict=True):
        pixels = order[: round(share * order.size)]
        image.reshape(image.shape[0], -1)[:, pixels] = finish[0].reshape(image.shape[0], -1)[:, pixels]
    sizes = np.array([_bytes(image, finish[0]) for image in images], np.float64)
    return (sizes - sizes[0]) / max(sizes[-1] - sizes[0], 1), case.checked(case.network.predict(images), "scores").astype(
        np.float64
    )


def _soft(image: np.ndarray) -> np.ndarray:
    """[1, C, H, W]: an image [1, C, H, W] under a wide Gaussian."""
    sigma = BLUR * min(image.shape[2:])
    planes = [cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) for plane in image[0]]
    return np.stack(planes)[None].astype(np.float32)


def _bytes(image: np.ndarray, photo: np.ndarray) -> int:
    """How many bytes an image [C, H, W] takes, without loss, on the 256 levels of the photo's range."""
    low, high = float(photo.min()), float(photo.max())
    levels = np.rint((image - low) * (255 / max(high - low, 1e-12))).clip(0, 255).astype(np.uint8)
    if len(levels) == 3 and max(levels.shape) <= LARGEST:
        return len(cv2.imencode(".webp", np.ascontiguousarray(levels.transpose(1, 2, 0)), LOSSLESS)[1])
    return sum(len(cv2.imencode(".png", plane)[1]) for plane in levels)


def _area(information: np.ndarray, reached: np.ndarray) -> float:
    """The area under a curve that never falls, as they draw it, from 0 to 1, by the trapezoid rule."""
    order = np.argsort(information, kind="stable")
    x, y = np.clip(information[order], 0, 1), np.maximum.accumulate(np.clip(reached, 0, 1)[order])
    x, y = np.concatenate([[0], x, [1]]), np.concatenate([[0], y, [y[-1]]])
    return float(np.trapezoid(y, x))

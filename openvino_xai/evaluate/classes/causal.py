"""How fast the prediction comes with the pixels that an explanation holds for the most important, and goes without them.

Petsiuk, Das and Saenko, "RISE", 2018, section 4.1, and its authors' code: the probability while pixels are added to the
blurred image, or set to 0, in the order of the map, the largest first; the area under it by the trapezoid rule.
"""

from __future__ import annotations

import numpy as np

from openvino_xai.evaluate.classes.case import Case

AT_ONCE = 64  # images that are made at a time: small steps have thousands


def insertion(case: Case) -> float:
    """The area in [0, 1] while pixels are added to the blurred image: more is better."""
    case.curves["insertion"] = scores = curve(case, case.blurred, case.image)
    return area(scores)


def deletion(case: Case) -> float:
    """The area in [0, 1] while pixels are set to 0: less is better."""
    case.curves["deletion"] = scores = curve(case, case.image, np.zeros_like(case.image))
    return area(scores)


def curve(case: Case, start: np.ndarray, finish: np.ndarray) -> np.ndarray:
    """[S]: the class's score on the way from one image to another, step by step."""
    order = case.order
    step = case.choices.pixels_of_step(order.size)
    count = -(-order.size // step)
    first, last = (image.reshape(image.shape[1], -1) for image in (start, finish))
    parts = []
    for begin in range(0, count + 1, AT_ONCE):
        steps = range(begin, min(begin + AT_ONCE, count + 1))
        images = np.repeat(first[None], len(steps), axis=0)
        for image, done in zip(images, steps, strict=True):
            changed = order[: step * done]
            image[:, changed] = last[:, changed]
        predicted = case.network.predict(images.reshape(-1, *start.shape[1:]), logits=case.logits)
        parts.append(case.checked(predicted, "scores")[:, case.target])
    return np.concatenate(parts)


def area(scores: np.ndarray) -> float:
    """The area under scores [S] at evenly spaced steps, over that of 1, by the trapezoid rule."""
    return float((scores.sum() - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1))

"""Maps that explain nothing, which stand beside every method: what they reach, a method has to exceed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from openvino_xai.evaluate.classes.case import Case, Subject

Draw = Callable[[tuple[int, int], np.random.Generator], np.ndarray]


def gaussian(size: tuple[int, int], _: np.random.Generator) -> np.ndarray:
    """[h, w] in [0, 1]: a Gaussian at the centre, its sigmas a quarter of the sides. Photographers centre what they show."""
    bells = [np.exp(-((((np.arange(n) + 0.5) / n - 0.5) / 0.25) ** 2) / 2) for n in size]
    return np.asarray(np.outer(*bells), np.float32)


def random(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """[h, w] in [0, 1): a number for each cell, drawn evenly and for each image anew."""
    return rng.random(size, np.float32)


def fake_cam(size: tuple[int, int], _: np.random.Generator) -> np.ndarray:
    """[h, w]: 1, and 0 in the first cell, so that masking leaves the image nearly as it is.

    Poppi et al., "Revisiting the evaluation of class activation mapping for explainability", 2021, section 3: it reaches the
    best drop, and half of the images increase, which is why drop and increase alone say nothing.
    """
    fake = np.ones(size, np.float32)
    fake[0, 0] = 0
    return fake


BASELINES: dict[str, Draw] = {"gaussian": gaussian, "random": random, "fake_cam": fake_cam}


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A network whose maps are drawn, whatever it sees. Theirs is the grid of the method's maps."""

    network: Subject
    draw: Draw
    grid: tuple[int, int]
    rng: np.random.Generator

    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        """[N, K]: probabilities in [0, 1], or logits."""
        return self.network.predict(images, logits=logits)

    def maps(self, images: np.ndarray, classes: list[int], *, logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities or logits [N, K], and a map [N, h, w] for each image."""
        return self.predict(images, logits=logits), np.stack([self.draw(self.grid, self.rng) for _ in classes])


def baseline_case(case: Case, name: str) -> Case:
    """The same photo and class, with a map of `BASELINES` on the method's grid; the Gaussian is drawn on the image's pixels."""
    pixels = (case.image.shape[2], case.image.shape[3])
    grid = pixels if name == "gaussian" else (case.saliency.shape[0], case.saliency.shape[1])
    rng = np.random.default_rng([case.choices.seed, case.target, *case.example.path.name.encode()])
    drawn = _Drawn(case.network, BASELINES[name], grid, rng)
    return replace(case, network=drawn, saliency=drawn.draw(grid, rng))

"""A compiled model that can be called, and that can explain an image where it carries a hook."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.explanation import Explanation, Prediction
from openvino_xai.graph.files import Model, open_model
from openvino_xai.graph.neutral import Value
from openvino_xai.graph.protocol import Deployed
from openvino_xai.graph.sizes import Dim
from openvino_xai.render.photo import read_photo
from openvino_xai.runtime.preprocessing import Preprocessing
from openvino_xai.surgery.insert import RECORD, Hooked
from openvino_xai.surgery.locate import find_image, find_scores
from openvino_xai.surgery.plan import CLASS, MAP
from openvino_xai.surgery.request import Targets

PROBABILITIES = ("softmax", "sigmoid")


def load(model: Model | Hooked, *, device: str = "CPU", precision: str = "f32") -> Network:
    """A model, hooked or not, compiled for OpenVINO or ONNX Runtime.

    `precision` is `f32`, so that explanations do not depend on the machine, or `f16`, `bf16`, or `default` for what the
    device prefers; ONNX Runtime runs a model as it is written. Raises InputError, ModelError.
    """
    return Network(model.deployed if isinstance(model, Hooked) else open_model(model), device=device, precision=precision)


class Network:
    """A model that runs. Called with a batch it returns every output by name, the maps among them."""

    def __init__(self, deployed: Deployed, *, device: str, precision: str) -> None:
        self._running = deployed.compile(device, precision)
        self.device = device
        self.record = deployed.info(RECORD)
        self._input, place = find_image(deployed.graph, self.record.get("image"))
        info = deployed.info("model_info")
        self._scores = find_scores(deployed.graph, self.record.get("scores"))
        self.labels = [label.replace("_", " ") for label in info.get("labels", "").split()]
        self._preprocessing = _described(self._input, place.cells == (2, 3)).updated(info)

    @property
    def precision(self) -> str:
        """The precision that runs."""
        return self._running.precision

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes an input: from `model_info`, or changed by `configure`."""
        return self._preprocessing

    def configure(self, *, labels: Sequence[str] | None = None, preprocessing: Mapping[str, str] | None = None) -> None:
        """Set the labels, and preprocessing by the names of `model_info`. Raises InputError."""
        if labels is not None:
            self.labels = list(labels)
        if self.labels and len(self.labels) != self._scores.classes:
            raise InputError(f"there are {len(self.labels)} labels for {self._scores.classes} classes")
        self._preprocessing = self._preprocessing.updated(preprocessing or {})

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Every output by name for a batch [B, C, H, W] (or [B, H, W, C], as the model has it), already preprocessed."""
        self._check(batch)
        return self._running({self._input.name: batch})

    def explain(self, image: str | os.PathLike[str] | np.ndarray, *, targets: str | Sequence[int] = "top:1") -> Explanation:
        """The explanation of one image: a path, or RGB bytes [H, W, 3].

        `targets` are `top:K`, the K most probable classes, `all`, or class ids. Raises InputError for an image that cannot
        be read, a class that the hook does not explain, or a model without a hook.
        """
        if not self.record:
            raise InputError("the model carries no hook: give it one with openvino_xai.insert, and load the result")
        photo = read_photo(Path(image)) if isinstance(image, (str, os.PathLike)) else _checked_photo(image)
        sample = self._preprocessing(photo)
        size = (self._input.shape or (1,))[0]
        results = self(np.repeat(sample, size, axis=0) if isinstance(size, int) else sample)
        probabilities = self._probabilities(results[self._scores.name][0])
        ranked = np.argsort(-probabilities, kind="stable")
        explained = self._explained(results)
        ids = self._wanted(targets, ranked, explained)
        maps = results[MAP][0][[explained.index(k) for k in ids]]
        return Explanation(
            image=photo,
            predictions=tuple(self._prediction(int(k), probabilities) for k in ranked[:5]),
            targets=tuple(self._prediction(k, probabilities) for k in ids),
            maps=maps.astype(np.float32) / 255 if maps.dtype == np.uint8 else maps,
            box=self._preprocessing.box(photo.shape[:2]),
            record={**self.record, "precision": self.precision, "device": self.device},
            path=None if isinstance(image, np.ndarray) else Path(image),
        )

    def _check(self, batch: np.ndarray) -> None:
        expected = self._input.shape or ()
        fits = batch.ndim == len(expected) and all(
            isinstance(size, Dim) or size == given for size, given in zip(expected, batch.shape, strict=True)
        )
        if not fits or batch.dtype != self._input.dtype:
            wanted = ", ".join(map(str, expected))
            raise InputError(
                f"a batch of {batch.dtype} {list(batch.shape)} does not fit input '{self._input.name}': "
                f"{self._input.dtype} [{wanted}] is expected"
            )

    def _probabilities(self, scores: np.ndarray) -> np.ndarray:
        levels = 255 if scores.dtype == np.uint8 else 1
        scores = scores.reshape(-1).astype(np.float64)
        if self._scores.scale in PROBABILITIES:
            return scores / levels
        if self.record.get("score") == "sigmoid" or scores.size == 1:
            return np.asarray(1 / (1 + np.exp(-scores)))
        shifted = np.exp(scores - scores.max())
        return np.asarray(shifted / shifted.sum())

    def _explained(self, results: Mapping[str, np.ndarray]) -> list[int]:
        """The classes that have a map."""
        if CLASS in results:
            return [int(k) for k in results[CLASS][0]]
        ids = Targets.parse(self.record["targets"]).ids
        return list(range(self._scores.classes)) if ids is None else list(ids)

    def _wanted(self, targets: str | Sequence[int], ranked: np.ndarray, explained: list[int]) -> list[int]:
        asked = Targets.parse(targets if isinstance(targets, str) else list(targets)).checked(self._scores.classes)
        if asked.ids is None:
            there = set(explained)
            return [int(k) for k in ranked if k in there][: asked.top]
        missing = [k for k in asked.ids if k not in explained]
        if missing:
            told = self.record["targets"]
            raise InputError(f"class {missing[0]} is not explained: the hook was inserted with targets {told}")
        return list(asked.ids)

    def _prediction(self, k: int, probabilities: np.ndarray) -> Prediction:
        return Prediction(k, self.labels[k] if k < len(self.labels) else str(k), float(probabilities[k]))


def _described(image: Value, channels_first: bool) -> Preprocessing:
    """What the input itself tells; 224 x 224 where it takes any size."""
    shape = image.shape or ()
    height, width, channels = (shape[axis] for axis in ((2, 3, 1) if channels_first else (1, 2, 3)))
    return Preprocessing(
        size=(height if isinstance(height, int) else 224, width if isinstance(width, int) else 224),
        layout="NCHW" if channels_first else "NHWC",
        dtype=str(image.dtype),
        channels=channels if isinstance(channels, int) else 3,
    )


def _checked_photo(image: np.ndarray) -> np.ndarray:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"an image is RGB bytes [H, W, 3]; this is {image.dtype} {list(image.shape)}")
    return image

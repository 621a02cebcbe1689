"""The explanation of one image: which parts of it carry its classes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any, get_args

import numpy as np

from openvino_xai.arguments import NUMBER, takes
from openvino_xai.choices import check_choice, quoted
from openvino_xai.contract import cells_shown
from openvino_xai.errors import ImageError, InputError
from openvino_xai.explanation.checks import check_facts, hold, is_box, is_maps, is_photo
from openvino_xai.explanation.emptiness import NO_CLASS, STEADY, UNSTEADY, emptiness
from openvino_xai.explanation.files import safe
from openvino_xai.explanation.map_check import MapCheck
from openvino_xai.explanation.plot import plotted
from openvino_xai.explanation.prediction import Contrast, Prediction
from openvino_xai.explanation.result import Result
from openvino_xai.render.overlay import OVERLAY, Box, Smoothing, Style, drawn, on_photo
from openvino_xai.render.sheet import sheet, with_lines
from openvino_xai.render.switch import Tile

LARGEST = 2**32  # bytes of maps in the photo's pixels


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Result):
    """One image, explained.

    `image` [H, W, 3] RGB bytes; `predictions` the five most probable classes; `targets` the classes explained; `maps`
    [K, h, w], one for each target, on the scale that the hook was inserted with; `box` (x0, y0, x1, y1) what the model saw of
    the image, in its pixels; `record` how the hook was inserted and what ran; `preprocessing` what the model was fed, by the
    names of `model_info`, in few words (`fed`), and who said so (`sources`). `answers` are the classes that a model of several
    labels answers, as its `model_info` says; None of a model that answers one. `checks` are one of each map, where somebody
    asked for them (`Network.checked`). `confidence` [K, h, w] in [0, 1] says how steady each cell of a map is under small
    noise, where the hook returns that; else None. `lookalikes` are for each target the label of an improbable class whose map
    is nearly the same, None where there is none; None where no such class was compared.
    """

    image: np.ndarray = field(repr=False)
    predictions: tuple[Prediction, ...]
    targets: tuple[Prediction, ...]
    maps: np.ndarray = field(repr=False)
    box: Box
    record: Mapping[str, str] = field(repr=False)
    path: Path | None = None
    preprocessing: Mapping[str, Any] = field(repr=False, default_factory=dict, kw_only=True)
    answers: tuple[int, ...] | None = field(default=None, kw_only=True)
    checks: tuple[MapCheck, ...] | None = field(default=None, kw_only=True)
    confidence: np.ndarray | None = field(default=None, kw_only=True, repr=False)
    lookalikes: tuple[str | None, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Raise ImageError where a map or a probability is no number, InputError for what an explanation does not hold."""
        self.check()
        bad = [target.id for target, saliency in zip(self.targets, self.maps, strict=True) if not np.isfinite(saliency).all()]
        if bad:
            raise ImageError(
                f"the map of class {bad[0]} holds numbers that are not finite: does the model run in this precision?"
            )
        others = [target.other for target in self.targets if isinstance(target, Contrast)]
        if not all(math.isfinite(prediction.probability) for prediction in (*self.predictions, *self.targets, *others)):
            raise ImageError("the model's scores are not finite: does it run in this precision?")

    def overlay(
        self, target: int = 0, *, colormap: str = "jet", opacity: float = 0.5, smoothing: Smoothing = "bilinear"
    ) -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of the target at index `target` over the image; unseen parts stay as they are."""
        return self.drawn(Style("overlay", colormap, opacity, smoothing), target)

    def heatmap(self, target: int = 0, *, colormap: str = "jet", smoothing: Smoothing = "bilinear") -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of a target alone, black where the model saw nothing."""
        return self.drawn(Style("heatmap", colormap, smoothing=smoothing), target)

    def contours(self, target: int = 0, *, colormap: str = "jet", smoothing: Smoothing = "bilinear") -> np.ndarray:
        """[H, W, 3] RGB bytes: the image, with lines where the map of a target is at a quarter, half and three quarters."""
        return self.drawn(Style("contours", colormap, smoothing=smoothing), target)

    def drawn(self, style: Style, target: int = 0) -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of a target in a style. Raises InputError for an index that no target has."""
        if not isinstance(style, Style):
            raise InputError(f"style is {quoted(style)}: an openvino_xai.Style is expected", options=("style",))
        (target,) = checked_indices([target], len(self.targets))
        return drawn(self.image, self.maps[target], self.box, style)

    def grid(self, *others: Explanation, style: Style = OVERLAY) -> np.ndarray:
        """[H, W, 3] RGB bytes: a row for this explanation and each other: the image, then each target with its probability."""
        for other in others:
            if not isinstance(other, Explanation):
                raise InputError(f"{quoted(other)} is no explanation, which a grid has a row for")
        rows = [row for explanation in (self, *others) for row in explanation._rows(style)]
        longest = max(map(len, rows))
        return sheet([[*row, *[(np.full_like(row[0][0], 255), "")] * (longest - len(row))] for row in rows])

    @takes(outside=NUMBER)
    def maps_in_photo(
        self, targets: Sequence[int] | None = None, *, smoothing: Smoothing = "bilinear", outside: float = math.nan
    ) -> np.ndarray:
        """[K, H, W], f32: the maps in the photo's own pixels, `outside` (NaN by default) where the model saw nothing.

        `targets` are indices of some; None is all. Values stay as they are: between the centres of cells they are bilinear, or
        those of the nearest cell. Raises InputError where they take more than 4 GiB.
        """
        check_choice("smoothing", smoothing, get_args(Smoothing), options=("smoothing",))
        indices = range(len(self.targets)) if targets is None else checked_indices(targets, len(self.targets))
        height, width = self.image.shape[:2]
        if 4 * len(indices) * height * width > LARGEST:
            raise InputError(f"{len(indices)} maps of {height} x {width} pixels take more than 4 GiB: name some targets")
        maps = np.full((len(indices), height, width), outside, np.float32)
        for place, index in enumerate(indices):
            values, coverage = on_photo(self.maps[index], (height, width), self.box, smoothing)
            maps[place][coverage] = values[coverage]
        return maps

    def plot(
        self,
        target: int = 0,
        *,
        axes: Any = None,
        colormap: str = "jet",
        opacity: float = 0.5,
        smoothing: Smoothing = "bilinear",
    ) -> Any:
        """Matplotlib axes with the photo, the map of a target over it, and a bar that says which colour is which value.

        `axes` are those to draw in, new ones by default. Raises InputError where Matplotlib is not installed.
        """
        (index,) = checked_indices([target], len(self.targets))
        return plotted(
            self.base(index),
            self.maps_in_photo([index], smoothing=smoothing)[0],
            (float(self.maps[index].min()), float(self.maps[index].max())),
            caption=self.caption(index),
            style=Style("overlay", colormap, opacity, smoothing),
            axes=axes,
        )

    def _picture_of_file(self, style: Style, target: int) -> np.ndarray:
        """[H, W, 3] RGB bytes: the map of a target in a style, above its check, and what the map does not tell."""
        picture = self.drawn(style, target)
        lines = self._notes_of(target) if self.checks is None else self.checks[target].lines
        return with_lines(picture, (self.caption(target), *lines)) if lines else picture

    @property
    def notes(self) -> tuple[tuple[str, ...], ...]:
        """For each target what its map does not tell, in sentences: nothing at all, few values, or nothing of the class.

        None of a map that tells places apart.
        """
        return tuple(map(self._notes_of, range(len(self.targets))))

    def _notes_of(self, target: int) -> tuple[str, ...]:
        label, steadiness = None if self.lookalikes is None else self.lookalikes[target], self.steadiness(target)
        empty = emptiness(cells_shown(self.record, self.maps[target]), self.record.get("precision", "f32"))
        unsteady = [UNSTEADY.format(steadiness)] if steadiness is not None and steadiness < STEADY and not empty else []
        return (*empty, *unsteady, *(() if label is None else (NO_CLASS.format(label),)))

    def steadiness(self, target: int = 0) -> float | None:
        """The mean confidence, in [0, 1], of the cells of a target's map that are above half of its range.

        1 is the same map in every noisy copy of the photo. None where the hook returns no confidence. Raises InputError for an
        index that no target has.
        """
        (index,) = checked_indices([target], len(self.targets))
        if self.confidence is None:
            return None
        saliency = self.maps[index]
        highest = saliency >= (float(saliency.min()) + float(saliency.max())) / 2
        return float(self.confidence[index][highest].mean())

    def base(self, target: int = 0) -> np.ndarray:
        """[H, W, 3] RGB bytes: the photo, on which a map is drawn."""
        return self.image

    def caption(self, target: int = 0) -> str:
        """The label of a target, and its probability."""
        return self.targets[target].caption

    def pictures(self, style: Style = OVERLAY) -> Iterator[Tile]:
        """The map of each target over the photo; the photo alone where there is no target."""
        if not self.targets:
            yield Tile(self.image, "nothing to explain")
        for index in range(len(self.targets)):
            yield Tile(self.drawn(style, index), self.caption(index))

    def __repr__(self) -> str:
        """What is predicted, what is explained, and how."""
        targets = ", ".join(quoted(target.label) for target in self.targets[:3]) + (", ..." if len(self.targets) > 3 else "")
        height, width = self.maps.shape[1:]
        best = "".join(f"{quoted(item.label)} {item.probability:.1%}; " for item in self.predictions[:1])
        return (
            f"<{type(self).__name__}{_named(self.path)}: {best}{len(self.targets)} maps of {height} x {width} cells "
            f"({targets or 'no target'}) by {self.record.get('method', 'an unknown method')}>"
        )

    def check(self) -> None:
        """Raise InputError where a part is not what it should be, as of a file from anybody."""
        hold("the image", is_photo(self.image))
        predictions = isinstance(self.predictions, tuple) and isinstance(self.targets, tuple)
        hold("a class", predictions and all(isinstance(item, Prediction) for item in (*self.predictions, *self.targets)))
        hold("a map", is_maps(self.maps, 3) and len(self.maps) == len(self.targets) and min(self.maps.shape[1:]) > 0)
        hold("the box", is_box(self.box) and self.box[0] < self.box[2] and self.box[1] < self.box[3])
        answers = self.answers
        hold("an answer", answers is None or (isinstance(answers, tuple) and all(isinstance(k, int) for k in answers)))
        if self.checks is not None:
            there = isinstance(self.checks, tuple) and all(isinstance(item, MapCheck) for item in self.checks)
            hold("a check", there and len(self.checks) == len(self.targets))
        if self.confidence is not None:
            there = is_maps(self.confidence, 3) and self.confidence.shape == self.maps.shape
            hold("the confidence", there and bool((self.confidence >= 0).all() and (self.confidence <= 1).all()))
        if self.lookalikes is not None:
            there = isinstance(self.lookalikes, tuple) and all(isinstance(label, str | None) for label in self.lookalikes)
            hold("a lookalike", there and len(self.lookalikes) == len(self.targets))
        check_facts(self.record, self.preprocessing, self.path)

    def _rows(self, style: Style) -> list[list[tuple[np.ndarray, str]]]:
        drawn_targets = [(self.drawn(style, index), self.caption(index)) for index in range(len(self.targets))]
        return [[(self.image, self.path.name if self.path else ""), *drawn_targets]]

    @property
    def endings(self) -> list[str]:
        """What a name gets behind it for the files of each target, but for their suffixes."""
        return [f"_{k.name}_{safe(k.label)}" if k.label != k.name else f"_{k.name}" for k in self.targets]

    def to_dict(self, files: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """As JSON holds it, without pixels; with the paths of its `files`, where they are written."""
        paths = files or [{} for _ in self.targets]
        return {
            "image": None if self.path is None else str(self.path),
            "predictions": [prediction.to_dict() for prediction in self.predictions],
            **({} if self.answers is None else {"answers": list(self.answers)}),
            "targets": [
                {
                    **target.to_dict(),
                    **path,
                    **({} if (steadiness := self.steadiness(index)) is None else {"steadiness": round(steadiness, 4)}),
                    **noted(notes),
                    **({} if check is None else {"check": check.to_dict()}),
                }
                for index, (target, path, notes, check) in enumerate(
                    zip(self.targets, paths, self.notes, self.checks or [None] * len(paths), strict=True)
                )
            ],
            "cells": list(self.maps.shape[1:]),
            "box": [round(edge, 2) for edge in self.box],
            "preprocessing": dict(self.preprocessing),
            "hook": dict(self.record),
        }

    def to_row(self) -> dict[str, Any]:
        """As a row of a table holds it: what is predicted, and the maps."""
        best, others = self.predictions[0], [target.other.id for target in self.targets if isinstance(target, Contrast)]
        return {
            "predicted": best.id,
            "label": best.label,
            "probability": best.probability,
            "targets": [target.id for target in self.targets],
            **({"others": others} if others else {}),
            "probabilities": [target.probability for target in self.targets],
            "cells": list(self.maps.shape[1:]),
            "box": list(self.box),
            "maps": self.maps,
        }


def noted(notes: Sequence[str]) -> dict[str, list[str]]:
    """What JSON has of what a map does not tell: nothing where it tells all."""
    return {"notes": list(notes)} if notes else {}


def checked_indices(indices: object, count: int) -> list[int]:
    """Indices of `count` targets, from the end where they are below 0. Raises InputError for what is none."""
    if isinstance(indices, (list, tuple, range)):
        places = [int(index) for index in indices if isinstance(index, Integral) and not isinstance(index, bool)]
        if len(places) == len(indices) and all(-count <= place < count for place in places):
            return [place % count for place in places]
    there = f"0 to {count - 1} are" if count > 1 else "0 is" if count else "none is"
    raise InputError(f"{quoted(indices)} is no list of indices of targets: {there} there", options=("target",))


def _named(path: Path | None) -> str:
    return f" of {quoted(path.name)}" if path else ""

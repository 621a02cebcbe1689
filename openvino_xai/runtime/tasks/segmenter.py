"""A compiled model whose hook explains the classes of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from openvino_xai.arguments import IDS, takes
from openvino_xai.contract import CLASS, MAP, MASK, WANTED, reads
from openvino_xai.errors import InputError
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.runtime.inputs.photos import ImageLike, path_of, photo_of
from openvino_xai.runtime.inputs.targets import TargetsOfImage, named_targets
from openvino_xai.runtime.network import unscaled
from openvino_xai.runtime.tasks.no_classes import NoClasses
from openvino_xai.segmentation import Region, SegmentationExplanation
from openvino_xai.tail.target import Contrasts, Ids, TopK, parse_pick, refuse_unknown
from openvino_xai.tail.tasks.regions import ABSENT, PixelClasses, predictions


class Segmenter(NoClasses):
    """A model that runs, whose maps tell what carries the classes of pixels."""

    def __call__(
        self,
        batch: np.ndarray,
        explain: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        *,
        masks: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Every output by name for a batch, as of any network.

        `masks` [B, H, W], boolean, and `classes` [B] tell a model that is asked which pixels to explain, and as which class;
        without them it explains no pixel. Raises InputError.
        """
        return self._running(
            {**self._inputs(batch, explain), **self._class_input(len(batch), classes), **self._mask_input(len(batch), masks)}
        )

    def _mask_input(self, images: int, masks: np.ndarray | None) -> dict[str, np.ndarray]:
        if not reads(self.record, MASK):
            if masks is None:
                return {}
            raise InputError("the model is not asked for pixels: it explains its own regions; insert with targets='asked'")
        expected = (images, *(int(size) for size in self.record["pixels"].split("x")))
        pixels = np.zeros(expected, bool) if masks is None else np.asarray(masks, bool)
        if pixels.shape != expected:
            raise InputError(f"masks are {list(pixels.shape)}; {list(expected)} are expected")
        return {MASK: pixels}

    def predicted(self, results: Mapping[str, np.ndarray]) -> np.ndarray:
        """[B, H, W], i64: the class of each pixel, of the outputs of a run."""
        return np.asarray(predictions(numpy_namespace(), PixelClasses.of(self.record), results[self._scores.name])[:, 0])

    @takes(also=IDS)
    def explain(
        self, image: ImageLike, *, targets: TargetsOfImage | None = None, also: Sequence[int] = ()
    ) -> SegmentationExplanation:
        """The explanation of the classes of the pixels of one image: a path, or RGB bytes [H, W, 3].

        `targets` are `top:K`, the K classes with the most pixels, `all`, or classes by ids or labels; by default all that there
        are and that the hook explains. Raises InputError for an image that cannot be read, or a class that the hook does not
        explain.
        """
        photo = photo_of(image)
        sample = self.prepare(photo)
        results = next(self._results(sample))
        predicted = self.predicted(results)[0]
        areas = np.bincount(predicted[predicted >= 0], minlength=self.classes) / predicted.size
        ranked = [int(k) for k in np.argsort(-areas, kind="stable") if areas[k]]
        explained = self._mapped_classes(results)
        ids = self._ids(targets, ranked, explained)
        maps = self._map_of_each(sample, results, predicted, ids, explained)
        return SegmentationExplanation(
            image=photo,
            predictions=tuple(self._region(k, areas) for k in ranked),
            targets=tuple(self._region(k, areas) for k in ids),
            maps=maps,
            box=self._preprocessing.box(photo.shape[:2]),
            record={**self.record, "precision": self.precision, "device": self.device},
            path=path_of(image),
            preprocessing=self.preprocessing.to_dict(),
            regions=np.stack([predicted == k for k in ids]) if ids else np.zeros((0, *predicted.shape), bool),
        )

    def _mapped_classes(self, results: Mapping[str, np.ndarray]) -> Sequence[int]:
        if CLASS in results:
            return [int(k) for k in results[CLASS][0] if k != ABSENT]
        return [k for k in super()._mapped_classes(results) if isinstance(k, int)]

    def _ids(self, targets: TargetsOfImage | None, ranked: Sequence[int], explained: Sequence[int]) -> list[int]:
        pick = parse_pick("all" if targets is None else named_targets(targets, self.labels, self.classes))
        if isinstance(pick, Contrasts):
            raise InputError(
                f"targets '{pick}' contrast classes of images, and this model tells classes of pixels: name classes",
                options=("targets",),
            )
        refuse_unknown(pick, self.classes)
        if not isinstance(pick, Ids):
            present = [k for k in ranked if k in set(explained)]
            return present[: pick.k if isinstance(pick, TopK) else None]
        missing = [k for k in pick.ids if k not in explained]
        if missing:
            there, targets_of_hook = ", ".join(map(str, explained)) or "none", self.record["targets"]
            raise InputError(
                f"class {missing[0]} is not explained: the hook was inserted with targets {targets_of_hook}, here {there}"
            )
        return list(pick.ids)

    def _map_of_each(
        self,
        sample: np.ndarray,
        results: Mapping[str, np.ndarray],
        predicted: np.ndarray,
        ids: Sequence[int],
        explained: Sequence[int],
    ) -> np.ndarray:
        """[K, h, w]: the map of each class over its own pixels."""
        if not reads(self.record, WANTED):
            return unscaled(results[MAP][0][[explained.index(k) for k in ids]])
        ((batch, _),) = self._images.runs(self._images.laid_out(sample))
        maps = []
        for k in ids:
            masks = np.repeat((predicted == k)[None], len(batch), axis=0)
            maps.append(unscaled(self(batch, classes=np.full(len(batch), k), masks=masks)[MAP][0]))
        return np.concatenate(maps) if maps else unscaled(results[MAP][0][:0])

    def _region(self, k: int, areas: np.ndarray) -> Region:
        return Region(k, self.label(k), float(areas[k]))

"""A compiled model whose hook explains the likeness of vectors: two photos, each explained to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from openvino_xai.arguments import IDS, takes
from openvino_xai.contract import MAP, VECTOR, Measure
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError
from openvino_xai.explanation import Explanation, Match
from openvino_xai.locate.tasks.vector import find_vector
from openvino_xai.record.removal import unhooked
from openvino_xai.runtime.inputs.photos import ImageLike, path_of, photo_of
from openvino_xai.runtime.inputs.targets import TargetsOfImage
from openvino_xai.runtime.network import Network, unscaled
from openvino_xai.runtime.tasks.no_classes import NoClasses
from openvino_xai.tail.tasks.likeness import likeness


class Matcher(NoClasses):
    """A model that runs, whose maps tell where an image carries its likeness to a vector.

    Called with a batch it returns every output by name, the maps among them.
    """

    @property
    def measure(self) -> Measure:
        """`cosine` or `dot`."""
        return cast(Measure, self.record["score"])

    def __call__(
        self,
        batch: np.ndarray,
        explain: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        *,
        vectors: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Every output by name for a batch [B, C, H, W] (or [B, H, W, C]), already preprocessed.

        `vectors` [B, E] are those that the images are likened to; None are zeros. Raises InputError where images or classes are
        named, which a vector has not.
        """
        if explain is not None or classes is not None:
            raise InputError("the model explains vectors: it has no gate, and is not asked for a class")
        self._check(batch)
        expected = (len(batch), self.classes)
        others = np.zeros(expected, np.float32) if vectors is None else np.asarray(vectors, np.float32)
        if others.shape != expected:
            raise InputError(f"vectors are {list(others.shape)}; {list(expected)} are expected")
        return self._running({self._input.name: batch, VECTOR: others})

    @takes(also=IDS)
    def explain(self, image: ImageLike, *, targets: TargetsOfImage | None = None, also: Sequence[int] = ()) -> Explanation:
        """Raises InputError: a vector is explained against another."""
        raise InputError("the model explains vectors, an image against another: match(image, other)", options=("against",))

    def match(self, image: ImageLike, other: ImageLike) -> Match:
        """Two images, each a path or RGB bytes [H, W, 3], explained to each other.

        Raises InputError for an image that cannot be read.
        """
        photos = photo_of(image), photo_of(other)
        samples = np.concatenate([self.prepare(photo) for photo in photos])
        vectors = self.vectors(samples)
        first, second = (unscaled(self._of_one(sample, vector)) for sample, vector in zip(samples, vectors[::-1], strict=True))
        sides = self.preprocessing.box(photos[0].shape[:2]), self.preprocessing.box(photos[1].shape[:2])
        return Match(
            images=photos,
            maps=(first, second),
            similarity=float(likeness(vectors[:1], vectors[1:], self.measure)[0]),
            measure=self.measure,
            boxes=sides,
            record={**self.record, "precision": self.precision, "device": self.device},
            path=path_of(image),
            preprocessing=self.preprocessing.to_dict(),
            against=path_of(other),
        )

    def vectors(self, images: np.ndarray) -> np.ndarray:
        """[N, E], f64: the vectors of images [N, C, H, W], as `prepare` makes them: floats, whatever the model returns."""
        outputs = [result[VECTOR if VECTOR in result else self._scores.name] for result in self._predictions(images)]
        return np.concatenate([part.reshape(len(part), -1) for part in outputs]).astype(np.float64)

    def _of_one(self, sample: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """[h, w]: the map of one image [C, H, W], likened to a vector [E]."""
        ((batch, _),) = self._images.runs(self._images.laid_out(sample[None]))
        return np.asarray(self(batch, vectors=np.repeat(vector[None], len(batch), axis=0))[MAP][0, 0])


def vector_model(hooked: Deployed, record: Mapping[str, str]) -> Deployed:
    """The model without its hook, with its vector ahead of what rounds it as one more output, `explain_vector`."""
    plain = unhooked(hooked)
    return plain.probing(read={VECTOR: find_vector(plain.graph, record["scores"]).value}, inputs={})


@dataclass(frozen=True, eq=False)
class Against:
    """A matcher with the photo that all others are explained against: a path, or RGB bytes [H, W, 3]."""

    network: Network
    other: Path

    @property
    def streams(self) -> int:
        """How many photos are best explained at a time."""
        return self.network.streams

    def label(self, k: int) -> str:
        """Classes have none."""
        return str(k)

    def explain(self, image: ImageLike, *, targets: TargetsOfImage | None = None, also: Sequence[int] = ()) -> Match:
        """The image and the photo, explained to each other. Raises InputError."""
        return self.network.match(image, self.other)

"""A compiled model that can be called, and that can explain an image where it carries a hook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import cast

import numpy as np

from openvino_xai.arguments import COUNT_OR_NONE, FLAG, IDS, Kind, takes
from openvino_xai.choices import quoted
from openvino_xai.contract import CLASS, CONFIDENCE, MAP, WANTED, cells_shown, reads
from openvino_xai.dialects.protocol import Running
from openvino_xai.errors import InputError, PreprocessingWarning, warn
from openvino_xai.explanation import Contrast, Explanation, Match, Prediction
from openvino_xai.explanation.checking import checked
from openvino_xai.explanation.emptiness import are_alike, improbable_class
from openvino_xai.graph.sizes import Dim
from openvino_xai.hooks import METHODS
from openvino_xai.locate.scores import Scores
from openvino_xai.locate.tasks.label_groups import labels_of
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.images import AT_ONCE, ImageInput
from openvino_xai.runtime.inputs.doubts import doubts_of
from openvino_xai.runtime.inputs.labels_file import checked_labels
from openvino_xai.runtime.inputs.own import own_preprocessing
from openvino_xai.runtime.inputs.photos import ImageLike, path_of, photo_of
from openvino_xai.runtime.inputs.presets import updated_by
from openvino_xai.runtime.inputs.targets import TargetsOfImage, named_targets
from openvino_xai.runtime.preprocessing import Preprocessing
from openvino_xai.runtime.scores import probabilities, scale_of
from openvino_xai.surgery.insert import MAX_MEMORY
from openvino_xai.tail.target import All, Contrasts, Ids, Pair, TopK, ids_of, parse_pick, refuse_unknown

IMAGES = Kind(
    lambda value: isinstance(value, np.ndarray) and value.ndim == 4 and value.dtype.kind in "fiub" and value.size > 0,
    "images [N, C, H, W] are expected, as prepare makes them of photos",
)
PHOTO = Kind(
    lambda value: (
        isinstance(value, np.ndarray) and value.ndim == 3 and value.shape[2] == 3 and value.dtype == np.uint8 and value.size > 0
    ),
    "RGB bytes [H, W, 3] are expected",
)
NO_RANKING = np.zeros(0, np.int64)  # where classes are given by their ids


class Network:
    """A model that runs, from any thread. Called with a batch it returns every output by name, the maps among them.

    `notify` hears what is doubtful about the preprocessing, when a first photo is fed so; None for those who know. By default
    it raises a `PreprocessingWarning`, as warnings are.
    """

    def __init__(
        self, running: Running, description: Described, device: str, *, plain: Callable[[], Running] | None = None
    ) -> None:
        self._running = running
        self._input, self._scores, self._scale = description.image, description.scores, description.scale
        self._compile_plain = plain
        self.is_detector = description.is_detector
        self.device = device
        self.record = dict(description.record)
        self._most = max(1, MAX_MEMORY // max(1, int(self.record.get("memory", 0))))  # images at a time that memory allows
        self._images = ImageInput(description.image, channels_first=description.channels_first)
        self._groups = description.groups
        self.labels = labels_of(description.info, description.scores.classes, description.groups)
        self._preprocessing = own_preprocessing(description.image, description.info, channels_first=description.channels_first)
        self.notify: Callable[[PreprocessingWarning], None] | None = warn
        self._fed: Preprocessing | None = None  # what was doubted last

    def __repr__(self) -> str:
        """What explains, of what, on what, and what is fed."""
        method, layer = self.record.get("method"), self.record.get("layer")
        hook = "no hook" if not self.record else f"{method}" + (f" at {quoted(layer)}" if layer else "")
        return (
            f"<{type(self).__name__}: {hook}; {self.classes} classes of {quoted(self._scores.name)}, "
            f"{'labelled' if self.labels else 'no labels'}; {self.device} {self.precision}; fed {self._preprocessing.summary}>"
        )

    @property
    def precision(self) -> str:
        """The precision that runs."""
        return self._running.precision

    @property
    def running(self) -> Running:
        """The compiled model."""
        return self._running

    @property
    def streams(self) -> int:
        """How many images are best explained at a time, each in a thread of its own: 1 unless it was loaded for throughput."""
        return min(self._running.streams, self._most)

    @property
    def scores(self) -> Scores:
        """The class output."""
        return self._scores

    @property
    def images(self) -> ImageInput:
        """The input that takes the image."""
        return self._images

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return self._scores.classes

    @takes(k=COUNT_OR_NONE)
    def label(self, k: int) -> str:
        """The label of a class, its id where there is none."""
        return self.labels[k] if k < len(self.labels) else str(k)

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes an input: from `model_info`, or changed by `configure`."""
        return self._preprocessing

    @preprocessing.setter
    def preprocessing(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing

    def configure(
        self,
        *,
        labels: Sequence[str] | None = None,
        preprocessing: Mapping[str, object] | str | None = None,
        min_score: float | None = None,
    ) -> None:
        """Set the labels, preprocessing, and the least score of a detector's boxes.

        `preprocessing` is a preset (`imagenet`, `inception`, `caffe`, `unit`, `raw`), or values by the names of `model_info`,
        which may have a `preset` among them, of which the others change a part. Raises InputError.
        """
        if min_score is not None:
            self._set_min_score(min_score)
        if labels is not None:
            self.labels = checked_labels(labels)
        if self.labels and len(self.labels) != self._scores.classes:
            raise InputError(f"there are {len(self.labels)} labels for {self._scores.classes} classes")
        self._preprocessing = updated_by(self._preprocessing, {} if preprocessing is None else preprocessing)

    def _set_min_score(self, min_score: float) -> None:
        raise InputError(
            f"a least score of {quoted(min_score)} is for boxes, and this model explains classes of images",
            options=("min_score",),
        )

    def __call__(
        self, batch: np.ndarray, explain: np.ndarray | None = None, classes: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Every output by name for a batch [B, C, H, W] (or [B, H, W, C], as the model has it), already preprocessed.

        `explain` [B], boolean, tells a model with a gate which images to explain; None is all. `classes` [B] tells a model
        whose class is asked for which one to explain of each image; None is the first.
        """
        return self._running({**self._inputs(batch, explain), **self._class_input(len(batch), classes)})

    def _inputs(self, batch: np.ndarray, explain: np.ndarray | None) -> dict[str, np.ndarray]:
        """What any hook has to be told: the images, and which of them to explain."""
        self._check(batch)
        inputs = {self._input.name: batch}
        if gate := self.record.get("gate"):
            inputs[gate] = np.ones(len(batch), bool) if explain is None else np.asarray(explain, bool)
        elif explain is not None:
            raise InputError("the model has no gate: all images are explained; insert with gate=True for one that asks which")
        return inputs

    def _class_input(self, images: int, classes: np.ndarray | None) -> dict[str, np.ndarray]:
        """Which class to explain of each image, where the hook asks for it."""
        if reads(self.record, WANTED):
            return {WANTED: np.zeros(images, np.int64) if classes is None else np.asarray(classes, np.int64)}
        if classes is not None:
            raise InputError(
                "the model is not asked for a class: it explains those of its targets; insert with targets='asked'"
            )
        return {}

    @takes(also=IDS)
    def explain(self, image: ImageLike, *, targets: TargetsOfImage | None = None, also: Sequence[int] = ()) -> Explanation:
        """The explanation of one image: a path, or RGB bytes [H, W, 3].

        An image is whatever `photo_of` takes: encoded bytes, a PIL image, floats in [0, 1] ...

        `targets` are `top:K`, the K most probable classes, `all`, or classes by ids or labels, one or a list; by default the
        most probable class, or what a model of several labels answers (see `Explanation.answers`). `A-B`, or a list of pairs
        (A, B), contrasts two classes: what speaks for A and not for B. Of a detector they are
        `all`, `boxes:N`, the N best boxes, or classes; by default all boxes. `also` are classes that come behind them where the
        hook explains them. Raises InputError for an image that cannot be read, a class that the hook does not explain, or a
        model without a hook.
        """
        photo = photo_of(image)
        sample = self.prepare(photo)
        explanation = self.explanation(photo, sample, self.outputs(sample), targets=targets, also=also)
        return replace(explanation, path=path_of(image))

    def checked(self, explanation: Explanation) -> Explanation:
        """An explanation of this network with a `MapCheck` of each map: whether covering what it shows takes the score away.

        It takes ten inferences for each target. Raises InputError for what is no explanation of classes.
        """
        if self.is_detector or not isinstance(explanation, Explanation):
            raise InputError(f"{quoted(explanation)} is no explanation of classes of an image, which is what is checked")
        return checked(self, explanation)

    def outputs(self, sample: np.ndarray) -> dict[str, np.ndarray]:
        """What the model returns for an image [1, C, H, W], as `prepare` makes it; without maps where it is asked for each."""
        return next(self._results(sample) if not reads(self.record, WANTED) else self._predictions(sample))

    def explanation(
        self,
        photo: np.ndarray,
        sample: np.ndarray,
        results: Mapping[str, np.ndarray],
        *,
        targets: TargetsOfImage | None = None,
        also: Sequence[int] = (),
    ) -> Explanation:
        """What `explain` tells of a photo [H, W, 3], from the model's outputs for the `sample` made of it."""
        y = self._read(results)[0]
        ranked = np.argsort(-y, kind="stable")
        explained = self._mapped_classes(results)
        answers = self._groups.answers(y) if self._groups is not None and self._groups.several else None
        if targets is None and (own_targets := [k for k in answers or () if k in explained]):
            targets = own_targets
        default = "all" if _of_contrasts(explained) else "top:1"
        ids = self._target_ids(default if targets is None else targets, ranked, explained)
        ids += [k for k in also if k in explained and k not in ids]
        if self.record.get("confidence") == CONFIDENCE and set(ids) <= set(explained):  # a difference of maps has none
            maps, confidence = self._by_target((MAP, CONFIDENCE), sample, results, ids, explained)
        else:
            maps, confidence = self._maps(sample, results, ids, explained), None
        return Explanation(
            image=photo,
            predictions=tuple(self._prediction(int(k), y) for k in ranked[:5]),
            targets=tuple(self._prediction(k, y) for k in ids),
            maps=maps,
            box=self._preprocessing.box(photo.shape[:2]),
            record={**self.record, "precision": self.precision, "device": self.device},
            preprocessing=self.preprocessing.to_dict(),
            answers=None if answers is None else tuple(answers),
            confidence=None if confidence is None else np.clip(confidence, 0, 1),  # which rounding may leave
            lookalikes=self._lookalikes(
                y, zip(ids, maps, strict=True), explained, lambda k: self._maps(sample, results, [k], explained)[0]
            ),
        )

    def _lookalikes(
        self,
        y: np.ndarray,
        maps: Iterable[tuple[int | Pair, np.ndarray]],
        explained: Sequence[int | Pair],
        map_of: Callable[[int], np.ndarray],
    ) -> tuple[str | None, ...] | None:
        """For each target with its map, the label of an improbable class whose map is nearly that, where there is one.

        None where the model returned no map of another class in the same run, or the method makes one for all.
        """
        method = METHODS.get(self.record.get("method", ""))
        classes = [k for k in explained if not isinstance(k, tuple)]
        if reads(self.record, WANTED) or len(classes) < 2 or method is None or method.score == "none":
            return None
        least = min(classes, key=lambda k: float(y[k]))  # the same for all targets, and so is its map
        other, label = cells_shown(self.record, map_of(least)), self.label(least)

        def is_alike(target: int | Pair, saliency: np.ndarray) -> bool:
            is_improbable = not isinstance(target, tuple) and improbable_class(y, [least], target) is not None
            return is_improbable and are_alike(cells_shown(self.record, saliency), other)

        return tuple(label if is_alike(target, saliency) else None for target, saliency in maps)

    def match(self, image: ImageLike, other: ImageLike) -> Match:
        """Two images, explained to each other, where the hook explains vectors. Raises InputError where it does not."""
        raise InputError("the model's hook explains no vectors: insert with targets='vector'")

    @takes(photo=PHOTO)
    def prepare(self, photo: np.ndarray) -> np.ndarray:
        """The image [1, C, H, W], f32, that the model sees of a photo [H, W, 3], whatever layout and type it takes."""
        if self.notify is not None and self._fed is not self._preprocessing:
            self._fed = self._preprocessing
            for doubt in doubts_of(self._preprocessing):
                self.notify(doubt)
        return self._images.planes(self._preprocessing(photo))

    @takes(images=IMAGES, logits=FLAG)
    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        """[N, K], f64: the probabilities of images [N, C, H, W], as `prepare` makes them, in batches that fit.

        Or the `logits`, where the model returns them. Raises InputError where it does not.
        """
        return np.concatenate([self._read(results, logits=logits) for results in self._predictions(images)])

    @takes(logits=FLAG)
    def predict_photos(self, photos: np.ndarray | Sequence[ImageLike], *, logits: bool = False) -> np.ndarray:
        """[N, K], f64: the probabilities of photos [N, H, W, 3], bytes or floats in [0, 1], or of a list of images of any kind.

        Each is prepared as the model expects, and as many run at once as fit: this is the function that libraries ask which
        explain a classifier from outside. Or the `logits`, where the model returns them. Raises InputError.
        """
        is_list = isinstance(photos, (list, tuple)) or (isinstance(photos, np.ndarray) and photos.ndim == 4)
        if not is_list or not len(photos):
            raise InputError(f"photos are {quoted(photos)}: an array [N, H, W, 3], or a list of images, is expected")
        size = self._images.at_once
        parts = [photos[start : start + size] for start in range(0, len(photos), size)]
        samples = (np.concatenate([self.prepare(photo_of(photo)) for photo in part]) for part in parts)
        return np.concatenate([self.predict(sample, logits=logits) for sample in samples])

    @takes(images=IMAGES, logits=FLAG)
    def maps(
        self, images: np.ndarray, classes: Sequence[int | Pair | None], *, logits: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities or logits [N, K] of images [N, C, H, W], and the map [N, h, w] of one class for each.

        A class of None is the one that is predicted, and a pair the contrast of two.

        Raises InputError for a class that is not explained, or a model without a hook.
        """
        is_list = isinstance(classes, (list, tuple, range)) or (isinstance(classes, np.ndarray) and classes.ndim == 1)
        if not is_list or len(classes) != len(images):
            raise InputError(f"classes are {quoted(classes)}: one of each of the {len(images)} images is expected, or None")
        if reads(self.record, WANTED):
            y = self.predict(images, logits=logits)
            ids = [int(row.argmax()) if k is None else k for row, k in zip(y, classes, strict=True)]
            self._target_ids(list(dict.fromkeys(ids)), NO_RANKING, range(self._scores.classes))
            runs = self._results(images, cast("list[int]", ids))  # contrasts are refused there
            return y, np.concatenate([unscaled(results[MAP][:, 0]) for results in runs])
        scores: list[np.ndarray] = []
        maps: list[np.ndarray] = []
        for results in self._results(images):
            scores.append(self._read(results, logits=logits))
            for item in range(len(scores[-1])):
                alone = {name: array[item : item + 1] for name, array in results.items()}
                k, explained = classes[len(maps)], self._mapped_classes(alone)
                id_of_image = self._target_ids([int(scores[-1][item].argmax()) if k is None else k], NO_RANKING, explained)
                maps.append(self._maps(images[len(maps)][None], alone, id_of_image, explained)[0])
        return np.concatenate(scores), np.stack(maps)

    def probabilities(self, results: Mapping[str, np.ndarray]) -> np.ndarray:
        """[N, K], f64: of the outputs of a run."""
        return self._read(results)

    def _read(self, results: Mapping[str, np.ndarray], *, logits: bool = False) -> np.ndarray:
        scores = self._scores.by_class(results[self._scores.name])
        scale = self._scale or scale_of(scores)
        if self._groups is not None and self._groups.several and not logits:
            if scale != "logit":
                raise InputError(f"the scores of a {self._groups.labelling} model are logits, and these add up to 1")
            return self._groups.probabilities(scores)
        if not logits:
            return probabilities(scores, scale, self.record.get("score"))
        if scale != "logit":
            raise InputError(f"output '{self._scores.name}' ends in a {scale}: the model returns no logits to read")
        return scores.astype(np.float64)

    def _results(self, images: np.ndarray, classes: Sequence[int] | None = None) -> Iterator[dict[str, np.ndarray]]:
        """The outputs for images of any number, in batches that fit, without what filled them up."""
        done = 0
        most = min(AT_ONCE, max(1, self._most // self.streams))
        for batch, count in self._images.runs(self._images.laid_out(images), most):
            ids = None if classes is None else np.resize(classes[done : done + count], len(batch))
            yield _of_images(self(batch, classes=ids), count, len(batch))
            done += count

    def _predictions(self, images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """The outputs of the model, without maps where these are dear."""
        if self._plain is None:
            yield from self._results(images)
        else:
            for batch, count in self._images.runs(self._images.laid_out(images)):
                yield _of_images(self._plain({self._input.name: batch}), count, len(batch))

    @cached_property
    def _plain(self) -> Running | None:
        return None if self._compile_plain is None else self._compile_plain()

    def _maps(
        self, image: np.ndarray, results: Mapping[str, np.ndarray], ids: Sequence[int | Pair], explained: Sequence[int | Pair]
    ) -> np.ndarray:
        """The maps [K, h, w] of some of what is explained, for the first image of a run."""
        if any(k not in explained for k in ids):  # differences
            sides = zip(*(k for k in ids if isinstance(k, tuple)), strict=True)
            first, second = (self._by_target((MAP,), image, results, side, explained)[0] for side in sides)
            return np.asarray(first - second)
        return self._by_target((MAP,), image, results, ids, explained)[0]

    def _by_target(
        self,
        names: Sequence[str],
        image: np.ndarray,
        results: Mapping[str, np.ndarray],
        ids: Sequence[int | Pair],
        explained: Sequence[int | Pair],
    ) -> list[np.ndarray]:
        """Outputs of the hook that are called `names`, each [K, h, w], of some of what is explained."""
        if reads(self.record, WANTED):
            classes = [k for k in ids if isinstance(k, int)]  # contrasts are refused there
            runs = [next(self._results(image, [k])) for k in classes]
            return [np.concatenate([unscaled(run[name][:, 0]) for run in runs]) for name in names]
        return [unscaled(results[name][0])[[explained.index(k) for k in ids]] for name in names]

    def _check(self, batch: np.ndarray) -> None:
        if not isinstance(batch, np.ndarray):
            raise InputError(f"a batch is {quoted(batch)}: an array is expected, as prepare makes it of a photo")
        expected = self._input.shape or ()
        fits = batch.ndim == len(expected) and all(
            isinstance(size, Dim) or size == actual for size, actual in zip(expected, batch.shape, strict=True)
        )
        if not fits or batch.dtype != self._input.dtype:
            wanted = ", ".join(map(str, expected))
            raise InputError(
                f"a batch of {batch.dtype} {list(batch.shape)} does not fit input '{self._input.name}': "
                f"{self._input.dtype} [{wanted}] is expected"
            )

    def _mapped_classes(self, results: Mapping[str, np.ndarray]) -> Sequence[int | Pair]:
        """The classes, or contrasts of two, that have a map. Raises InputError where there is no hook."""
        if not self.record:
            raise InputError("the model carries no hook: give it one with openvino_xai.insert, and load the result")
        if CLASS in results:
            return [int(k) for k in results[CLASS][0]]
        pick = parse_pick(self.record["targets"])
        if isinstance(pick, Contrasts):
            return pick.pairs
        return ids_of(pick) or range(self._scores.classes)

    def _target_ids(self, targets: TargetsOfImage, ranked: np.ndarray, explained: Sequence[int | Pair]) -> list[int | Pair]:
        pick = parse_pick(named_targets(targets, self.labels, self._scores.classes))
        refuse_unknown(pick, self._scores.classes)
        if isinstance(pick, Contrasts):
            for pair in pick.pairs:
                self._refuse_difference(pair, explained)
            return list(pick.pairs)
        if _of_contrasts(explained):
            if isinstance(pick, All):
                return list(explained)
            raise InputError(
                f"targets {quoted(targets)} are single classes, and the hook explains contrasts of two: "
                f"{self.record['targets']}; explain takes all of these, or some",
                options=("targets",),
            )
        if not isinstance(pick, Ids):
            there = set(explained)
            ids: list[int | Pair] = [int(k) for k in ranked if k in there]
            return ids[: pick.k if isinstance(pick, TopK) else None]
        missing = [k for k in pick.ids if k not in explained]
        if missing:
            targets_of_hook = self.record["targets"]
            raise InputError(f"class {missing[0]} is not explained: the hook was inserted with targets {targets_of_hook}")
        return list(pick.ids)

    def _refuse_difference(self, pair: Pair, explained: Sequence[int | Pair]) -> None:
        """Raise InputError for a contrast that no map is of, and that is no difference of two maps, either.

        Scores of masks are, as long as nothing scales the two maps apart, and one run returns both.
        """
        if pair in explained:
            return
        method = METHODS.get(self.record.get("method", ""))
        linear = method is not None and method.masks != "nothing" and self.record.get("scale") == "none"
        if not linear or reads(self.record, WANTED) or not set(pair) <= set(explained):
            contrast = f"{pair[0]}-{pair[1]}"
            raise InputError(
                f"the contrast {contrast} is not explained: the hook was inserted with targets {self.record['targets']}, "
                f"and no difference of its maps means it; insert with targets {contrast}",
                options=("targets",),
            )

    def _prediction(self, k: int | Pair, y: np.ndarray) -> Prediction:
        if isinstance(k, tuple):
            first, other = (self._prediction(side, y) for side in k)
            return Contrast.of(first, other)
        return Prediction(k, self.label(k), float(y[k]))


def _of_contrasts(explained: Sequence[int | Pair]) -> bool:
    """Whether maps are of contrasts, and not of classes."""
    return any(isinstance(k, tuple) for k in explained[:1])


def _of_images(outputs: Mapping[str, np.ndarray], count: int, batch: int) -> dict[str, np.ndarray]:
    """The outputs of the first `count` images of a batch; whole where these are all."""
    return dict(outputs) if count == batch else {name: array[:count] for name, array in outputs.items()}


def unscaled(maps: np.ndarray) -> np.ndarray:
    """Maps as they are, or in [0, 1] where they are bytes."""
    return maps.astype(np.float32) / 255 if maps.dtype == np.uint8 else maps

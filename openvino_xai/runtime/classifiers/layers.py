"""A deployed model that probes can ask: as it is, at one of its layers, and from that layer on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from openvino_xai.contract import GRADIENT, WANTED
from openvino_xai.dialects.protocol import Deployed, Running
from openvino_xai.errors import LayerError
from openvino_xai.graph.sizes import concrete
from openvino_xai.locate.layers import is_quantised
from openvino_xai.locate.located import Location
from openvino_xai.runtime.classifiers.gradient import gradient_by_image, gradient_by_layer
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.network import Network
from openvino_xai.verify.finite_differences import step_along

FEATURES, LOGITS = "ovxai_features", "ovxai_logits"


class ImageClassifier:
    """A `Classifier` for probes that look at images alone: a network of which nothing else is known."""

    layer: str | None = None

    def __init__(self, network: Network) -> None:
        self._network, self._image = network, network.images

    @property
    def batch(self) -> int:
        """The number of images, or features, to run at once."""
        return self._image.at_once

    def scores(self, images: np.ndarray) -> np.ndarray:
        """[N, K] in [0, 1], f64: the probabilities of images [N, C, H, W]."""
        return self._network.predict(images)

    def features(self, images: np.ndarray) -> np.ndarray:
        """Raises LayerError: no layer is known."""
        raise LayerError("the model is known from outside: a method that looks at a layer needs its file")

    def logits_from(self, features: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Raises LayerError: no layer is known."""
        return self.features(image)

    def gradients(self, images: np.ndarray, k: int) -> np.ndarray:
        """Raises LayerError: nothing inside is known."""
        raise LayerError("the model is known from outside: gradients need its file")

    def layer_gradients(self, image: np.ndarray, k: int) -> np.ndarray:
        """Raises LayerError: no layer is known."""
        return self.features(image)

    def activations(self, image: np.ndarray) -> np.ndarray:
        """Raises LayerError: no tokens are known."""
        raise LayerError("no tokens of the model are known: a method that drops some needs a transformer's file")

    def token_scores(self, image: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Raises LayerError: no tokens are known."""
        return self.activations(image)


class GradientClassifier(ImageClassifier):
    """A `Classifier` for probes that look at gradients by the image: the whole network, differentiated.

    Raises PlanError, naming the operation that has no derivative, and VerificationError where the score does not move as its
    gradient says.
    """

    def __init__(self, network: Network, deployed: Deployed, description: Described, compiled: tuple[str, str]) -> None:
        super().__init__(network)
        self._gradient = gradient_by_image(deployed, description.image, description.scores).compile(*compiled)
        images = random_images(network)
        count = len(images)
        logits = deployed.probing(read={LOGITS: description.scores.read_at("logit")}, inputs={}).compile(*compiled)

        def logits_of(moved: np.ndarray) -> np.ndarray:
            y = logits({self._image.name: self._image.laid_out(moved.astype(np.float32))})[LOGITS]
            return y.reshape(count, -1).astype(np.float64)

        classes = logits_of(images).argmax(axis=1)
        slopes = np.concatenate([self.gradients(image[None], int(k)) for image, k in zip(images, classes, strict=True)])
        quantised = is_quantised(deployed.graph)
        where = f"image '{self._image.name}'"
        step_along(
            logits_of, images, slopes.astype(np.float64), classes.tolist(), cells=(2, 3), where=where, quantised=quantised
        )

    def gradients(self, images: np.ndarray, k: int) -> np.ndarray:
        """[N, C, H, W], f32: the derivative of class k's logit with respect to images [N, C, H, W]."""
        gradients = []
        for part, count in self._image.runs(self._image.laid_out(images)):
            inputs = {self._image.name: part, WANTED: np.full(len(part), k, np.int64)}
            gradients.append(self._image.planes(self._gradient(inputs)[GRADIENT][:count]))
        return np.concatenate(gradients)


def random_images(network: Network) -> np.ndarray:
    """Images [N, C, H, W], f32, of noise, as many as the model takes, or two."""
    image_input = network.images
    shape = (image_input.batch or 2, network.preprocessing.channels, *network.preprocessing.size)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


class LayeredClassifier(ImageClassifier):
    """A `Classifier` for probes: a model without a hook, and one of its layers; what is not asked for is not compiled.

    What it is asked about images alone, `of_image` answers. Raises LayerError for a layer where channels have no axis of their
    own.
    """

    def __init__(
        self, network: Network, of_image: ImageClassifier, deployed: Deployed, location: Location, compiled: tuple[str, str]
    ) -> None:
        super().__init__(network)
        self._of_image = of_image
        self._deployed, self._location, self._compiled = deployed, location, compiled
        self._at = location.layer
        self._cache: tuple[np.ndarray, np.ndarray] | None = None
        self.layer = location.layer.name

    def features(self, images: np.ndarray) -> np.ndarray:
        """[N, C, h, w]: what the layer holds for images [N, C, H, W]; of tokens, those that are cells."""
        return self._by_cell(self._run(self._trunk, images, FEATURES))

    def gradients(self, images: np.ndarray, k: int) -> np.ndarray:
        """[N, C, H, W], f32: the derivative of class k's logit with respect to images. Raises LayerError where none is made."""
        return self._of_image.gradients(images, k)

    def layer_gradients(self, image: np.ndarray, k: int) -> np.ndarray:
        """[C, h, w], f32: the derivative of class k's logit for `image` [1, C, H, W] by the layer's cells."""
        return np.asarray(self._by_cell(self._slopes(image, [k]))[0])

    def _slopes(self, images: np.ndarray, classes: Sequence[int]) -> np.ndarray:
        """The derivative of each image's class's logit by what the layer holds, in the layer's own axes."""
        slopes, start = [], 0
        for part, count in self._image.runs(self._image.laid_out(images)):
            ids = np.resize(np.array(classes[start : start + count], np.int64), len(part))
            slopes.append(self._gradient({self._image.name: part, WANTED: ids})[GRADIENT][:count])
            start += count
        return np.concatenate(slopes)

    def _by_cell(self, raw: np.ndarray) -> np.ndarray:
        """[N, C, h, w], f32, of an array as the layer holds it; tokens that are no cells are left out."""
        raw = raw.astype(np.float32)
        place, channels = self._at.place, self._at.channels
        if len(place.cells) == 2:
            return raw.transpose(place.batch, channels, *place.cells)
        tokens = raw.transpose(place.batch, channels, *place.cells)
        tokens = tokens[:, :, place.tokens(tokens.shape[2])]
        return tokens.reshape(*tokens.shape[:2], *concrete(place.grid, f"the cells of layer '{self.layer}'"))

    def logits_from(self, features: np.ndarray, image: np.ndarray) -> np.ndarray:
        """[N, K], f64: the logits where the layer holds `features` [N, C, h, w]; the rest is as for `image` [1, C, H, W]."""
        laid, logits = self._image.laid_out(image), []
        for part, count in self._image.runs(self._put_back(features, image)):
            inputs = {FEATURES: part, self._image.name: np.repeat(laid, len(part), axis=0)}
            logits.append(self._tail(inputs)[LOGITS][:count])
        return np.concatenate(logits).reshape(len(features), -1).astype(np.float64)

    def hold_gradients(self) -> None:
        """Raise PlanError where the tail has no derivative, VerificationError where the score does not move as it says."""
        deployed, images = self._deployed, random_images(self._network)
        classes = self._network.predict(images).argmax(axis=1).tolist()
        values = self._run(self._trunk, images, FEATURES)
        laid = self._image.laid_out(images)

        def logits(features: np.ndarray) -> np.ndarray:
            y = self._tail({FEATURES: features.astype(values.dtype), self._image.name: laid})[LOGITS]
            return y.reshape(len(images), -1).astype(np.float64)

        slopes, quantised = self._slopes(images, classes).astype(np.float64), is_quantised(deployed.graph)
        cells, where = self._at.place.cells, f"layer '{self.layer}'"
        step_along(logits, values, slopes, classes, cells=cells, where=where, quantised=quantised)

    @cached_property
    def _gradient(self) -> Running:
        return gradient_by_layer(self._deployed, self._location).compile(*self._compiled)

    @cached_property
    def _trunk(self) -> Running:
        return self._deployed.probing(read={FEATURES: self._at.value}, inputs={}).compile(*self._compiled)

    @cached_property
    def _tail(self) -> Running:
        read = {LOGITS: self._network.scores.read_at("logit")}
        return self._deployed.probing(read=read, inputs={FEATURES: self._at.value}).compile(*self._compiled)

    def _run(self, running: Running, images: np.ndarray, output: str) -> np.ndarray:
        runs = self._image.runs(self._image.laid_out(images))
        return np.concatenate([running({self._image.name: part})[output][:count] for part, count in runs])

    def _put_back(self, features: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Features [N, C, h, w] as the layer holds them; tokens that are no cells are those of the image."""
        cache = self._cache
        if cache is None or cache[0] is not image:  # asked for again and again
            cache = self._cache = image, self._run(self._trunk, image, FEATURES)
        values, place = cache[1], self._at.place
        order = (place.batch, self._at.channels, *place.cells)
        back = [order.index(axis) for axis in range(len(order))]
        if len(place.cells) == 2:
            return features.transpose(back).astype(values.dtype)
        tokens = np.repeat(values.transpose(order), len(features), axis=0)
        cells = features.reshape(*features.shape[:2], -1)
        tokens[:, :, place.prefix : place.prefix + cells.shape[2]] = cells
        return tokens.transpose(back)

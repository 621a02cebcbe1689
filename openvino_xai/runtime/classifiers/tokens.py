"""A deployed transformer that probes can ask about some of its tokens."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from openvino_xai.dialects.protocol import Deployed, Running
from openvino_xai.errors import VerificationError
from openvino_xai.graph.model import Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.graph.trace import Trace, shape_of
from openvino_xai.locate.layers import is_quantised
from openvino_xai.locate.located import Located, Location
from openvino_xai.plan.emit import emit
from openvino_xai.plan.hook import Plan
from openvino_xai.runtime.classifiers.layers import LOGITS, ImageClassifier, random_images
from openvino_xai.runtime.network import Network
from openvino_xai.tail.attention.dropped import Encoder

DROPPED, MOVED, ENDS = "ovxai_dropped", "ovxai_moved", "ovxai_end"
SAME = 1e-3  # of the range of logits: what they may differ by, by rounding
SAME_QUANTISED = 0.1  # a value that is rounded to its neighbour moves all behind it


class TokenClassifier(ImageClassifier):
    """A `Classifier` for probes that drop tokens where they enter the first attention block, and read those behind each.

    Tokens that are dropped are still computed, and nobody attends to them: the model's number of tokens is fixed. Raises
    LayerError or PlanError where the scores do not read a class token of attention blocks that are known, and
    VerificationError where they depend on tokens that are dropped, or differ though none is.
    """

    def __init__(self, network: Network, located: Located, method: str, compiled: tuple[str, str]) -> None:
        super().__init__(network)
        self._deployed, self._compiled = located.deployed, compiled
        self._location = located.at(located.first_block(method))
        self._encoder = Encoder.of(self._location, method)
        self._method = method
        self._hold()

    def activations(self, image: np.ndarray) -> np.ndarray:
        """[D, h, w], f32: the channels of all blocks, behind each, at the cells of `image` [1, C, H, W]."""
        (axis,), cells = self._location.layer.place.cells, self._encoder.stack.cell_tokens
        part, _ = next(iter(self._image.runs(self._image.laid_out(image), 1)))
        results = self._reading({self._image.name: part})
        ends = [results[f"{ENDS}_{number}"][0] for number in range(len(self._encoder.ends))]
        by_token = [np.moveaxis(end, axis - 1, -1).astype(np.float32) for end in ends]  # the batch is ahead
        return np.concatenate([end.reshape(-1, end.shape[-1])[:, cells] for end in by_token]).reshape(-1, *self._grid)

    def token_scores(self, image: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """[N, K] in [0, 1], f64: probabilities of `image` [1, C, H, W] with the cells alone that `masks` [N, h, w] keep."""
        laid, scores = self._image.laid_out(image), []
        for part, count in self._image.runs(self._dropped(masks)):
            inputs = {self._image.name: np.repeat(laid, len(part), axis=0), DROPPED: part}
            scores.append(self._network.probabilities(self._dropping(inputs))[:count])
        return np.concatenate(scores)

    @cached_property
    def _grid(self) -> tuple[int, ...]:
        return concrete(self._location.layer.place.grid, f"the cells of '{self._location.layer.name}'")

    def _dropped(self, masks: np.ndarray) -> np.ndarray:
        """[N, T], f32: 1 for tokens of cells that masks [N, h, w] do not keep."""
        dropped = np.zeros((len(masks), self._encoder.stack.tokens), np.float32)
        dropped[:, self._encoder.stack.cell_tokens] = 1 - masks.reshape(len(masks), -1)
        return dropped

    @cached_property
    def _reading(self) -> Running:
        read = {f"{ENDS}_{number}": end for number, end in enumerate(self._encoder.ends)}
        return self._deployed.probing(read=read, inputs={}).compile(*self._compiled)

    @cached_property
    def _dropping(self) -> Running:
        return dropping(self._deployed, self._location, self._method).compile(*self._compiled)

    def _hold(self) -> None:
        """Raise VerificationError where dropping tokens does what it should not."""
        images = random_images(self._network)
        laid, rng = self._image.laid_out(images), np.random.default_rng(0)
        entry = self._encoder.entry
        read = self._deployed.probing(read={LOGITS: self._network.scores.read_at("logit"), MOVED: entry}, inputs={})
        plain = read.compile(*self._compiled)({self._image.name: laid})
        twin = dropping(self._deployed, self._location, self._method, moved=True).compile(*self._compiled)
        tokens = self._encoder.stack.tokens
        (axis,) = self._location.layer.place.cells
        some = self._dropped(rng.random((len(images), *self._grid)) < 0.5)
        along = some.reshape([len(images), *(tokens if place == axis else 1 for place in range(1, plain[MOVED].ndim))])
        noise = (rng.standard_normal(plain[MOVED].shape) * plain[MOVED].std()).astype(plain[MOVED].dtype)

        def logits(dropped: np.ndarray, moved: np.ndarray) -> np.ndarray:
            y = twin({self._image.name: laid, DROPPED: dropped, MOVED: moved.astype(plain[MOVED].dtype)})[LOGITS]
            return y.astype(np.float64)

        intact, part = logits(0 * some, 0 * noise), logits(some, 0 * noise)
        pairs = [
            (plain[LOGITS].astype(np.float64), intact, "differ though no token is dropped"),
            (part, logits(some, noise * along), "depend on tokens that are dropped, in a way that is no attention"),
        ]
        same = SAME_QUANTISED if is_quantised(self._deployed.graph) else SAME
        for first, second, what in pairs:
            gap = float(np.abs(first - second).max() / max(float(np.ptp(first)), 1e-9))
            if not gap <= same:
                raise VerificationError(
                    f"{self._method} drops tokens, and the scores {what}: by {gap:.2g} of their range, where {same} may be "
                    "rounding; take chefer, or a method that suits the model"
                )


def dropping(deployed: Deployed, location: Location, method: str, *, moved: bool = False) -> Deployed:
    """A twin with an input of tokens that are dropped, [B, T], f32: 1 for each of those.

    If they are to be `moved`, it has another of what is added to the tokens that enter the first block, and logits as an
    output. Raises PlanError.
    """
    twin, trace = deployed.twin(), Trace()
    encoder = Encoder.of(location.within(twin.graph), method)
    entry, image = encoder.entry, encoder.location.image
    dropped = Value(DROPPED, (shape_of(image)[0], encoder.stack.tokens), np.dtype(np.float32))
    inputs, outputs, splices = {DROPPED: dropped}, {}, encoder.without(trace, dropped)
    if moved:
        inputs[MOVED] = step = Value(MOVED, entry.shape, entry.dtype)
        splices.update(dict.fromkeys(twin.graph.consumers[entry], trace.add(entry, step)))
        end = encoder.location.scores.read_at("logit")
        outputs[LOGITS] = trace.multiply(end, np.ones((), end.dtype))
    emit(Plan(twin.graph, tuple(trace.nodes), outputs, inputs, splices=splices), twin)
    return twin.reread()

"""What stands behind the page: one model, hooked in some ways, and the photos that were looked at last."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from openvino_xai.contract import WANTED, reads
from openvino_xai.errors import InputError, OvxaiError
from openvino_xai.explanation import Explanation, Match
from openvino_xai.render.photo import decode_photo, read_photo
from openvino_xai.runtime.detectors.class_maps import ClassMaps
from openvino_xai.runtime.detectors.detector import Detector
from openvino_xai.runtime.detectors.probed import ProbedDetector
from openvino_xai.runtime.inputs.presets import updated_by
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.preprocessing import Preprocessing
from openvino_xai.runtime.probed import Probed
from openvino_xai.runtime.tasks.matcher import Matcher
from openvino_xai.runtime.tasks.segmenter import Segmenter
from openvino_xai.ui.question import Choice, Question, fed_by
from openvino_xai.ui.shown import fed, picture, shown

NETWORKS = 6  # compiled models, at most
PHOTOS, PIXELS = 12, 2**27  # photos, and pixels of all of them: the last is always there
AGAINST = "against"  # the id of the photo that others are explained against
NAMED = "named-"  # how the ids of photos begin that the program was started with
PREDICTED = 5  # classes that are shown, where their maps come with the scores
BOXES_PROBED = "boxes:3"

Progress: TypeAlias = Callable[[int, int], None]
Load: TypeAlias = Callable[[Choice, Progress], Network]


class Gone(InputError):
    """A photo that is not here any more: whoever has it sends it again."""


class Stopped(InputError):
    """What somebody stopped."""


class Session:
    """Explains photos, one at a time whoever asks, by networks that are compiled once for each choice of method and layer.

    `load` makes one, fed as the model itself says; it is told how to say how far it is. `feeding` is what is said of the
    preprocessing where the page says nothing. Vectors are explained `against` another photo. `alive` is called whenever
    something gets on.
    """

    def __init__(
        self,
        load: Load,
        photos: Sequence[Path] = (),
        *,
        against: Path | None = None,
        feeding: Mapping[str, object] = MappingProxyType({}),
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._load, self._feeding, self._alive = load, feeding, alive
        self._working = threading.Lock()
        self._networks: OrderedDict[Choice, tuple[Network, Preprocessing]] = OrderedDict()
        self._photos: OrderedDict[str, np.ndarray] = OrderedDict()
        self._paths = {f"{NAMED}{index}": path for index, path in enumerate(photos)}
        if against is not None:
            self._photos[AGAINST] = read_photo(against)
        self._against = against
        self._stop = threading.Event()
        self._doing, self._since = "", 0.0
        self.first = self._network(Choice())[0]  # whatever is wrong with the model is told before anything is served
        if against is not None and not isinstance(self.first, Matcher):
            raise InputError("the model's hook explains no vectors: leave the other photo out", options=("against",))

    @property
    def photos(self) -> dict[str, Path]:
        """The photos that the program was started with, by their ids."""
        return self._paths

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._working.locked()

    def progress(self) -> dict[str, Any]:
        """What is under way, in words, and for how many seconds; "" where nothing is."""
        doing, since = self._doing, self._since
        return {"doing": doing, "seconds": round(time.monotonic() - since, 1) if doing else 0.0}

    def stop(self) -> None:
        """Let what asks a model again and again end after the next answer."""
        self._stop.set()

    def answer(self, question: Question, data: bytes = b"") -> dict[str, Any]:
        """What a question is answered, as JSON; `data` is the photo, where it comes with the question.

        Raises Gone for a photo that is not here, and what else an explanation raises.
        """
        with self._turn():
            start = time.perf_counter()
            name, photo = self._photo(question.photo, data)
            decoded = time.perf_counter()
            network, base = self._network(question.choice)
            compiled = time.perf_counter()
            self._say("explaining")
            network.preprocessing = updated_by(base, fed_by(self._feeding, question.preprocessing))
            covered = question.covered(photo)
            explanation = self._explained(network, covered, question.classes)
            explained = time.perf_counter()
            content = {
                "photo": name,
                **shown(explanation),
                "fed": fed(network.preprocessing, covered),
                "dear": _asks_for_each(network),
            }
            content["milliseconds"] = {
                "decoding": 1000 * (decoded - start),
                "compiling": 1000 * (compiled - decoded),
                "explaining": 1000 * (explained - compiled),
                "all": 1000 * (time.perf_counter() - start),
            }
            return content

    def picture(self, photo: str) -> bytes:
        """A photo as a JPEG. Raises Gone, ImageError."""
        with self._turn():
            return picture(self._photo(photo, b"")[1])

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._working:
            self._stop.clear()
            self._alive()
            try:
                yield
            finally:
                self._say("")
                self._alive()

    def _say(self, doing: str) -> None:
        if not doing or not self._doing:
            self._since = time.monotonic()
        self._doing = doing

    def _photo(self, name: str, data: bytes) -> tuple[str, np.ndarray]:
        """The id of a photo, and its pixels. Raises Gone, ImageError."""
        if name in self._photos:
            self._photos.move_to_end(name)
            return name, self._photos[name]
        if not name:
            self._say("reading the photo")
            name, photo = secrets.token_hex(8), decode_photo(data, "the photo")
        elif name in self._paths:
            photo = read_photo(self._paths[name])
        else:
            raise Gone("the photo is not here any more: send it again")
        self._photos[name] = photo
        others = [key for key in self._photos if key not in (name, AGAINST)]
        while others and (len(self._photos) > PHOTOS or self._pixels() > PIXELS):
            del self._photos[others.pop(0)]
        return name, photo

    def _pixels(self) -> int:
        return sum(photo.shape[0] * photo.shape[1] for photo in self._photos.values())

    def _network(self, choice: Choice) -> tuple[Network, Preprocessing]:
        """The network of a choice, and how it is fed where the page says nothing. Raises an OvxaiError."""
        if choice in self._networks:
            self._networks.move_to_end(choice)
            return self._networks[choice]
        words = [word for word in (choice.method, choice.layer and f"at {choice.layer}") if word]
        self._say(f"compiling {' '.join(words)}".strip())
        network = self._load(choice, self._tell)
        while len(self._networks) >= NETWORKS:
            self._networks.popitem(last=False)
        self._networks[choice] = network, network.preprocessing
        self._alive()
        return self._networks[choice]

    def _tell(self, done: int, total: int) -> None:
        """Hear how far a probe is. Raises Stopped."""
        self._alive()
        if self._stop.is_set():
            raise Stopped("stopped")
        self._say(f"asking the model, {done} of {total}")

    def _explained(self, network: Network, photo: np.ndarray, classes: Sequence[int]) -> Explanation | Match:
        """The photo, explained: what is predicted, or of a hook that has its price for each class, what is asked for."""
        if isinstance(network, Matcher):
            if self._against is None:
                raise InputError("the model's hook explains vectors: name another photo at the start", options=("against",))
            return replace(network.match(photo, self._photos[AGAINST]), against=self._against)
        if isinstance(network, ProbedDetector):
            return network.explain(photo, targets=BOXES_PROBED)
        if isinstance(network, (Detector, ClassMaps, Segmenter)):
            return network.explain(photo)
        sample = network.prepare(photo)
        valid = [k for k in classes if k < network.classes]
        targets = (valid or "top:1") if _asks_for_each(network) else f"top:{min(PREDICTED, network.classes)}"
        try:
            return network.explanation(photo, sample, network.outputs(sample), targets=targets, also=valid)
        finally:
            self._alive()


def _asks_for_each(network: Network) -> bool:
    """Whether the map of each class has its price."""
    return isinstance(network, (Probed, ProbedDetector)) or reads(network.record, WANTED)


def line_of(error: Exception) -> str:
    """What an error says to somebody who looks at the page."""
    if isinstance(error, OvxaiError):
        return str(error)
    if isinstance(error, MemoryError) or "bad_alloc" in str(error):
        return "the memory does not suffice for this photo or model"
    return f"{type(error).__name__}: {error}".replace("\n", " ")

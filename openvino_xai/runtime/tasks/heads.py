"""A model of several heads, each as a network of its own, and all of them explained by one inference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from openvino_xai.arguments import IDS, takes
from openvino_xai.contract import READ, WANTED, Names, names_of, reads
from openvino_xai.dialects.protocol import Running
from openvino_xai.errors import InputError, PreprocessingWarning
from openvino_xai.explanation import HeadsExplanation
from openvino_xai.graph.model import Graph, Value
from openvino_xai.graph.sizes import concrete
from openvino_xai.runtime.inputs.photos import ImageLike, path_of, photo_of
from openvino_xai.runtime.inputs.targets import TargetsOfImage
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.preprocessing import Preprocessing


class Heads(Mapping[str, Network]):
    """The heads that a hook explains, by the names of their scores; they share one compiled model and its preprocessing."""

    is_detector = False

    def __init__(self, networks: Mapping[str, Network]) -> None:
        self._networks = dict(networks)

    def __repr__(self) -> str:
        """Each head in turn."""
        return f"<{type(self).__name__} {', '.join(f'{scores!r}: {network!r}' for scores, network in self.items())}>"

    def __getitem__(self, scores: str) -> Network:
        """The head with these scores."""
        return self._networks[scores]

    def __iter__(self) -> Iterator[str]:
        """The names of the scores, in the order in which they were named."""
        return iter(self._networks)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._networks)

    def chosen(self, scores: Sequence[str]) -> Heads:
        """Some of the heads, in this order; all, where none is named. Raises InputError for one that is not there."""
        missing = [name for name in scores if name not in self]
        if missing:
            raise InputError(
                f"the hook explains {', '.join(map(repr, self))}; '{missing[0]}' is not among them", options=("scores",)
            )
        return Heads({name: self[name] for name in scores or self})

    @property
    def preprocessing(self) -> Preprocessing:
        """What all heads are fed: they read one image."""
        return next(iter(self.values())).preprocessing

    @property
    def notify(self) -> Callable[[PreprocessingWarning], None] | None:
        """What hears of doubtful preprocessing, as `Network.notify`; setting it sets that of each head."""
        return next(iter(self.values())).notify

    @notify.setter
    def notify(self, notify: Callable[[PreprocessingWarning], None] | None) -> None:
        for network in self.values():
            network.notify = notify

    @property
    def streams(self) -> int:
        """How many photos are best explained at a time."""
        return min(network.streams for network in self.values())

    def label(self, k: int) -> str:
        """The number of a class: each head has labels of its own."""
        return str(k)

    def configure(
        self,
        *,
        labels: Sequence[str] | None = None,
        preprocessing: Mapping[str, object] | str | None = None,
        min_score: float | None = None,
    ) -> None:
        """Set the preprocessing of all heads, and the labels of the one that has as many classes. Raises InputError."""
        fitting = [scores for scores, network in self.items() if labels is not None and network.classes == len(labels)]
        if labels is not None and len(fitting) != 1:
            counts = ", ".join(f"'{scores}' {network.classes}" for scores, network in self.items())
            raise InputError(
                f"{len(labels)} labels are told, and {len(fitting) or 'none'} of the heads have as many classes ({counts}): "
                "explain one head at a time, each with its labels",
                options=("labels", "scores"),
            )
        for scores, network in self.items():
            network.configure(labels=labels if scores in fitting else None, preprocessing=preprocessing, min_score=min_score)

    @takes(also=IDS)
    def explain(self, image: ImageLike, *, targets: TargetsOfImage | None = None, also: Sequence[int] = ()) -> HeadsExplanation:
        """The explanations of one image by all heads: a path, or RGB bytes [H, W, 3].

        `targets` are as of one head, and for each. Raises InputError, which names the head.
        """
        photo = photo_of(image)
        first = next(iter(self.values()))
        sample = first.prepare(photo)
        results: Mapping[str, np.ndarray] | None = None
        explanations = {}
        for scores, network in self.items():
            try:
                if type(network) is not Network or reads(network.record, WANTED):  # these ask the model anew for each class
                    explanations[scores] = network.explain(photo, targets=targets, also=also)
                    continue
                results = network.outputs(sample) if results is None else results
                outputs = names_of(network.record).of_head(results)
                explanations[scores] = network.explanation(photo, sample, outputs, targets=targets, also=also)
            except InputError as error:
                raise type(error)(f"head '{scores}': {error}", node=error.node, options=error.options) from error
        return HeadsExplanation(explanations, path_of(image))


def running_of_head(running: Running, graph: Graph, records: Sequence[Mapping[str, str]], record: Mapping[str, str]) -> Running:
    """A compiled model as if one of its heads were explained alone: the others are told zeros where they ask."""
    names = names_of(record)
    if not names.head:
        return running
    foreign = {names_of(other).in_file(name) for other in records if other is not record for name in READ if reads(other, name)}
    inputs = [value for value in graph.inputs if value.name in foreign - {names.in_file(name) for name in READ}]
    return Running(
        lambda arrays: names.of_head(running.run(_for_all(arrays, names, inputs))),
        lambda arrays: running.once(_for_all(arrays, names, inputs)),
        lambda arrays, count: running.many(_for_all(arrays, names, inputs), count),
        running.precision,
        running.streams,
    )


def _for_all(arrays: Mapping[str, np.ndarray], names: Names, others: Sequence[Value]) -> dict[str, np.ndarray]:
    """What a file is to be given for what one head is given: zeros for the others."""
    batch = len(next(iter(arrays.values())))
    zeros = {
        value.name: np.zeros((batch, *concrete((value.shape or ())[1:], f"input '{value.name}'")), value.dtype)
        for value in others
    }
    return {**names.of_file(arrays), **zeros}

"""Contrasts, measured: of two classes A and B, how good the map is that says what speaks for A and not for B.

The score of a contrast is z_A - z_B, the difference of the two logits, as the map is of that difference: the log-odds of A
against B, whatever the other classes are. Where B is improbable, a difference of probabilities would be little but that of A.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np

from openvino_xai.choices import quoted
from openvino_xai.errors import InputError
from openvino_xai.evaluate.classes.case import Choices
from openvino_xai.runtime.inputs.contrasts import contrast_of, contrasts_in, may_contrast
from openvino_xai.runtime.network import Network
from openvino_xai.tail.target import CONTRAST, Contrasts, Pair, parse_pick, refuse_unknown


class Contrasted(Protocol):
    """A network that tells logits, and maps of pairs of classes."""

    def predict(self, images: np.ndarray, *, logits: bool = False) -> np.ndarray:
        """[N, K]: probabilities or logits of images [N, C, H, W]."""

    def maps(self, images: np.ndarray, classes: Sequence[Pair], *, logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities or logits [N, K], and the map [N, h, w] of one pair for each image."""


@dataclass(frozen=True, eq=False)
class ContrastSubject:
    """A network as metrics see it that measure a contrast: its only class is the `pair`, whose score is z_A - z_B."""

    network: Contrasted
    pair: Pair

    def predict(self, images: np.ndarray, *, logits: bool = True) -> np.ndarray:
        """[N, 1]: differences of logits."""
        return self.scores_of(self.network.predict(images, logits=True))

    def maps(self, images: np.ndarray, classes: list[int], *, logits: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Differences of logits [N, 1], and the maps [N, h, w] of the contrast."""
        scores, maps = self.network.maps(images, [self.pair] * len(images), logits=True)
        return self.scores_of(scores), maps

    def scores_of(self, logits: np.ndarray) -> np.ndarray:
        """[N, 1], of logits [N, K]."""
        first, other = self.pair
        return np.asarray(logits[:, [first]] - logits[:, [other]])


def contrast_choices(choices: Choices) -> Choices:
    """The choices that a contrast is measured with: its score is of logits."""
    return replace(choices, read="logit")


def named_contrast(target: object, network: Network) -> Pair | None:
    """The contrast of a network that `target` names: `A-B` by ids or labels, or a pair (A, B); None where it is no contrast.

    Where nothing is named, it is the only contrast of the network's hook. Raises InputError for several, for classes that are
    not there, and where a hook explains contrasts and none is named.
    """
    targets = str(network.record.get("targets", ""))
    of_hook = targets if re.fullmatch(rf"{CONTRAST}(,{CONTRAST})*", targets, re.ASCII) else None
    if isinstance(target, tuple):
        text: str | None = contrast_of(target, network.labels, network.classes)
    elif isinstance(target, str) and may_contrast(target):
        text = contrasts_in(target, network.labels, network.classes)
    else:
        text = of_hook if target is None else None
    if text is None:
        if of_hook is not None:
            raise InputError(
                f"the hook explains contrasts of classes, {of_hook}, and the target is {quoted(target)}: name one of these",
                options=("target",),
            )
        return None
    pick = parse_pick(text)
    refuse_unknown(pick, network.classes)
    pairs = cast(Contrasts, pick).pairs
    if len(pairs) > 1:
        whose = "the hook explains" if target is None else "the target is"
        raise InputError(f"{whose} {len(pairs)} contrasts, {pick}, and one is measured: name it", options=("target",))
    return pairs[0]

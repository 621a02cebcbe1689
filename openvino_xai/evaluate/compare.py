"""Do two networks look at the same things? The float and the INT8 one, the pruned, the retrained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openvino_xai.errors import ImageError, InputError
from openvino_xai.evaluate.similarity import Similarity, means, similarity
from openvino_xai.explanation import Explanation
from openvino_xai.render.faults import blamed_on
from openvino_xai.runtime.network import Network
from openvino_xai.tail.target import Pair


@dataclass(frozen=True, eq=False)
class Compared:
    """One photo, explained by two networks for a contrast, or for the class that the first predicts."""

    first: Explanation
    second: Explanation
    similarity: Similarity

    @property
    def same_class(self) -> bool:
        """Whether both predict the same class."""
        return self.first.predictions[0].id == self.second.predictions[0].id


def compare(
    first: Network,
    second: Network,
    photos: Iterable[Path],
    skipped: Callable[[ImageError], None],
    *,
    contrast: Pair | None = None,
) -> Iterator[Compared]:
    """Each photo as both networks see it, explained for a `contrast` or for the class that the first predicts.

    What cannot be read is told to `skipped`. Raises InputError.
    """
    for photo in photos:
        try:
            with blamed_on(photo):
                row = _comparison(first, second, photo, contrast)
        except ImageError as error:
            skipped(error)
        else:
            yield row


def _comparison(first: Network, second: Network, photo: Path, contrast: Pair | None) -> Compared:
    reference = first.explain(photo, targets="top:1" if contrast is None else [contrast])
    try:
        other = second.explain(photo, targets=[reference.targets[0].id if contrast is None else contrast])
    except ImageError:
        raise
    except InputError as error:
        what = "what the first predicts" if contrast is None else "the contrast"
        raise InputError(f"the second network cannot explain {what} for {photo}: {error}") from error
    return Compared(reference, other, similarity(reference, other))


def overall(rows: list[Compared]) -> dict[str, float]:
    """The means over all photos; `top_cell` and `prediction` are shares."""
    return {**means([row.similarity for row in rows]), "prediction": float(np.mean([row.same_class for row in rows]))}

"""The boxes on the list that a model makes of its rows by itself: in which columns they stand, and in which format.

Whatever was learned is said to give the same in every cell, and the scores alone differ: then a box on the list tells by where
it lies of which cell it is, and its row, by the score, which cell that should be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from openvino_xai.boxes.decoding import FORMATS, Format, Grid
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import ModelError
from openvino_xai.graph.model import Value
from openvino_xai.graph.vocabulary import numpy_namespace
from openvino_xai.locate.boxes import STILL, Boxes, Evidence, ListedBoxes, Numbers, grid_of, last_weighed
from openvino_xai.locate.positions import Place
from openvino_xai.locate.provenance.probe import Probe
from openvino_xai.locate.provenance.returned import Columns, OwnRows
from openvino_xai.locate.rows import Rows

BOX = 4
FEWEST = 8  # boxes on the list, by which a format is told
NEAR = 1.0  # pixels, between a box on the list and its row's


def with_list(deployed: Deployed, rows: Rows, boxes: Boxes) -> Boxes:
    """The boxes of all rows with those on the list, if the model has one; what contradicts the list is left out."""
    if rows.returned is None or boxes.grid.centres is None:
        return boxes
    still = _StillList(deployed, rows, rows.returned, tuple(boxes.read.values()))
    listing = still.boxes(boxes.grid, [entry for entry in FORMATS.values() if entry.absolute])
    if listing is None:
        return boxes
    xp = numpy_namespace()
    of_all = boxes.decoded(xp, [still.arrays[value] for value in boxes.read.values()])[0][still.anchors]
    of_list = listing.format.decode(xp, still.numbers(listing.columns)[None], boxes.grid)[0]
    agree = float(np.median(np.abs(of_all - of_list).max(axis=1))) < NEAR
    return Boxes(boxes.read if agree else {}, boxes.places, boxes.format if agree else listing.format, boxes.grid, listing)


def listed_boxes_alone(deployed: Deployed, rows: Rows, image: Place, format_name: str | None) -> Boxes | None:
    """The boxes on the list, where those of all rows are not found; None where there is no list, or it does not tell them.

    Raises ModelError where several formats fit.
    """
    grid = grid_of(rows, image)
    if rows.returned is None or grid.centres is None:
        return None
    formats = [entry for entry in FORMATS.values() if entry.absolute and format_name in (None, entry.name)]
    listing = _StillList(deployed, rows, rows.returned, ()).boxes(grid, formats)
    return None if listing is None else Boxes({}, np.zeros((0, BOX), np.int64), listing.format, grid, listing)


class _StillList:
    """What a model lists where all that is learned gives the same in every cell, but for the scores.

    `arrays` are what outputs and some other values hold; `place` says which boxes on the list are there, and `anchors` which
    of all rows each of these is.
    """

    def __init__(self, deployed: Deployed, rows: Rows, returned: OwnRows, others: Sequence[Value]) -> None:
        probe, self._rows, self._returned = Probe(deployed), rows, returned
        self._outputs, self._batch = list(deployed.graph.outputs.values()), probe.batch
        ends = last_weighed(deployed.graph)[0]
        still = {value: np.full_like(array, STILL) for value, array in zip(ends, probe.run({}, *ends), strict=True)}
        values = list(dict.fromkeys([*self._outputs, *rows.read.values(), *others]))
        results = probe.run(still | probe.scattered(rows.elements, beside=STILL), *values)
        self.arrays = dict(zip(values, results, strict=True))
        self.place, self.anchors = self._followed()

    def _followed(self) -> tuple[np.ndarray, np.ndarray]:
        """The boxes of the first image on the list that are of one row and no other."""
        xp = numpy_namespace()
        p = self._rows.probabilities(xp, [self.arrays[value] for value in self._rows.read.values()])[0]
        scores, labels = (array[0] for array in self._returned.listed(xp, self.arrays.__getitem__, self._batch))
        place = np.flatnonzero((scores > 0) & (labels >= 0) & (labels < p.shape[1]))
        anchors = [int(np.abs(p[:, int(labels[i])] - scores[i]).argmin()) for i in place[: 4 * FEWEST]]
        return place[: 4 * FEWEST], np.array(anchors, np.int64)

    def numbers(self, columns: Columns) -> np.ndarray:
        """[N, 4]: what columns hold of the boxes that are there."""
        return np.asarray(columns.of(numpy_namespace(), self.arrays[columns.value], self._batch)[0][self.place])

    def boxes(self, grid: Grid, formats: Sequence[Format]) -> ListedBoxes | None:
        """The columns that hold boxes in one of the formats, the first from the left. Raises ModelError where several fit."""
        assert grid.centres is not None
        assert grid.strides is not None
        if len(self.place) < FEWEST:
            return None
        here = Grid(grid.size, grid.centres[self.anchors], grid.strides[self.anchors])
        for columns in self._columns():
            numbers = self.numbers(columns)
            evidence = Evidence(self._rows, here, Numbers("", {}, np.zeros(numbers.shape, np.int64), numbers[None]))
            fitting = [entry for entry in formats if evidence.refusal(entry, named=False) is None]
            if len(fitting) > 1:
                raise ModelError(
                    f"the boxes that '{columns.value.name}' lists can be of several formats: "
                    f"{', '.join(entry.name for entry in fitting)}; name the one that they have",
                    options=("boxes",),
                )
            if fitting:
                return ListedBoxes(columns, fitting[0])
        return None

    def _columns(self) -> Iterator[Columns]:
        """Four columns side by side, of outputs that list boxes, none of which holds scores or labels."""
        length = self._returned.listed(numpy_namespace(), self.arrays.__getitem__, self._batch)[0].shape[1]
        used_columns = (self._returned.scores, self._returned.labels)
        for value in self._outputs:
            array = self.arrays[value]
            if array.ndim < 2 or array.shape[-2] != length or int(np.prod(array.shape[:-2])) != self._batch:
                continue
            used = {i for part in used_columns if part is not None and part.value is value for i in part.indices or ()}
            for start in range(array.shape[-1] - BOX + 1):
                indices = tuple(range(start, start + BOX))
                if used.isdisjoint(indices):
                    yield Columns(value, indices)

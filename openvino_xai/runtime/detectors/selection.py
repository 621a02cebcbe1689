"""Which of a detector's boxes are explained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from openvino_xai.detection import Detection
from openvino_xai.errors import InputError
from openvino_xai.runtime.detectors.labels import class_ids
from openvino_xai.runtime.inputs.targets import TargetsOfImage, named_targets


@dataclass(frozen=True)
class BoxSelection:
    """Which boxes are explained: those of `classes`, the best `most` of them, or all where these are None; or `rows`, which are
    rows of the model's own output, each with a class.
    """

    classes: frozenset[int] | None = None
    most: int | None = None
    rows: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, targets: TargetsOfImage | None, also: Sequence[int], labels: Sequence[str], classes: int) -> BoxSelection:
        """A selection from `all`, `boxes:N`, `ROW:CLASS,...`, or classes by ids or labels. Raises InputError."""
        if targets is None or (isinstance(targets, str) and targets == "all"):
            return cls()
        if not isinstance(targets, str):
            ids = named_targets(targets, labels, classes)
            if isinstance(ids, str):
                raise InputError(f"targets '{ids}' contrast classes of images: a detector explains boxes", options=("targets",))
            return cls(frozenset(class_ids(",".join(map(str, ids)), (), classes)) | set(also))
        if match := re.fullmatch(r"boxes:([1-9]\d{0,8})", targets, re.ASCII):
            return cls(most=int(match[1]))
        if re.fullmatch(r"\d{1,9}:\d{1,9}(,\d{1,9}:\d{1,9})*", targets, re.ASCII):
            pairs = [pair.split(":") for pair in targets.split(",")]
            return cls(rows=tuple((int(row), int(k)) for row, k in pairs))
        if re.match(r"(top|boxes):", targets) and targets not in labels:
            raise InputError(
                f"targets '{targets}' are not understood: a detector explains all, boxes:N, or classes by ids or labels",
                options=("targets",),
            )
        return cls(frozenset(class_ids(targets, labels, classes)) | set(also))

    def chosen(self, detections: Sequence[Detection]) -> list[int]:
        """The indices of the detections, best first, that are selected."""
        indices = [index for index, detection in enumerate(detections) if self.classes is None or detection.id in self.classes]
        return indices[: self.most]

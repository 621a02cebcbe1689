"""What people name as targets of an image: ids, labels, several of them, or words for some."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Integral
from typing import TypeAlias

import numpy as np

from openvino_xai.choices import quoted
from openvino_xai.errors import InputError
from openvino_xai.runtime.detectors.labels import class_ids
from openvino_xai.runtime.inputs.contrasts import classes_in, contrast_of, contrasts_in, may_contrast

TargetsOfImage: TypeAlias = "str | int | Sequence[int | str | tuple[int | str, int | str]]"
WORDS = r"all|(top|boxes):.*|\d{1,9}(,\d{1,9})*"  # what is no label


def named_targets(targets: TargetsOfImage, labels: Sequence[str], classes: int) -> str | list[int]:
    """`all`, `top:K`, `boxes:N` and ids with commas between as they are; a label, an id, or a list of these as ids.

    Contrasts are `ID-ID,...`: of `A-B,...`, where A and B are ids or labels, or of a list of pairs of these. A label that is
    one of these words is named in a list. Raises InputError for anything else, for a label that no class has, and for a
    text with several readings.
    """
    if isinstance(targets, str):
        if re.fullmatch(WORDS, targets, re.ASCII | re.DOTALL):
            return targets
        if not may_contrast(targets):
            return class_ids(targets, labels, classes)
        return contrasts_in(targets, labels, classes) or classes_in(targets, labels, classes)
    if isinstance(targets, Integral) and not isinstance(targets, bool):
        return [int(targets)]
    if not isinstance(targets, (list, tuple, range)) and not (isinstance(targets, np.ndarray) and targets.ndim == 1):
        raise InputError(f"targets are {quoted(targets)}: {EXPECTED}", options=("targets",))
    if not len(targets):
        raise InputError(f"targets are empty: {EXPECTED}", options=("targets",))
    if any(isinstance(target, tuple) for target in targets):
        if not all(isinstance(target, tuple) for target in targets):
            raise InputError(f"targets are {quoted(targets)}: contrasts (A, B), or classes, are expected, and no mix of these")
        return ",".join(contrast_of(target, labels, classes) for target in targets)  # type: ignore[arg-type]
    return [k for target in targets for k in _ids_of(target, labels, classes)]


EXPECTED = "an id, a label, a list of them, A-B, all, or top:K (of a detector boxes:N) is expected"


def _ids_of(target: object, labels: Sequence[str], classes: int) -> list[int]:
    if isinstance(target, str):
        return class_ids(target, labels, classes)
    if isinstance(target, Integral) and not isinstance(target, bool):
        return [int(target)]
    raise InputError(f"{quoted(target)} is no class: {EXPECTED}", options=("targets",))

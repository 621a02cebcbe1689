"""A data set, measured: one row a photo."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import numpy as np

from openvino_xai.choices import quoted
from openvino_xai.errors import ImageError, InputError
from openvino_xai.evaluate.classes.baselines import baseline_case
from openvino_xai.evaluate.classes.case import Case, Choices, Subject
from openvino_xai.evaluate.classes.metrics import measured
from openvino_xai.evaluate.contrasts import ContrastSubject, contrast_choices
from openvino_xai.evaluate.examples import Example
from openvino_xai.evaluate.report.traces import trace
from openvino_xai.runtime.folders.pipeline import in_order
from openvino_xai.runtime.network import Network
from openvino_xai.tail.target import Pair

Target: TypeAlias = Literal["label", "predicted"]
Item = TypeVar("Item")


def which_target(target: str | None, examples: Sequence[Example]) -> Target:
    """The class that is explained: the photo's own, where all are known, else the predicted one. Raises InputError."""
    bare = next((example for example in examples if example.label is None), None)
    if target is None:
        return "label" if bare is None else "predicted"
    if target not in get_args(Target):
        words = ", ".join(get_args(Target))
        raise InputError(f"target is {quoted(target)}; one of {words}, or a contrast A-B of two classes, is expected")
    if target == "label" and bare is not None:
        raise InputError(
            f"the class of {bare.path} is not known: name it after the class, as n01440764_tench.JPEG (and give "
            "labels), put it into a folder of that name, list it in a .csv of path,label, or explain the predicted class",
            options=("labels", "target"),
        )
    return "label" if target == "label" else "predicted"


def some_of(examples: list[Item], limit: int | None, seed: int) -> list[Item]:
    """At most `limit` examples, picked at random, in their order."""
    if limit is None or limit >= len(examples):
        return examples
    picked = np.random.default_rng(seed).choice(len(examples), limit, replace=False)
    return [examples[index] for index in sorted(picked.tolist())]


def evaluate(
    network: Network,
    examples: Sequence[Example],
    names: Sequence[str],
    *,
    target: Target | Pair,
    choices: Choices,
    baselines: Sequence[str] = (),
    traced: bool = False,
) -> Iterator[dict[str, Any] | ImageError]:
    """For each example, in order, what was measured, or why it cannot be read or measured.

    A `target` that is a pair is a contrast, whose scores are differences of logits. The `baselines` are measured on the same
    photos and classes. Rows that are `traced` hold what a page draws of them.
    """

    def row(index: int, photo: np.ndarray) -> dict[str, Any]:
        case, of_classes = _case(network, examples[index], photo, target, choices)
        return _row(case, of_classes, names, baselines, traced=traced)

    for outcome in in_order([example.path for example in examples], row, streams=network.streams):
        yield outcome.result


def _row(
    case: Case, of_classes: Mapping[str, int], names: Sequence[str], baselines: Sequence[str], *, traced: bool
) -> dict[str, Any]:
    """What was measured of a case, with the classes that were predicted and explained."""
    metrics = measured(case, names)
    others = {name: baseline_case(case, name) for name in baselines}
    drawn = {name: measured(other, names) for name, other in others.items()}
    for source, values in {"": metrics, **drawn}.items():
        for name, value in values.items():
            if not math.isfinite(value):
                raise ImageError(f"{name}{source and f' of {source}'} is {value}, which is no number")
    return {
        "image": str(case.example.path),
        "label": case.example.label,
        **of_classes,
        "score": case.score,
        "metrics": metrics,
        **({"baselines": drawn} if drawn else {}),
        **({"trace": trace(case, others)} if traced else {}),
    }


def _case(
    network: Network, example: Example, photo: np.ndarray, target: Target | Pair, choices: Choices
) -> tuple[Case, dict[str, int]]:
    """A photo, explained, and the ids of the class that is `predicted`, of the `target`, and of the `other` of a contrast."""
    image = network.prepare(photo)
    pair = target if isinstance(target, tuple) else None
    label = example.label if target == "label" else None
    if pair is not None:
        choices = contrast_choices(choices)
    scores, maps = network.maps(image, [pair or label], logits=choices.read == "logit")
    predicted = int(scores[0].argmax())
    of_classes = {"predicted": predicted, "target": predicted if label is None else label}
    subject: Subject = network
    if pair is not None:
        subject = contrast = ContrastSubject(network, pair)
        scores, of_classes = contrast.scores_of(scores), {"predicted": predicted, "target": pair[0], "other": pair[1]}
    case = Case(
        network=subject,
        choices=choices,
        example=example,
        image=image,
        black=network.prepare(np.zeros((1, 1, 3), np.uint8))[:, :, :1, :1],
        scores=scores[0],
        target=0 if pair is not None else of_classes["target"],
        saliency=maps[0],
        size=(photo.shape[0], photo.shape[1]),
        box=network.preprocessing.box(photo.shape[:2]),
    )
    return case, of_classes

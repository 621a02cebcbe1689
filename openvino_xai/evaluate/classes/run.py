"""A data set, measured: one row a photo."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import numpy as np

from openvino_xai.errors import ImageError, InputError
from openvino_xai.evaluate.classes.baselines import baseline_case
from openvino_xai.evaluate.classes.case import Case, Choices
from openvino_xai.evaluate.classes.metrics import measured
from openvino_xai.evaluate.examples import Example
from openvino_xai.evaluate.report.traces import trace
from openvino_xai.render.faults import blamed_on
from openvino_xai.render.photo import read_photo
from openvino_xai.runtime.network import Network

Target: TypeAlias = Literal["label", "predicted"]
Item = TypeVar("Item")


def which_target(target: str | None, examples: Sequence[Example]) -> Target:
    """The class that is explained: the photo's own, where all are known, else the predicted one. Raises InputError."""
    bare = next((example for example in examples if example.label is None), None)
    if target is None:
        return "label" if bare is None else "predicted"
    if target not in get_args(Target):
        raise InputError(f"target is '{target}'; one of {', '.join(get_args(Target))} is expected")
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
    target: Target,
    choices: Choices,
    baselines: Sequence[str] = (),
    traced: bool = False,
) -> Iterator[dict[str, Any] | ImageError]:
    """For each example, in order, what was measured, or why it cannot be read or measured.

    The `baselines` are measured on the same photos and classes. Rows that are `traced` hold what a page draws of them.
    """
    for example in examples:
        try:
            with blamed_on(example.path):
                row = _row(_case(network, example, read_photo(example.path), target, choices), names, baselines, traced=traced)
        except ImageError as error:
            yield error
        else:
            yield row


def _row(case: Case, names: Sequence[str], baselines: Sequence[str], *, traced: bool) -> dict[str, Any]:
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
        "predicted": int(case.scores.argmax()),
        "target": case.target,
        "score": case.score,
        "metrics": metrics,
        **({"baselines": drawn} if drawn else {}),
        **({"trace": trace(case, others)} if traced else {}),
    }


def _case(network: Network, example: Example, photo: np.ndarray, target: Target, choices: Choices) -> Case:
    image = network.prepare(photo)
    label = example.label if target == "label" else None
    scores, maps = network.maps(image, [label], logits=choices.read == "logit")
    return Case(
        network=network,
        choices=choices,
        example=example,
        image=image,
        black=network.prepare(np.zeros((1, 1, 3), np.uint8))[:, :, :1, :1],
        scores=scores[0],
        target=int(scores[0].argmax()) if label is None else label,
        saliency=maps[0],
        size=(photo.shape[0], photo.shape[1]),
        box=network.preprocessing.box(photo.shape[:2]),
    )

"""What the scores of a classifier mean together, as Geti and OpenVINO's Training Extensions write it into `model_info`.

One label of all, any number of labels (`multilabel`), or one of each group (`hierarchical`). Scores are read, and labels
answered, as OpenVINO's Model API does; where that cannot be followed, the model is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from openvino_xai.errors import InputError
from openvino_xai.json_text import from_json

THRESHOLD = 0.5  # of a label's probability, where `confidence_threshold` says no other
YES, NO = ("YES", "True"), ("NO", "False", "None", "")
SOURCE = "the model's model_info"
GROUPS = "hierarchical_config"


@dataclass(frozen=True)
class LabelGroups:
    """How K scores are squashed and answered.

    A softmax is over each of the `exclusive` ranges of classes, a sigmoid for each class behind them, as long as there are
    several answers; `names` are those of classes where a hierarchy says them, and `parents` the class above each. A label is
    answered with a probability above the `threshold`.
    """

    labelling: Literal["one label", "multilabel", "hierarchical"] = "one label"
    exclusive: tuple[range, ...] = ()
    names: tuple[str, ...] = ()
    parents: Mapping[int, int] = field(default_factory=dict)
    threshold: float = THRESHOLD

    @property
    def several(self) -> bool:
        """Whether an image may have more labels than one, or none."""
        return self.labelling != "one label"

    @classmethod
    def of(cls, info: Mapping[str, str], classes: int, scale: str | None) -> LabelGroups:
        """The groups that a `model_info` tells of `classes`, whose scores are on a `scale` (None: that is not known).

        Raises InputError for what makes no sense, or cannot be read as Model API does.
        """
        hierarchical, multilabel = (_flag(info, name) for name in ("hierarchical", "multilabel"))
        if not (hierarchical or multilabel):
            return cls()
        labelling: Literal["multilabel", "hierarchical"] = "hierarchical" if hierarchical else "multilabel"
        if scale not in (None, "logit"):
            raise InputError(
                f"{SOURCE} says {labelling}, of which Model API squashes logits, and the scores here end in a {scale}: export "
                f"the model without it, or take {labelling} out of its model_info"
            )
        threshold = _threshold(info.get("confidence_threshold", ""))
        if not hierarchical:
            return cls("multilabel", threshold=threshold)
        return _hierarchy(info.get(GROUPS, ""), classes, threshold)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """[N, K] in [0, 1], f64, of logits [N, K]: of one label a softmax over all."""
        y = logits.astype(np.float64)
        result = 1 / (1 + np.exp(-y.clip(-700)))
        for classes in self.exclusive if self.several else (range(y.shape[1]),):
            part = slice(classes.start, classes.stop)
            shifted = np.exp(y[:, part] - y[:, part].max(axis=1, keepdims=True))
            result[:, part] = shifted / shifted.sum(axis=1, keepdims=True)
        return np.asarray(result)

    def answers(self, y: np.ndarray) -> list[int]:
        """The classes that Model API answers for probabilities [K], the most probable first; of several maybe none.

        Of a hierarchy the best of each group, and of classes in no group those above the threshold, where all above them in the
        hierarchy are answered, too.
        """
        if not self.several:
            return [int(y.argmax())]
        free = self.exclusive[-1].stop if self.exclusive else 0
        chosen = {classes.start + int(y[classes.start : classes.stop].argmax()) for classes in self.exclusive}
        chosen |= {int(k) for k in range(free, len(y)) if y[k] > self.threshold}
        resolved = [k for k in chosen if all(above in chosen for above in self._above(k))]
        return sorted(resolved, key=lambda k: (-y[k], k))

    def _above(self, k: int) -> Iterable[int]:
        while k in self.parents:
            k = self.parents[k]
            yield k

    def score(self, score: str | None, default: str) -> str | None:
        """On what scale a hook reads a class, where a caller says `score`, and the method's own is `default`.

        Raises InputError for a softmax over classes that do not exclude each other.
        """
        if not self.several:
            return score
        if score == "softmax" or (score == "sigmoid" and self.labelling == "hierarchical"):
            raise InputError(
                f"score '{score}' squashes all classes alike, and {SOURCE} says {self.labelling}: "
                f"{'sigmoid or logit' if self.labelling == 'multilabel' else 'logit'} is expected",
                options=("score",),
            )
        if score is None and default == "softmax":
            return "sigmoid" if self.labelling == "multilabel" else "logit"
        return score


def labels_of(info: Mapping[str, str], classes: int | None, groups: LabelGroups | None = None) -> list[str]:
    """The labels of classes that a `model_info` tells, [] where it tells none.

    Labels are parted by blanks, with underscores for those inside, or by commas where that makes as many as there are
    `classes` (None: not known); `label_info` has them as they are; a hierarchy has its own order. Model API's `other` comes
    ahead where one is missing. Raises InputError where `label_info` contradicts `labels`.
    """
    if groups is not None and groups.names:
        return list(groups.names)
    words = _words(info.get("labels", ""), classes)
    names = _label_names(info.get("label_info", ""))
    if names and classes is not None and len(names) == classes:
        if words and [_joined(word) for word in words] != [_joined(name) for name in names]:
            raise InputError(f"labels and label_info of {SOURCE} differ: {_shown(words)} and {_shown(names)}")
        return names
    if groups is not None and words and len(words) + 1 == classes:
        words = ["other", *words]
    return words


def _words(text: str, classes: int | None) -> list[str]:
    by_blanks = [word.replace("_", " ") for word in text.split()]
    by_commas = [word.strip().replace("_", " ") for word in text.split(",")]
    if "," in text and len(by_commas) == classes and all(by_commas):
        return by_commas
    return by_blanks


def _joined(label: str) -> str:
    return "_".join(label.replace("_", " ").split())


def _shown(labels: Sequence[str]) -> str:
    return ", ".join(f"'{label}'" for label in labels[:5])


def _label_names(text: str) -> list[str]:
    if not text:
        return []
    try:
        names = from_json(text)["label_names"]
    except (ValueError, KeyError, TypeError):
        return []
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _flag(info: Mapping[str, str], name: str) -> bool:
    text = info.get(name, "").strip()
    if text not in (*YES, *NO):
        raise InputError(f"{name} is '{text}' in {SOURCE}; True or False is expected, as Model API reads it")
    return text in YES


def _threshold(text: str) -> float:
    if text.strip() in ("", "None"):
        return THRESHOLD
    try:
        threshold = float(text)
    except ValueError:
        threshold = float("nan")
    if not 0 <= threshold <= 1:  # NaN is neither
        raise InputError(f"confidence_threshold is '{text}' in {SOURCE}; a number from 0 to 1 is expected")
    return threshold


def _hierarchy(text: str, classes: int, threshold: float) -> LabelGroups:
    """Groups of classes, and what is above each, of `hierarchical_config`. Raises InputError where it does not fit."""
    try:
        content: Any = from_json(text)
        heads = content["cls_heads_info"]
        single, several = int(heads["num_single_label_classes"]), int(heads["num_multilabel_classes"])
        count = int(heads["num_multiclass_heads"])
        bounds = [heads["head_idx_to_logits_range"][str(index)] for index in range(count)] if count <= classes else []
        exclusive = tuple(range(max(0, int(begin)), min(int(end), classes)) for begin, end in bounds)
        names = [str(name) for group in heads["all_groups"] for name in group]
        sizes = [len(group) for group in heads["all_groups"]]
        edges = [(str(child), str(parent)) for child, parent in content["label_tree_edges"]]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{GROUPS} of {SOURCE} is no hierarchy as Training Extensions write it ({type(error).__name__}: {error})"
        ) from error
    tiled = [k for part in exclusive for k in part]
    fits = (
        len(exclusive) == count
        and all(exclusive)
        and single == len(tiled)
        and tiled == list(range(len(tiled)))
        and single + several == classes == len(names) == len(set(names))
        and sizes == [*map(len, exclusive), *[1] * several]
    )
    if not fits:
        raise InputError(
            f"{GROUPS} of {SOURCE} has {len(names)} labels in {len(sizes)} groups, which do not fit {classes} scores"
        )
    ids = {name: k for k, name in enumerate(names)}
    stray = [name for edge in edges for name in edge if name not in ids]
    parents = {} if stray else {ids[child]: ids[parent] for child, parent in edges}
    if stray or any(_is_circle(parents, k) for k in parents):
        what = f"the label '{stray[0]}', which is in no group" if stray else "a circle"
        raise InputError(f"the tree of labels in {GROUPS} of {SOURCE} has {what}")
    return LabelGroups("hierarchical", exclusive, tuple(names), parents, threshold)


def _is_circle(parents: Mapping[int, int], k: int) -> bool:
    first = k
    for _ in parents:
        k = parents.get(k, -1)
        if k in (first, -1):
            break
    return k != -1

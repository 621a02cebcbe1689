"""How labels of images go together, as `model_info` tells it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tiny import CASES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError
from openvino_xai.locate.tasks.label_groups import LabelGroups, labels_of

CASE = CASES["pool and linear"]
PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
NAMES = ["cat", "dog", "tabby", "siamese", "indoor"]


def hierarchy(**changed: Any) -> str:
    """Cat or dog; below cat, tabby or siamese; and indoor or not."""
    heads: dict[str, Any] = {
        "num_multiclass_heads": 2,
        "num_multilabel_classes": 1,
        "num_single_label_classes": 4,
        "head_idx_to_logits_range": {"0": [0, 2], "1": [2, 4]},
        "all_groups": [["cat", "dog"], ["tabby", "siamese"], ["indoor"]],
        "class_to_group_idx": {"cat": [0, 0], "dog": [0, 1], "tabby": [1, 0], "siamese": [1, 1], "indoor": [2, 0]},
        "label_to_idx": {name: index for index, name in enumerate(sorted(NAMES))},
    }
    edges = changed.pop("edges", [["tabby", "cat"], ["siamese", "cat"]])
    return json.dumps({"cls_heads_info": {**heads, **changed}, "label_tree_edges": edges})


HIERARCHICAL = {"hierarchical": "True", "hierarchical_config": hierarchy()}


def groups(info: dict[str, str], classes: int = 5, scale: str | None = "logit") -> LabelGroups:
    return LabelGroups.of(info, classes, scale)


def with_info(dialect: str, info: dict[str, str], case: str = "pool and linear") -> Any:
    """A tiny model with a `model_info`."""
    model = in_dialect(CASES[case].build(1, 17), dialect)
    if dialect == "openvino":
        for name, text in info.items():
            model.set_rt_info(text, ["model_info", name])
    else:
        for name, text in info.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = f"model_info {name}", text
    return model


def test_a_softmax_is_over_each_group_and_a_sigmoid_for_the_others() -> None:
    logits = np.array([[1.0, 2.0, 0.5, 0.0, -800.0]])
    y = groups(HIERARCHICAL).probabilities(logits)[0]
    np.testing.assert_allclose([y[:2].sum(), y[2:4].sum(), y[0], y[4]], [1, 1, 1 / (1 + np.e), 0], atol=1e-12)
    np.testing.assert_allclose(groups({"multilabel": "YES"}).probabilities(logits)[0, :2], 1 / (1 + np.exp([-1.0, -2.0])))
    assert groups({}).probabilities(logits).sum() == pytest.approx(1) and not groups({"multilabel": "None"}).several


def test_answers_are_above_the_threshold_and_below_what_is_answered() -> None:
    many = groups({"multilabel": "True", "confidence_threshold": "0.3"})
    assert many.answers(np.array([0.9, 0.3, 0.31, 0.2, 0.95])) == [4, 0, 2] and many.answers(np.zeros(5)) == []
    tree = groups(HIERARCHICAL)
    assert tree.answers(np.array([0.7, 0.3, 0.4, 0.6, 0.4])) == [0, 3]  # a cat, siamese, not indoors
    assert tree.answers(np.array([0.2, 0.8, 0.4, 0.6, 0.6])) == [1, 4]  # a dog is no siamese
    assert groups({}).answers(np.array([0.2, 0.8])) == [1]


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"multilabel": "true"}, "multilabel is 'true' in the model's model_info; True or False"),
        ({"hierarchical": "1"}, "hierarchical is '1'"),
        ({"multilabel": "True", "confidence_threshold": "nan"}, "confidence_threshold is 'nan'"),
        ({"multilabel": "True", "confidence_threshold": "2"}, "a number from 0 to 1 is expected"),
        ({"hierarchical": "True"}, "is no hierarchy as Training Extensions write it"),
        ({**HIERARCHICAL, "hierarchical_config": "[" * 100_000}, "no hierarchy"),
        ({**HIERARCHICAL, "hierarchical_config": "[]"}, "no hierarchy"),
        ({**HIERARCHICAL, "hierarchical_config": hierarchy(all_groups=[["cat", "dog"]])}, "do not fit 5 scores"),
        ({**HIERARCHICAL, "hierarchical_config": hierarchy(num_multiclass_heads=10**30)}, "do not fit 5 scores"),
        (
            {**HIERARCHICAL, "hierarchical_config": hierarchy(head_idx_to_logits_range={"0": [0, 10**18], "1": [2, 4]})},
            "do not fit 5 scores",
        ),
        (
            {**HIERARCHICAL, "hierarchical_config": hierarchy(head_idx_to_logits_range={"0": [1, 3], "1": [2, 4]})},
            "do not fit",
        ),
        ({**HIERARCHICAL, "hierarchical_config": hierarchy(edges=[["tabby", "fish"]])}, "has the label 'fish', which is in no"),
        ({**HIERARCHICAL, "hierarchical_config": hierarchy(edges=[["cat", "tabby"], ["tabby", "cat"]])}, "has a circle"),
        ({**HIERARCHICAL, "hierarchical_config": hierarchy(edges=[["cat", "cat"]])}, "has a circle"),
    ],
)
def test_what_makes_no_sense_is_refused(info: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        groups(info)


@pytest.mark.parametrize("scale", ["softmax", "sigmoid"])
def test_what_is_squashed_already_is_refused(scale: str) -> None:
    with pytest.raises(InputError, match=f"says multilabel, of which Model API squashes logits, and .* end in a {scale}"):
        groups({"multilabel": "True"}, scale=scale)


@pytest.mark.parametrize(
    ("info", "labels"),
    [
        ({"labels": "a b_c d"}, ["a", "b c", "d"]),
        ({"labels": "a, b c, d"}, ["a", "b c", "d"]),
        ({"labels": "a,b,c,d"}, ["a,b,c,d"]),
        ({"labels": "b c"}, ["other", "b", "c"]),
        ({"labels": "a b-c d", "label_info": json.dumps({"label_names": ["a", "b-c", "d"]})}, ["a", "b-c", "d"]),
        ({"label_info": json.dumps({"label_names": ["a", "b_c", "d e"]})}, ["a", "b_c", "d e"]),
        ({"labels": "a b c", "label_info": "{"}, ["a", "b", "c"]),
        ({}, []),
    ],
)
def test_labels_by_blanks_commas_or_as_they_are(info: dict[str, str], labels: list[str]) -> None:
    assert labels_of(info, 3, groups(info, 3)) == labels


def test_labels_that_differ_and_those_of_a_hierarchy() -> None:
    with pytest.raises(InputError, match="labels and label_info of the model's model_info differ: 'a', 'b' and 'b', 'a'"):
        labels_of({"labels": "a b", "label_info": json.dumps({"label_names": ["b", "a"]})}, 2)
    shuffled = {**HIERARCHICAL, "labels": "dog cat indoor siamese tabby"}
    assert labels_of(shuffled, 5, groups(shuffled)) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_of_several_labels_is_explained_as_one(dialect: str) -> None:
    logits = xai.load(in_dialect(CASE.build(1, 17), dialect))
    plain = logits.predict(logits.prepare(PHOTO), logits=True)[0]
    hooked = xai.insert(with_info(dialect, {"multilabel": "True", "confidence_threshold": "0.1"}), layer="f")
    assert hooked.record["score"] == "sigmoid"
    explanation = xai.load(hooked).explain(PHOTO)
    expected = [int(k) for k in np.argsort(-plain, kind="stable") if 1 / (1 + np.exp(-plain[k])) > 0.1]
    assert list(explanation.answers or ()) == [target.id for target in explanation.targets] == expected
    assert explanation.to_dict()["answers"] == expected
    with pytest.raises(InputError, match="score 'softmax' squashes all classes alike"):
        xai.insert(with_info(dialect, {"multilabel": "True"}), layer="f", score="softmax")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_hierarchy_is_explained_by_logits(dialect: str) -> None:
    hooked = xai.insert(with_info(dialect, HIERARCHICAL), layer="f")
    assert hooked.record["score"] == "logit"
    network = xai.load(hooked)
    y = network.predict(network.prepare(PHOTO))[0]
    assert y[:2].sum() == pytest.approx(1) and y[2:4].sum() == pytest.approx(1) and network.labels == NAMES
    assert network.explain(PHOTO).answers is not None
    assert xai.insert(with_info(dialect, HIERARCHICAL), layer="f", method="grad_cam").record["score"] == "logit"
    with pytest.raises(InputError, match="squashes all classes alike"):
        xai.insert(with_info(dialect, HIERARCHICAL), layer="f", score="sigmoid")
    with pytest.raises(InputError, match="end in a softmax"):
        xai.insert(with_info(dialect, HIERARCHICAL, "softmax inside"), layer="f")


def test_what_is_embedded_is_not_done_twice() -> None:
    numbers = {"mean_values": "9 9 9", "scale_values": "2 2 2", "reverse_input_channels": "True", "resize_type": "crop"}
    fed = xai.load(with_info("openvino", {**numbers, "embedded_processing": "True"})).preprocessing
    assert fed.summary == "BGR, 0..255, stretched to 6x8" and fed.unsaid == ()
    with pytest.raises(InputError, match="intensity_mode is 'window' in the model's model_info"):
        xai.load(with_info("openvino", {"intensity_mode": "window"}))

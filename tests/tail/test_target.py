"""A target: its traced scores, its adjoint, its slice of classes and its NumPy reference all mean the same scores."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from tiny import DIALECTS, LINEAR, STEM, images, in_dialect, tiny
from tracing import computed

import openvino_xai as xai
from openvino_xai.errors import InputError
from openvino_xai.graph.model import Node, Value
from openvino_xai.graph.trace import Trace
from openvino_xai.locate.scores import Scores
from openvino_xai.tail.target import All, AtRunTime, ClassTarget, Ids, Pick, Score, TopK, count_of, parse_pick, refuse_unknown

BATCH, COPIES, CLASSES = 2, 3, 5
PICKS: dict[str, Pick] = {"all": All(), "3,0": Ids((3, 0)), "top:2": TopK(2), "asked": AtRunTime()}
SCORES = get_args(Score)
Y = np.random.default_rng(5).normal(0, 2, (BATCH * COPIES, CLASSES))
PLAIN = np.random.default_rng(6).normal(0, 2, (BATCH, CLASSES))
QUESTION = np.array([4, 1])


def scores(classes: int = CLASSES, activation: str | None = None) -> Scores:
    logits = Value("logits", (BATCH, classes), np.dtype(np.float64), native="logits")
    node = None if activation is None else Node("end", activation, activation, (logits,))
    value = Value("probabilities", logits.shape, logits.dtype, node, native="probabilities") if node else logits
    if node:
        node.outputs = (value,)
    return Scores("logits", value, classes, node)


def picked(pick: Pick) -> np.ndarray:
    """The ids [B, T] of the classes that a pick means."""
    match pick:
        case Ids(ids):
            return np.tile(ids, (BATCH, 1))
        case TopK(k):
            return np.argsort(-PLAIN, axis=1)[:, :k]
        case AtRunTime():
            return QUESTION[:, None]
        case All():
            return np.tile(np.arange(CLASSES), (BATCH, 1))


@pytest.mark.parametrize("word", PICKS)
def test_a_pick_is_read_from_its_word_and_written_as_it(word: str) -> None:
    assert parse_pick(word) == PICKS[word] == parse_pick(PICKS[word])
    assert str(PICKS[word]) == word
    assert count_of(PICKS[word], CLASSES) == picked(PICKS[word]).shape[1]


def test_what_is_no_pick_is_refused() -> None:
    assert parse_pick(3) == Ids((3,)) == parse_pick([3])
    for wrong in ("top:0", "best", "", [1, 1], []):
        with pytest.raises(InputError, match="targets"):
            parse_pick(wrong)
    for pick in (Ids((1, 5)), TopK(6)):
        with pytest.raises(InputError, match=r"class 5 is not there|top:6 asks for more"):
            refuse_unknown(pick, CLASSES)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("word", PICKS)
def test_what_is_computed_is_the_reference(word: str, score: Score) -> None:
    target, trace = ClassTarget.of(scores(), PICKS[word], score), Trace()
    columns = target.selection(trace, BATCH)
    y = Value("y", (BATCH * COPIES, CLASSES), np.dtype(np.float64), native="y")
    rows = target.scores_of(trace, y, columns, (BATCH, COPIES))
    assert rows.shape == (BATCH, COPIES, columns.count)
    inputs = {y: Y, target.scores.value: PLAIN}
    if columns.input is not None:
        inputs[columns.input] = QUESTION
    true = target.reference(Y, {}).reshape(BATCH, COPIES, CLASSES)
    values = computed(trace.nodes, inputs, {})[rows]
    np.testing.assert_allclose(values, np.take_along_axis(true, picked(PICKS[word])[:, None], axis=2), rtol=1e-5)


@pytest.mark.parametrize("score", SCORES)
def test_its_adjoint_is_the_slope_of_the_reference(score: Score) -> None:
    target, trace = ClassTarget.of(scores(), All(), score), Trace()
    y, g = (Value(name, Y.shape, np.dtype(np.float64), native=name) for name in "yg")
    weights, step = np.random.default_rng(7).normal(size=Y.shape), 1e-6
    adjoint = target.adjoint(trace, y, g)
    gradient = weights if adjoint is g else computed(trace.nodes, {y: Y, g: weights}, {})[adjoint]
    for k in range(CLASSES):
        moved = np.where(np.arange(CLASSES) == k, step, 0)
        slope = ((target.reference(Y + moved, {}) - target.reference(Y - moved, {})) * weights).sum(axis=1) / (2 * step)
        np.testing.assert_allclose(gradient[:, k], slope, atol=1e-8)


def test_a_slice_is_taken_where_no_score_needs_the_others() -> None:
    for pick in PICKS.values():
        for score in SCORES:
            target = ClassTarget.of(scores(), pick, score)
            columns = target.selection(Trace(), BATCH)
            assert (target.slice(columns) is None) == (score == "softmax" or pick == All())


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_model_that_squashes_is_read_behind_or_ahead_of_it(activation: Score) -> None:
    of_logits = ClassTarget.of(scores(activation=activation), All(), "logit")
    assert (of_logits.read.name, of_logits.squash, of_logits.scale) == ("logits", "logit", "logit")
    for score in ("softmax", "sigmoid"):
        target = ClassTarget.of(scores(activation=activation), All(), score)
        assert (target.read.name, target.squash, target.scale) == ("probabilities", "logit", activation)


def test_one_class_is_read_through_a_sigmoid() -> None:
    assert ClassTarget.of(scores(1), All(), "softmax").squash == "sigmoid"
    assert ClassTarget.of(scores(1), All(), "logit").as_probability().squash == "sigmoid"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.slow
def test_masks_of_the_image_weigh_by_the_probability_of_the_single_class(dialect: str) -> None:
    """A softmax of a single logit is 1 for every mask, and would give all channels the same weight: a sigmoid is taken."""
    body = STEM + "p = GlobalAveragePool(f) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)"
    model = tiny(body, output="float[B,1] logits", **{**LINEAR, "w": (1, 4), "b": (1,)})
    batch = images(model, 2)
    maps = xai.load(xai.insert(in_dialect(model, dialect), method="abs_cam", layer="f", scale="none"))(batch)
    probe = xai.probe(in_dialect(model, dialect), "abs_cam", layer="f")
    np.testing.assert_allclose(maps["saliency_map"][:, 0], probe.maps(batch, [0, 0])[1], atol=1e-4)

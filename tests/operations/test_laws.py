"""Every operation obeys every law, and every law fails on a record that breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from operations.law_cases import CASES
from operations.laws import LAWS, Case

from openvino_xai.graph.model import Node
from openvino_xai.operations import axes, centres, contents, shapes
from openvino_xai.operations.record import ALL, always, each, nothing
from openvino_xai.operations.table import OPERATIONS


def test_every_operation_has_a_case() -> None:
    assert CASES.keys() == OPERATIONS.keys()
    for kind, cases in CASES.items():
        assert {case.node.kind for case in cases} == {kind}


@pytest.mark.parametrize("kind", OPERATIONS)
def test_laws_hold(kind: str) -> None:
    for case in CASES[kind]:
        for law in LAWS.values():
            law(OPERATIONS[kind], case)


PADDED = [  # windows that reach beyond an end cost less than is counted
    ("conv", Case("y = Conv<strides=[2,1], pads=[1,0,2,1], dilations=[1,2]>(a, b)", "double[1,2,9,8] a, double[2,2,3,3] b")),
    ("conv", Case("y = Conv<strides=[1,3], pads=[3,3,2,2]>(a, b)", "double[1,1,5,8] a, double[1,1,3,4] b")),
    ("avg_pool", Case("y = AveragePool<kernel_shape=[3,2], strides=[2,3], pads=[1,1,1,0]>(a)", "double[1,1,9,8] a")),
    ("conv_transpose", Case("y = ConvTranspose<strides=[2,2], pads=[1,0,1,1]>(a, b)", "double[1,2,5,4] a, double[2,2,3,4] b")),
    ("conv_transpose", Case("y = ConvTranspose<pads=[0,2,1,1]>(a, b)", "double[1,1,5,7] a, double[1,1,3,4] b")),
]


@pytest.mark.parametrize(("kind", "case"), PADDED, ids=[kind for kind, _ in PADDED])
def test_centres_of_windows_with_a_border(kind: str, case: Case) -> None:
    law = LAWS["centres_are_in_the_middle"]
    law(OPERATIONS[kind], case)
    with pytest.raises(AssertionError):
        law(replace(OPERATIONS[kind], centres=_off_by_one), case)


def _off_by_one(node: Node, axis: int) -> centres.Centres:
    rule = OPERATIONS[node.kind].centres
    assert rule is not None
    true = rule(node, axis)
    assert true is not None
    return replace(true, ahead=true.ahead + 1)


BROKEN = [
    ("exp", {"keeps_zero": always}, "zeros_stay"),
    ("conv", {"addends": ()}, "zeros_stay"),
    ("relu", {"factors": (frozenset({0}),)}, "lines_stay"),
    ("multiply", {"factors": (frozenset({0, 1}),)}, "lines_stay"),
    ("divide", {"factors": (frozenset({1}),)}, "lines_stay"),
    ("softmax", {"pointwise": True}, "elements_stand_alone"),
    ("softmax", {"axes": axes.elementwise}, "slices_are_treated_alike"),
    ("layer_norm", {"axes": axes.broadcast}, "slices_are_treated_alike"),
    ("max", {"reduces": "mean"}, "reductions_have_closed_forms"),
    ("exp", {"moves": "some"}, "elements_move"),
    ("gather", {"moves": "all"}, "elements_move"),
    ("conv", {"centres": centres.spread_windows}, "centres_are_in_the_middle"),
    ("pad", {"centres": None}, "centres_are_in_the_middle"),
    ("slice", {"centres": lambda node, axis: centres.Centres(step=2)}, "centres_are_in_the_middle"),
    ("matmul", {"macs": each}, "costs_are_counted"),
    ("top_k", {"macs": each}, "costs_are_counted"),
    ("conv_transpose", {"macs": OPERATIONS["conv"].macs}, "costs_are_counted"),
    ("attention", {"macs": nothing}, "costs_are_counted"),
    ("add", {"integers": contents.computed(np.subtract)}, "contents_are_computed"),
    ("concat", {"shape": shapes.as_data}, "shapes_are_told"),
    ("unsqueeze", {"rank": shapes.rank_as_before}, "shapes_are_told"),
    ("add", {"factors": (frozenset({0}),), "addends": ALL, "keeps_zero": always}, "zeros_stay"),
    ("softmax", {"joins": True}, "parts_make_the_whole"),
    ("gather", {"splits": True}, "parts_make_the_whole"),
    ("layer_norm", {"weights": 0}, "operands_are_what_they_are_called"),
    ("exp", {"lazy_adjoint": True}, "operands_are_what_they_are_called"),
    ("sin", {"adjoint": OPERATIONS["tanh"].adjoint}, "slopes_are_differences"),
    ("subtract", {"adjoint": OPERATIONS["add"].adjoint}, "slopes_are_differences"),
    ("exp", {"stepwise": True}, "steps_are_flat"),
    ("grid_sample", {"axes": axes.elementwise}, "slices_are_treated_alike"),
    ("tile", {"shape": shapes.as_data}, "shapes_are_told"),
    ("recurrent", {"later_axes": None}, "slices_are_treated_alike"),
    ("recurrent", {"macs": each}, "costs_are_counted"),
    ("gather_nd", {"axes": axes.broadcast}, "slices_are_treated_alike"),
    ("gather_nd", {"shape": shapes.as_indices}, "shapes_are_told"),
    ("tanh", {"quantises": True}, "levels_and_scales"),
    ("relu", {"normalises": True}, "levels_and_scales"),
]


@pytest.mark.parametrize(("kind", "columns", "law"), BROKEN, ids=lambda item: item if isinstance(item, str) else ",".join(item))
def test_a_broken_law_is_seen(kind: str, columns: dict[str, Any], law: str) -> None:
    wrong = replace(OPERATIONS[kind], **columns)
    with pytest.raises(AssertionError):
        for case in CASES[kind]:
            LAWS[law](wrong, case)


def test_every_law_was_seen_to_fail() -> None:
    assert {law for _, _, law in BROKEN} == LAWS.keys()

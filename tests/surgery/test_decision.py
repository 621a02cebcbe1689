"""What is decided of a hook, and what is tried where the runtime does not take it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from tiny import CASES
from tiny_transformers import VARIANTS

import openvino_xai as xai
from openvino_xai.errors import NoneRefused, OutputsChanged
from openvino_xai.locate import Located, locate
from openvino_xai.plan.decision import Decision, decide, in_turn
from openvino_xai.plan.gate import gated
from openvino_xai.plan.hook import plan
from openvino_xai.plan.request import Request
from openvino_xai.surgery import classes
from openvino_xai.tail.target import TopK

NO_IMAGE = NoneRefused("the runtime cannot explain no image at all")
CHANGED = OutputsChanged("output 'logits' changed")


def located(name: str = "mlp head") -> Located:
    return locate((CASES.get(name) or VARIANTS[name]).build("B", 17))


def first(**options: Any) -> Decision:
    return decide(Request(**options), located().choose())


def test_nothing_is_left_open() -> None:
    decision = first()
    assert all(getattr(decision, field.name) is not None for field in fields(decision))
    assert (decision.method, decision.score, decision.grid, decision.gate) == ("reciprocam", "softmax", (6, 8), "off")
    assert first(method="grad_cam").score == "logit" and first(method="grad_cam", score="sigmoid").score == "sigmoid"
    assert first(method="cam", score="softmax").score == first(method="activation_map", score="softmax").score == "logit"
    block = located("fused").choose()
    assert decide(Request(), block).method == "vit_reciprocam"


def test_the_cheapest_is_tried_first() -> None:
    assert [(decision.isolated, decision.gate) for decision in in_turn(first())] == [(False, "off"), (True, "off")]
    tried = [(decision.isolated, decision.gate) for decision in in_turn(first(gate=True))]
    assert tried == [(False, "any"), (False, "one"), (True, "any"), (True, "one")]


@pytest.mark.parametrize(
    ("refusals", "expected", "fallback"),
    [
        ([NO_IMAGE], [(False, "any"), (False, "one")], "one"),
        ([CHANGED], [(False, "any"), (True, "any")], "apart"),
        ([NO_IMAGE, CHANGED], [(False, "any"), (False, "one"), (True, "one")], "apart,one"),
        ([CHANGED, NO_IMAGE], [(False, "any"), (True, "any"), (True, "one")], "apart,one"),
    ],
)
def test_the_next_that_answers_every_refusal_is_tried(
    refusals: list[Exception], expected: list[Any], fallback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Any] = []

    def refusing(original: Any, hooked: Any, heads: Any, *, cost: float, verify: Any = classes.verify_hook) -> Any:
        decision = heads[0].decision
        tried.append((decision.isolated, decision.gate))
        if len(tried) <= len(refusals):
            raise refusals[len(tried) - 1]
        return verify(original, hooked, heads, cost=cost)

    monkeypatch.setattr(classes, "verify_hook", refusing)
    hooked = xai.insert(CASES["mlp head"].build("B", 17), method="grad_cam", gate=True)
    assert tried == expected
    assert hooked.record["fallback"] == fallback


@pytest.mark.parametrize("refusals", [[CHANGED, CHANGED], [NO_IMAGE, NO_IMAGE]])
def test_what_no_decision_answers_is_raised(refusals: list[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = list(refusals)

    def refusing(*arguments: Any, **options: Any) -> None:
        raise waiting.pop(0)

    monkeypatch.setattr(classes, "verify_hook", refusing)
    with pytest.raises(type(refusals[0])):
        xai.insert(CASES["mlp head"].build("B", 17), method="grad_cam")


def test_a_gate_leaves_the_plan_as_it_is() -> None:
    model = located()
    layer = model.choose()
    before = plan(model.at(layer), decide(Request(pick=TopK(2), gate=True), layer))
    before_gate = [(node, node.inputs, dict(node.attributes), [value.shape for value in node.outputs]) for node in before.nodes]
    gated(before, layer.value.shape[0] if layer.value.shape else 0)
    assert before_gate == [
        (node, node.inputs, dict(node.attributes), [value.shape for value in node.outputs]) for node in before.nodes
    ]

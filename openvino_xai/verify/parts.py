"""The parts that a method makes its maps of: gradients, and what it asks the model beside its layer, as outputs of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import numpy as np

from openvino_xai.contract import GRADIENT
from openvino_xai.graph.model import Value
from openvino_xai.graph.trace import Trace
from openvino_xai.hooks.noise.confidence import confidence
from openvino_xai.hooks.site import Channels
from openvino_xai.locate.located import Location
from openvino_xai.plan.decision import Decision
from openvino_xai.plan.hook import Plan
from openvino_xai.plan.nodes import needed
from openvino_xai.plan.site import PlannedSite

PARTS = (
    "cells",
    "gradients",
    "noisy_images",
    "images_on_the_way",
    "on_one_grid",
)  # what questions are made of: they are no questions


class Spy:
    """A site that notes its `answers`: for each question of a hook, by name, what the hook gives and what it is told.

    And whether it `reads_gradients`.
    """

    def __init__(self, site: PlannedSite) -> None:
        self._site = site
        self.answers: dict[str, tuple[Value, ...]] = {}
        self.reads_gradients = False

    def __getattr__(self, name: str) -> Any:
        if name in ("gradients", "gradients_at"):
            self.reads_gradients = True
        attribute = getattr(self._site, name)
        return attribute if name in PARTS or not callable(attribute) else partial(self._answer, name, attribute)

    def _answer(self, question: str, answer: Callable[..., Any], *arguments: Value | Channels) -> Any:
        result = answer(*arguments)
        values = (argument.masks if isinstance(argument, Channels) else argument for argument in arguments)
        self.answers[question] = *values, *(result if isinstance(result, tuple) else (result,))
        return result


def plan_parts(location: Location, decision: Decision) -> Plan:
    """The plan that returns what a method asks for: `gradient` [B, K, ...], in the layer's own axes, where it reads gradients.

    And each question of the method, as "NAME 0" what it gave and as "NAME 1" and so on what it was told; of one that gives
    nothing "NAME 0" is what it was told. Raises PlanError.
    """
    trace = Trace()
    site = PlannedSite(trace, location, decision)
    spy = Spy(site)
    hook = decision.hook(location.layer)
    hook(trace, spy)
    if decision.confidence:
        confidence(trace, cast(Any, spy), hook, decision.method)
    outputs = {GRADIENT: site.gradient()} if spy.reads_gradients else {}
    for question, (first, *others) in spy.answers.items():
        values = trace.astype(first, np.float32), *others
        for index, value in enumerate(values):
            is_new = value.native is None and value not in outputs.values()
            # what is an output already, of the model or of another question, has a name
            outputs[f"{question} {index}"] = value if is_new else trace.multiply(value, np.ones((), value.dtype))
    return Plan(location.graph, needed(trace.nodes, outputs.values()), outputs, site.selection.inputs)


def answers_of(plan: Plan, outputs: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, ...]]:
    """For each question, by name, what the method gave and what it was told, of the outputs of a model with such a plan."""
    by_question: dict[str, tuple[np.ndarray, ...]] = {}
    for name in plan.outputs:
        question, _, index = name.partition(" ")
        if index:
            by_question[question] = *by_question.get(question, ()), outputs[name]
    return by_question

"""The parts that a method makes its maps of: gradients, and what it asks the model beside its layer, as outputs of a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from openvino_xai.contract import GRADIENT
from openvino_xai.graph.model import Value
from openvino_xai.graph.trace import Trace
from openvino_xai.locate.located import Location
from openvino_xai.surgery.decision import Decision
from openvino_xai.surgery.plan.hook import Plan, needed
from openvino_xai.surgery.plan.site import PlannedSite


class Spy:
    """A site that notes its `answers`: what a hook asks of it beside its layer and gradients, what it gives and is told."""

    def __init__(self, trace: Trace, site: PlannedSite) -> None:
        self._trace, self._site = trace, site
        self.answers: dict[str, tuple[Value, Value]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._site, name)

    def _noted(self, question: str, argument: Value, answer: Value) -> Value:
        self.answers[question] = argument, answer
        return answer

    def largest_channels(self, weights: Value) -> Value:
        """[B, K, n]"""
        return self._noted("largest_channels", weights, self._site.largest_channels(weights))

    def channel_scores(self, masks: Value) -> Value:
        """[B, M, K]"""
        return self._noted("channel_scores", masks, self._site.channel_scores(masks))

    def image_scores(self, maps: Value) -> Value:
        """[B, M, K]"""
        return self._noted("image_scores", maps, self._site.image_scores(maps))

    def enlarged_range(self, maps: Value) -> tuple[Value, Value]:
        """Two of [B, 1, M]"""
        low, high = self._site.enlarged_range(maps)
        self._noted("enlarged_range", maps, self._trace.concat([low, high], axis=1))
        return low, high

    def noisy_gradients(self, copies: int, level: float) -> Value:
        """[B, S, K, N, C]"""
        images = self._site.noisy_images(copies, level)
        return self._noted("noisy_gradients", images, self._site.gradients_at(images))


def plan_parts(location: Location, decision: Decision) -> Plan:
    """The plan that returns what a method asks for: `gradient` [B, K, ...], in the layer's own axes, where it reads gradients.

    And, of `channel_scores` and the like, what it gave and what it was told. Raises PlanError.
    """
    trace = Trace()
    site = PlannedSite(trace, location, decision)
    spy = Spy(trace, site)
    outputs = {GRADIENT: site.gradient()} if decision.traits.gradients else {}
    decision.traits.hook(trace, spy)
    for question, (argument, answer) in spy.answers.items():
        outputs.update({f"{question} given": trace.astype(argument, np.float32), f"{question} told": answer})
    return Plan(location.graph, needed(trace.nodes, outputs.values()), outputs)

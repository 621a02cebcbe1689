"""What a hook is, every choice made: by the caller, by the model, or because a runtime did not take another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

from openvino_xai.contract import ALONE, Names, PlanKind, Scale, Score
from openvino_xai.dialects.protocol import Runtime
from openvino_xai.errors import NoneRefused, OutputsChanged
from openvino_xai.graph.sizes import Size
from openvino_xai.hooks import METHODS, Method
from openvino_xai.locate.layers import Candidate
from openvino_xai.locate.located import Location
from openvino_xai.locate.scores import Scores
from openvino_xai.plan.request import STEPS, Request
from openvino_xai.tail.target import Pick, Target
from openvino_xai.tail.tasks import target_of

Gate: TypeAlias = Literal["off", "any", "one"]  # how many images a hook is run for: all, any number, or one at least
Refusal: TypeAlias = "NoneRefused | OutputsChanged"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """How a hook is made, of which another way is tried where a runtime does not take it.

    An `isolated` hook reads the model at its layers alone, computes again what it needs of the rest, and splices nothing of its
    own into what the model computes. What a method asks the model beside its layers is asked in `chunks`, one after the other.
    The hook is verified in `runtimes`, in none where there are none. A `portable` one has no operation that only large runtimes
    have.
    """

    scale: Scale
    gate: Gate
    isolated: bool
    chunks: int
    runtimes: tuple[Runtime, ...]
    portable: bool = False

    @property
    def fallback(self) -> tuple[str, ...]:
        """What the hook does at more cost, by the words of its record."""
        words = (("apart", self.isolated), ("one", self.gate == "one"))
        return tuple(word for word, is_taken in words if is_taken)

    def avoids(self, refusal: Refusal) -> bool:
        """Whether a hook does not ask of the runtime what that refused another."""
        return self.gate == "one" if isinstance(refusal, NoneRefused) else self.isolated


@dataclass(frozen=True, kw_only=True)
class Decision(Attempt):
    """A method, the score that it reads of the classes in `pick`, and how it is planned.

    `grid` is the rows and columns of masks, one of a cell or of a block of them; `kernel` says how a mask of tokens weighs the
    neighbours of a cell. Of channels, the `channels` of the largest weights are asked about. With a `feature_vector` the hook
    returns the mean of the features, too, and with `confidence` how steady each cell of a map is. `steps` and `baseline` are of
    the way that some methods take to the image.
    """

    method: str
    score: Score
    pick: Pick
    plan: PlanKind
    grid: tuple[Size, Size]
    kernel: str
    channels: int | Literal["all"]
    feature_vector: bool = False
    steps: int = STEPS
    baseline: tuple[float, ...] = (0.0,)
    confidence: bool = False

    @property
    def traits(self) -> Method:
        """What the method masks and reads."""
        return METHODS[self.method]

    @property
    def raw_scores(self) -> bool:
        """Whether maps hold the scores of masks as they are, of which none stands for nothing."""
        return self.scale == "none" and self.traits.masks in ("cells", "tokens")

    def hook(self, layer: Candidate) -> Callable[[Any, Any], Any]:
        """What makes maps at a layer, or at several in turn."""
        if layer.in_turn:
            assert self.traits.of_layers is not None
            return self.traits.of_layers
        return self.traits.hook

    def target(self, scores: Scores) -> Target:
        """What is explained of a model's scores."""
        return target_of(scores, self.pick, self.score)


@dataclass(frozen=True, eq=False)
class Head:
    """What a hook explains: the scores at a location of a model, as it was decided, under its names."""

    location: Location
    decision: Decision
    names: Names = ALONE


def decide(request: Request, layer: Candidate, runtimes: tuple[Runtime, ...] = ()) -> Decision:
    """What is tried first of a request at a layer. Raises PlanError where the grid of masks does not fit the layer."""
    method = request.method or layer.method
    hook = METHODS[method]
    return Decision(
        method=method,
        score="logit" if hook.linear or hook.score == "none" else request.score or hook.score,
        pick=request.pick,
        scale=request.scale,
        plan=request.plan,
        grid=layer.mask_grid(request.grid),
        kernel=request.kernel,
        gate="any" if request.gate else "off",
        isolated=False,
        chunks=1,
        channels="all" if request.channels is None else request.channels,
        runtimes=runtimes,
        feature_vector=request.feature_vector,
        steps=request.steps,
        baseline=request.baseline,
        portable=request.portable,
        confidence=request.confidence,
    )


A = TypeVar("A", bound=Attempt)


def in_turn(decision: A) -> tuple[A, ...]:
    """A decision, and those that are tried where the runtime does not take it, the cheapest first."""
    gates: tuple[Gate, ...] = ("any", "one") if decision.gate == "any" else (decision.gate,)
    return tuple(replace(decision, isolated=isolated, gate=gate) for isolated in (False, True) for gate in gates)

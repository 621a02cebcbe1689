"""Derivatives, one rule an operation kind: from the adjoint of a node's output to that of one operand.

Each file holds the rules of some kinds, and lists them. A rule is written in the vocabulary, so that every dialect has it. It
is given a `Step` and the adjoint `g` of the output, which may be of size 1 along an axis where it is the same everywhere.
Conventions where a derivative is not one number:

* ReLU, clip, hard sigmoid and hard swish are flat at their corners; the larger of two operands gets all, at a tie neither;
* of a maximum over axes, equal ones share; in a window of a max pool the first one gets all, row by row, as in PyTorch;
* what quantises is passed straight through, and is flat where it clips: at its lowest and highest step.

A kind without an entry is refused by name.
"""

from __future__ import annotations

from openvino_xai.operations import arithmetic, elementwise, layout, norms, pools, products
from openvino_xai.operations import quantisation as quantised
from openvino_xai.operations.adjoint import Rule, Step
from openvino_xai.operations.norms import of_softmax

DERIVATIVES: dict[str, Rule] = {
    **elementwise.RULES,
    **arithmetic.RULES,
    **quantised.RULES,
    **norms.RULES,
    **products.RULES,
    **pools.RULES,
    **layout.RULES,
}

__all__ = ["DERIVATIVES", "Rule", "Step", "of_softmax"]

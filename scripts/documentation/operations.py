"""docs/operations.md: what is known of each operation, from the records."""

from __future__ import annotations

from collections.abc import Mapping

from openvino_xai.dialects.onnx.fused.table import RULES
from openvino_xai.dialects.onnx.kinds import KINDS as ONNX
from openvino_xai.dialects.openvino.kinds import KINDS as OPENVINO
from openvino_xai.operations import axes
from openvino_xai.operations.record import Operation, always, each, mixed, never, nothing
from openvino_xai.operations.table import FAMILIES

COLUMNS = ("operation", "OpenVINO", "ONNX", "over rows", "a cell alone", "linear in", "keeps zero", "derivative", "cost")


def operations() -> str:
    """docs/operations.md: what is known of each operation."""
    lines = [
        "# Operations",
        "",
        "What is known of each operation, from the records in `openvino_xai/operations/families`; `python scripts/pages.py` "
        "writes this page. A model may hold others: where a hook would have to pass one, it is refused by its name.",
        "",
        "- **over rows**: it can be repeated over more images, as many as there are masks.",
        "- **a cell alone**: masks pass it without being multiplied out (*yes*), end there in a closed form, or pass where a "
        "window reads one position (*1 x 1*); of attention, for the class token alone.",
        "- **linear in**: operands, counted from 0, in which it is linear while others are constant; *sum* for what it adds.",
        "- **keeps zero**: it makes zeros of zeros; where *some*, its attributes and constants or its other operands decide.",
        "- **derivative**: methods that read gradients pass it.",
        "- **cost**: operations for each element that it computes.",
    ]
    for family in FAMILIES:
        title = (family.__doc__ or "").strip().splitlines()[0].rstrip(".")
        lines += ["", f"## {title}", "", f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
        lines += [f"| {' | '.join(_row(operation))} |" for operation in family.OPERATIONS]
    return "\n".join([*lines, *_fused()]) + "\n"


def _fused() -> list[str]:
    """Operations of ONNX that are several, and what each computes."""
    rows = sorted(
        (name, domain or "ONNX", " ".join((rule.write.__doc__ or "").split())) for (domain, name), rule in RULES.items()
    )
    return [
        "",
        "## Fused operations of ONNX files",
        "",
        "Operations that compute what several do. They stay in the file, so that its outputs keep every bit. A hook reads "
        "standard nodes that compute the same, and these are written where it needs them. Both are run when the file is read. "
        "Where they differ by more than rounding, the operation is refused by its name. So is one with operands, outputs or "
        "attributes that are not told here. Explain the ONNX file as it was before it was optimised, then.",
        "",
        "| operation | of | what it computes |",
        "| --- | --- | --- |",
        *(f"| {name} | {domain} | {text} |" for name, domain, text in rows),
    ]


def _row(operation: Operation) -> list[str]:
    return [
        f"`{operation.name}`",
        _names(operation, OPENVINO),
        _names(operation, ONNX),
        "" if operation.axes is mixed else "yes",
        _cells(operation),
        _linear(operation),
        _zero(operation),
        "yes" if operation.adjoint else "",
        _cost(operation),
    ]


def _zero(operation: Operation) -> str:
    if operation.keeps_zero is always or (operation.factors and not operation.addends):
        return "yes"
    return "" if operation.keeps_zero is never and not operation.factors and not operation.addends else "some"


def _cost(operation: Operation) -> str:
    counted = (operation.macs.__doc__ or "").partition(":")[2].strip(" .")
    return {nothing: "0", each: "1"}.get(operation.macs, counted or "the window's")


def _names(operation: Operation, kinds: Mapping[str, tuple[str, object]]) -> str:
    return ", ".join(name for name, (kind, _) in kinds.items() if kind == operation.name)


def _cells(operation: Operation) -> str:
    if operation.reduces is not None:
        return "closed form"
    if operation.axes is axes.attention:
        return "of the class token"
    if operation.axes in (axes.convolution, axes.pool):
        return "1 x 1"
    return "" if operation.axes in (mixed, axes.transposed_convolution, axes.recurrent_steps) or operation.lays_out else "yes"


def _linear(operation: Operation) -> str:
    parts = [" and ".join(map(str, sorted(operands))) for operands in operation.factors]
    if operation.addends:
        parts.append("sum")
    return ", ".join(parts)

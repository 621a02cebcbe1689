"""`ovxai insert`: a hooked model beside the original."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openvino_xai.cli.options import HookOptions, Json, ModelPath, takes_options
from openvino_xai.cli.options.preprocessing import PreprocessingOptions, to_store
from openvino_xai.cli.text import say, warn
from openvino_xai.errors import InputError, OvxaiError
from openvino_xai.files.paths import exists, is_file
from openvino_xai.json_text import to_json

if TYPE_CHECKING:
    from openvino_xai.surgery.hooked import Hooked
    from openvino_xai.surgery.layer import Layer
    from openvino_xai.verify.hook import Verified

ONNX, IR = ".onnx", ".xml"  # what is written: ONNX for ONNX, IR for all else that OpenVINO reads
WARN_ABOVE = 2.0  # times the operations of the plain model
_RUNTIME = (
    "Verify in the runtime that will serve the file: onnxruntime or openvino, or both; by default the model's own. A hook "
    "on an ONNX file that OpenVINO serves is verified there."
)
SHALLOW = 0.9  # of the plain model's operations: a layer that is chosen lies behind that, or it is said


@takes_options
def insert(
    *,
    model: ModelPath,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="By default <stem>_xai beside the model.")] = None,
    options: HookOptions,
    feeding: PreprocessingOptions,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Run both models: outputs bit-identical, maps as defined.")
    ] = True,
    runtime: Annotated[str | None, typer.Option(help=_RUNTIME)] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A text file with one label a line, for the classes of --examples.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model that returns, beside its outputs, the saliency maps.

    One inference then gives the same outputs, bit for bit, and `saliency_map` [B, K, H, W], of a signal [B, K, L] and of a
    video [B, K, T, H, W]; with `--targets top:K` also
    `saliency_class` [B, K], the classes explained. With several `--scores` each NAME has outputs of its own,
    `saliency_map_NAME` and so on. With `--targets vector` the output is a vector, and what is explained is how
    much it is like another, which clients give as `explain_vector` [B, E]. Where a model tells the class of each pixel, what is
    explained is a class over its region; with `--targets asked` over `explain_mask` [B, H, W].

    What is said of preprocessing is stored in the hooked model, in model_info, where this program and OpenVINO's Model API
    find it.
    """
    from openvino_xai.contract import ATTENTION, BOXES, CLASS_SCORES, FALLBACKS, GRADIENT, LAID, PART, REGIONS
    from openvino_xai.files.writing import check_output

    source = Path(model)
    target = output or source.with_name(f"{source.stem}_xai{ONNX if source.suffix == ONNX else IR}")
    check_output(target, size=_size(source))
    if exists(target) and not force:
        raise InputError(f"{target} exists; choose another with --output or overwrite it with --force")
    if runtime is not None and not verify:
        raise InputError("--runtime says where the hook is verified, and --no-verify that it is not: leave one out")
    stored = to_store(feeding, model, options, labels)
    layout = feeding.layout
    hooked = options.insert(model, verify=verify, runtime=runtime, layout=layout)
    if stored is not None:
        hooked.deployed.set_info("model_info", stored.to_info())
    hooked.save(target, force=force)
    place, record = hooked.layer, hooked.record
    heads = list(zip(hooked.records, hooked.layers, strict=True))
    if place.cost is not None and place.cost > WARN_ABOVE:
        warn(
            f"warning: the hooked model takes {place.cost:.1f} times the operations of the plain one; "
            + (
                "without --confidence it takes less"
                if "confidence" in record
                else f"fewer --targets{' or --steps' if 'steps' in record else ''} cost less"
                if GRADIENT in record or ATTENTION in record
                else f"{_other_ways(options, model, hooked, layout)}a later layer, --grid or --targets costs less "
                "(see `ovxai layers`)"
            )
        )
    # regions are explained ahead of what mixes cells, boxes ahead of what mixes levels, gradients are of the image itself, and
    # attention is that of all blocks, from the first on
    elsewhere = [facts.get("task") in (REGIONS, BOXES) or GRADIENT in facts or ATTENTION in facts for facts in hooked.records]
    shallow = [at for at, is_elsewhere in zip(hooked.layers, elsewhere, strict=True) if at.depth < SHALLOW and not is_elsewhere]
    for layer in shallow if options.layer is None else []:
        warn(
            f"warning: the chosen layer '{layer.name}' lies at {layer.depth:.2f} of the network's operations; what "
            "comes behind it has no cells that can be followed, or cannot carry a hook (`ovxai layers --all` says why)"
        )
    for _, layer in heads:
        if layer.instead_of is not None:
            warn(f"warning: layer '{layer.name}' is explained, as no hook can be planned at {layer.instead_of}")
    fallback = [word for word in record.get("fallback", "").split(",") if word]
    if fallback:
        why = "; ".join(FALLBACKS[word] for word in fallback)
        warn(f"warning: the runtime did not take the cheaper hook: {why}")
    _warn_of_blindness(hooked)
    converted = [int(record[f"converted_{end}"]) for end in ("from", "to")] if "converted_from" in record else None
    if as_json:
        result = {
            "model": model,
            "output": str(target),
            "layer": place.name,
            "shape": place.shape,
            "cells": place.cells,
            "depth": place.depth,
            "cost": place.cost,
            "memory": place.memory,
            "instead_of": place.instead_of,
            "method": record["method"],
            "score": record["score"],
            "targets": record["targets"],
            "scale": record["scale"],
            "fallback": fallback,
            "converted": converted and dict(zip(("from", "to"), converted, strict=True)),
            "written_as": record.get("written_as"),
            "verified": hooked.verified is not None,
            "runtimes": [] if hooked.verified is None else list(hooked.verified.runtimes),
            "preprocessing": None if stored is None else stored.to_dict(),
            "difference": None if hooked.verified is None else hooked.verified.difference,
            "compared": None if hooked.verified is None else hooked.verified.sights[0].to_dict(),
        }
        if LAID in record:
            result["laid"], result["part"] = record[LAID], record[PART]
        if GRADIENT in record:
            result["gradient"] = record[GRADIENT]
        if "steps" in record:
            result["steps"], result["baseline"] = int(record["steps"]), [float(item) for item in record["baseline"].split(",")]
            result["incompleteness"] = None if hooked.verified is None else hooked.verified.incompleteness
        if len(heads) > 1:
            result["heads"] = [_head(facts, layer) for facts, layer in heads]
        say(to_json(result))
        return
    checked = _verification(hooked.verified) if hooked.verified else "not verified"
    if hooked.verified and hooked.verified.incompleteness is not None:
        checked += f", attributions miss {hooked.verified.incompleteness:.2%} of how far scores differ from the baseline's"
    named = len(heads) > 1 or record["scores"].startswith(CLASS_SCORES)  # which the model itself does not return
    hooks = "; ".join(_hook(facts, layer, chosen=options.layer is None, named=named) for facts, layer in heads)
    say(
        f"{target}: {hooks}, scale {record['scale']}, {place.cost:.2f} times the operations; "
        + (f"converted from opset {converted[0]} to {converted[1]}; " if converted else "")
        + (f"what computes on levels is written as {record['written_as']}; " if "written_as" in record else "")
        + checked
        + (f"; stored: fed is {stored.summary}" if stored else "")
    )


def _size(source: Path) -> int:
    """Bytes of a model and its weights: a hooked one takes as many."""
    return sum(path.stat().st_size for path in {source, source.with_suffix(".bin")} if is_file(path))


def _head(record: Mapping[str, str], layer: Layer) -> dict[str, Any]:
    """What is told of one of several heads."""
    facts: dict[str, Any] = {key: record[key] for key in ("scores", "map", "method", "score", "targets")}
    facts["spread"] = float(record["spread"]) if "spread" in record else None
    return {**facts, "layer": layer.name, "shape": layer.shape, "cells": layer.cells, "depth": layer.depth}


def _verification(verified: Verified) -> str:
    """Where a hook was verified, and how much could be seen of its maps, in words; of several heads, of the one seen least."""
    maps, flat = (sum(getattr(sight, name) for sight in verified.sights) for name in ("maps", "flat"))
    spread = min(sight.spread for sight in verified.sights)
    share = f"{spread:.0%}" if spread >= 0.01 else f"{100 * spread:.1g}%"
    compared = f"{maps} map{'s' if maps != 1 else ''} of {verified.content}"
    return f"verified in {' and '.join(verified.runtimes)}: {compared}, whose cells lie up to {share} apart" + (
        f", {flat} of them flat" if flat else ""
    )


def _warn_of_blindness(hooked: Hooked) -> None:
    """Say where no map could be verified: of which head, where there are others."""
    verified = hooked.verified
    for record, sight in zip(hooked.records, verified.sights, strict=True) if verified else ():
        if verified and sight.blind:
            of = f" of '{record['scores']}'" if len(hooked.records) > 1 else ""
            warn(
                f"warning: the maps{of} are flat on {verified.content}: the cells of {sight.maps} maps lie "
                f"{100 * sight.spread:.3g}% apart at most, and a map may be off by {100 * sight.tolerance:.3g}%. A wrong map "
                "could not be told from a right one there; choose another --layer, or try the maps on your own photos with "
                "`ovxai explain --check`"
            )


def _hook(record: Mapping[str, str], layer: Layer, *, chosen: bool, named: bool) -> str:
    """How a head is explained, in words; `named` where nobody would know which."""
    from openvino_xai.contract import ATTENTION, GRADIENT, LAID, PART

    of = f" of '{record['scores']}'" if named else ""
    if GRADIENT in record:
        steps = f" in {record['steps']} steps from {record['baseline']}" if "steps" in record else ""
        return (
            f"{record['method']}{of} by image '{layer.name}'{steps}, output {GRADIENT} {record[GRADIENT]}, score "
            f"{record['score']}, targets {record['targets']}"
        )
    place = f"{'chosen layer' if chosen else 'layer'} '{layer.name}'" if ATTENTION not in record else "all attention blocks"
    cells = f"{' x '.join(map(str, layer.cells))} cells"
    if LAID in record:
        cells += f", rows and columns {record[PART]} of maps of {record[LAID].replace('x', ' x ')}"
    return f"{record['method']}{of} at {place} ({cells}), score {record['score']}, targets {record['targets']}"


def _other_ways(options: HookOptions, model: ModelPath, hooked: Hooked, layout: str | None) -> str:
    """What layer_cam, and masks of 2 x 2 cells, take at a layer that is named, as far as these can be had there."""
    is_plain = hooked.record.get("method") == "reciprocam" and len(hooked.records) == 1 and not options.cut
    if options.layer is None or not is_plain:
        return ""
    rows, columns = hooked.layer.cells
    ways: dict[str, dict[str, str]] = {"--method layer_cam --targets top:1": {"method": "layer_cam", "targets": "top:1"}}
    if options.grid is None and isinstance(rows, int) and isinstance(columns, int) and not (rows % 2 or columns % 2):
        ways[f"--grid {rows // 2}x{columns // 2}"] = {"grid": f"{rows // 2}x{columns // 2}"}
    clauses = []
    for words, changed in ways.items():
        with suppress(OvxaiError):
            cost = options.insert(model, verify=False, layout=layout, **changed).layer.cost
            clauses += [f"`{words}` takes {cost:.1f}"] if cost is not None else []
    return f"at this layer {', '.join(clauses)}; " if clauses else ""

"""`ovxai evaluate` for classifiers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openvino_xai.cli.evaluation.request import Measurement, Request
from openvino_xai.cli.evaluation.rows import in_turn, readable, refuse_others, stages_of, write_result
from openvino_xai.cli.options import EngineOptions
from openvino_xai.cli.options.preprocessing import tell_doubts
from openvino_xai.cli.text import command_line, say, say_table, warn

if TYPE_CHECKING:
    from openvino_xai.dialects.open import Model
    from openvino_xai.evaluate.examples import Example
    from openvino_xai.evaluate.sanity import Stage
    from openvino_xai.runtime.inputs.targets import TargetsOfImage
    from openvino_xai.runtime.network import Network
    from openvino_xai.serve.jobs import Load, Work
    from openvino_xai.tail.target import Pair

NEAR = "~ "  # ahead of a baseline that is not told from the method


def evaluate_classes(
    network: Network, request: Request, working: EngineOptions, target: str | Pair | None, *, parquet: bool
) -> Measurement:
    """What is measured of a classifier's explanations of classes, or of a contrast. Raises InputError."""
    from openvino_xai.evaluate.classes.baselines import BASELINES
    from openvino_xai.evaluate.classes.run import evaluate as rows_of
    from openvino_xai.evaluate.classes.run import some_of, which_target
    from openvino_xai.evaluate.contrasts import contrast_choices
    from openvino_xai.evaluate.report.beside import matched, names_of, read_run
    from openvino_xai.evaluate.report.page import write_page
    from openvino_xai.runtime.folders.reserve import reserved

    model, output, options, running = request.model, request.output, request.options, request.running
    settings = request.probing.settings()
    examples = some_of(_examples(request.inputs, network, output), request.limit, request.probing.seed)
    pair = target if isinstance(target, tuple) else None
    names = _metrics(request.metrics, examples, pair)
    explained = target if isinstance(target, tuple) else which_target(target, examples)
    choices = request.choices if pair is None else contrast_choices(request.choices)
    protocol = {"target": explained if pair is None else _text(pair), **asdict(choices)}
    baselines = list(BASELINES) if request.baselines else []
    conditions = {**request.conditions, "metrics": names, **protocol, "baselines": baselines}
    traced = request.report is not None
    conditions |= {"report": True} if traced else {}
    runs = [read_run(folder, conditions) for folder in request.beside]
    work = partial(rows_of, names=names, target=explained, choices=choices, baselines=baselines, traced=traced)
    with reserved(output) if output is not None else nullcontext():
        start = time.perf_counter()
        if output is not None:
            refuse_others(output, request, network.record["method"])
        if working.engine is not None and output is not None:
            loader = partial(running.loader, model, options, settings, output / "parts", targets=_text(pair), hint="THROUGHPUT")
            by_name, count = _by_engine(working, output / "parts", examples, loader, work, conditions)
        else:
            work = partial(work, network)
            by_name, count = in_turn(output, _sources(examples), examples, work, conditions, again=request.again)
        took = time.perf_counter() - start
        rows, all_read = readable([by_name[str(example.path)] for example in examples])
        tell_accuracy(rows, network, model, logits=choices.read == "logit")
        stages: list[Stage] = []
        if request.sanity:
            stages = _sanity(request, rows, pair)
        speed = round(count / took, 3) if count else None
        result = _result(model, network, rows, protocol, stages, speed)
        if output is not None:
            _write(output, result, rows, parquet)
        if request.report is not None:
            of_runs = [matched(run, rows, _sources(examples)) for run in runs]
            write_page(
                request.report,
                rows,
                result,
                conditions=conditions,
                label=network.label,
                command=command_line(),
                others=dict(zip(names_of(result["method"], runs), of_runs, strict=True)),
            )
            warn(request.report)
    return Measurement(result, stages, _print, all_read)


def _metrics(named: list[str], examples: list[Example], pair: Pair | None) -> list[str]:
    """The metrics that are measured, after a word on those that are not, as a contrast has none. Raises InputError."""
    from openvino_xai.evaluate.classes.metrics import METRICS, SETS, metric_names

    if pair is not None and not set(named).difference(SETS):
        warn(f"not measured of a contrast: {', '.join(name for name in METRICS if not METRICS[name].of_contrasts)}, adcc")
    return metric_names(named, examples, of_contrast=pair is not None)


def _text(pair: Pair | None) -> str:
    """What a hook explains that is made now: a contrast, or all classes."""
    return "all" if pair is None else f"{pair[0]}-{pair[1]}"


def _sanity(request: Request, rows: list[dict[str, Any]], pair: Pair | None) -> list[Stage]:
    """How alike the maps of rows are where weights are shuffled."""
    running, settings = request.running, request.probing.settings()
    photos: dict[str, TargetsOfImage] = {row["image"]: [row["target"] if pair is None else pair] for row in rows}

    def load(variant: Model) -> Network:
        return running.load(variant, request.options, settings, verify=False, targets=_text(pair))

    return stages_of(request.model, load, photos, request.probing.seed)


def tell_accuracy(rows: list[dict[str, Any]], network: Network, model: str, *, logits: bool) -> None:
    """What is doubtful about what a network took photos for; scores that are `logits` do not tell how sure it is."""
    from openvino_xai.runtime.inputs.doubts import Tally

    tally = Tally()
    for row in rows:
        probability = row["score"] if row["target"] == row["predicted"] and not logits else 0.0
        label = None if row["label"] is None else network.label(row["label"])
        tally.count(network.label(row["predicted"]), probability, label=label)
    tell_doubts(tally.doubts(), model=Path(model).name)


def _examples(inputs: list[str], network: Network, output: Path | None) -> list[Example]:
    from openvino_xai.evaluate.examples import find_examples
    from openvino_xai.runtime.folders.search import Search

    search = Search([output])
    examples = find_examples(inputs, network.labels, network.classes, search)
    for note in search.notes:
        warn(note)
    return examples


def _result(
    model: str, network: Network, rows: list[dict[str, Any]], protocol: dict[str, Any], stages: list[Stage], speed: float | None
) -> dict[str, Any]:
    from openvino_xai.evaluate.classes.intervals import differences, intervals
    from openvino_xai.evaluate.classes.metrics import accuracy, overall

    seed = protocol["seed"]
    baselines = {}
    for baseline in rows[0].get("baselines", {}):
        others = [row["baselines"][baseline] for row in rows]
        baselines[baseline] = {
            "metrics": overall([{**row, "metrics": other} for row, other in zip(rows, others, strict=True)]),
            "differences": {name: list(interval) for name, interval in differences(rows, others, seed).items()},
        }
    return {
        "images": len(rows),
        "method": network.record["method"],
        "metrics": overall(rows),
        "intervals": {name: list(interval) for name, interval in intervals(rows, seed).items()},
        "baselines": baselines,
        "accuracy": accuracy(rows),
        "images_per_second": speed,
        "model": model,
        "precision": network.precision,
        "preprocessing": network.preprocessing.to_dict(),
        "hook": network.record,
        **protocol,
        **({"sanity": [stage.to_dict() for stage in stages]} if stages else {}),
    }


def _sources(examples: list[Example]) -> dict[str, Any]:
    """For each image a digest of its file, its label and its boxes, so that a change is measured anew; None without a file."""
    from openvino_xai.runtime.sources import digest_of, stamp

    return {
        str(example.path): None
        if (state := stamp(example.path)) is None
        else digest_of([state, example.label, example.boxes, example.outlines, example.size])
        for example in examples
    }


def _by_engine(
    working: EngineOptions,
    folder: Path,
    examples: list[Example],
    loader: Callable[[], Load],
    work: Work,
    conditions: dict[str, Any],
) -> tuple[dict[str, dict[str, Any]], int]:
    """Rows by image from the files of a job, and how many there are."""
    from openvino_xai.serve.parts import read_rows

    items = {str(example.path): example for example in examples}
    summary = working.run(folder, items, _sources(examples), loader, work, conditions)
    rows = read_rows([folder / part for part in summary["parts"]])
    return dict(zip(items, rows, strict=True)), summary["rows"]


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row with each metric in a column of its own, those of a baseline as `gaussian.average_drop`."""
    from openvino_xai.runtime.manifest import CHECK

    aside = ("metrics", "baselines", "asked", "source", "trace", CHECK)
    of_baselines = {
        f"{baseline}.{name}": value for baseline, values in row.get("baselines", {}).items() for name, value in values.items()
    }
    return {**{name: item for name, item in row.items() if name not in aside}, **row["metrics"], **of_baselines}


def _write(folder: Path, result: dict[str, Any], rows: list[dict[str, Any]], parquet: bool) -> None:
    write_result(folder, result)
    if parquet:
        from openvino_xai.serve.parts import write_rows

        write_rows(folder / "rows.parquet", [flat(row) for row in rows])


def _print(result: dict[str, Any]) -> None:
    from openvino_xai.evaluate.classes.intervals import FEWEST, Interval
    from openvino_xai.evaluate.classes.metrics import BEST

    title = f"{result['model']}, {result['method']}, {result['images']} images, class: {result['target']}"
    lines, unsettled, has_intervals = [], False, bool(result["intervals"])
    for name, value in result["metrics"].items():
        low, high = result["intervals"].get(name, (0, 0))
        cells = [name, f"{value:.4f}", f"{low:.3f} - {high:.3f}" if has_intervals else ""]
        for baseline in result["baselines"].values():
            settled = not has_intervals or Interval(*baseline["differences"][name]).settles
            unsettled |= not settled
            cells.append(f"{'' if settled else NEAR}{baseline['metrics'][name]:.4f}")
        lines.append((*cells, BEST[name]))
    names = [baseline.replace("_", "-") for baseline in result["baselines"]]
    say_table(("metric", "mean", "95 %", *names, "better is"), lines, texts=("metric", "better is"), title=title)
    if not has_intervals:
        say(f"fewer than {FEWEST} images: what differs may be chance, and no interval is told")
    if unsettled:
        say(f"{NEAR} so many images do not tell it from the method's: 0 lies in the 95 % of the difference")
    if result["images_per_second"]:
        say(f"{result['images_per_second']:.2g} images a second")

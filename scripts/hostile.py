"""Models from strangers: thousands of broken, mutated and malicious files, and what becomes of each.

    python scripts/hostile.py --work FOLDER [--cases 5000] [--seed 0]

Every case is a file in a folder of its own. A worker lists its layers and inserts a hook, verified, of one or another method,
under a limit of memory and time. It is refused with an error of ours, accepted, or something goes wrong: another exception,
which would be a traceback; the death of the process; or a hang. For the last two the command line runs models in a process of
their own. Figures, and every case that went wrong, are in FOLDER/hostile.json; the exit status is 1 where there was another
exception.
"""

from __future__ import annotations

import argparse
import collections
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import onnx
import openvino as ov
from rich.progress import Progress

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from hostile_models import circle, filled, loop, nested
from tiny import CASES
from tiny_transformers import Transformer

METHODS = (None, None, "grad_cam", "fd_cam")  # in turn; None is the default
MEMORY, SECONDS, WORKERS = 6 * 2**30, 30, 2
BIG = [0, 1, 2, 3, -1, -2, 7, 255, 2**16, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63)]


# ---- what is broken -------------------------------------------------------------------------------------------------------


def seeds(work: Path) -> list[Path]:
    """Small models in both dialects, as they are."""
    folder = work / "seeds"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = ("pool and linear", "residual, layer second", "squeeze and excite", "max pool, flatten, linear", "softmax inside")
    models = {name.replace(" ", "_").replace(",", ""): CASES[name].build("B", 17) for name in names}
    models["transformer"] = Transformer().build(1)
    found = []
    for name, model in models.items():
        onnx.save(model, folder / f"{name}.onnx")
        ov.save_model(ov.Core().read_model(model.SerializeToString()), folder / f"{name}.xml", compress_to_fp16=False)
        found += [folder / f"{name}.onnx", folder / f"{name}.xml"]
    return found


def bytes_changed(rng: random.Random, data: bytes) -> bytes:
    """Flipped, cut off, left out, doubled, or nothing of what it was."""
    changed = bytearray(data)
    kind = rng.randrange(6)
    if kind == 0:
        return bytes(changed[: rng.randrange(len(changed))])
    if kind == 1:
        return rng.randbytes(rng.randrange(2000))
    if kind == 2:
        start = rng.randrange(len(changed))
        del changed[start : start + rng.randrange(1, 200)]
    elif kind == 3:
        start = rng.randrange(len(changed))
        part = changed[start : start + rng.randrange(1, 200)]
        changed[start:start] = part
    else:
        for _ in range(rng.choice([1, 2, 5, 20, 100])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def onnx_changed(rng: random.Random, model: onnx.ModelProto) -> None:
    """A few fields of a well-formed model are others."""
    graph = model.graph
    for _ in range(rng.choice([1, 1, 2, 4])):
        node = rng.choice(graph.node)
        change = rng.randrange(14)
        if change == 0 and node.attribute:
            attribute = rng.choice(node.attribute)
            attribute.i = rng.choice(BIG)
            for index in range(len(attribute.ints)):
                attribute.ints[index] = rng.choice(BIG)
        elif change == 1 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(
                [v.output[0] for v in graph.node] + ["", "nowhere", "image"]
            )
        elif change == 2:
            node.op_type = rng.choice(
                ["Relu", "Loop", "If", "Scan", "NonMaxSuppression", "Conv", "Gemm", "MatMul", "", "Résumé", "Reshape"]
            )
        elif change == 3:
            graph.node.append(node)
        elif change == 4:
            graph.node.remove(node)
        elif change == 5 and graph.initializer:
            weights = rng.choice(graph.initializer)
            if weights.dims:
                weights.dims[rng.randrange(len(weights.dims))] = rng.choice(BIG)
        elif change == 6 and graph.initializer:
            graph.initializer.remove(rng.choice(graph.initializer))
        elif change == 7 and graph.initializer:
            rng.choice(graph.initializer).data_type = rng.randrange(-1, 30)
        elif change == 8:
            model.opset_import[0].version = rng.choice([0, 1, 5, 12, 13, 18, 21, 23, 99, 2**40, -1])
        elif change == 9:
            shape = rng.choice([*graph.input, *graph.output]).type.tensor_type.shape
            if shape.dim:
                rng.choice(shape.dim).dim_value = rng.choice(BIG)
        elif change == 10:
            rng.choice([*graph.input, *graph.output]).type.tensor_type.elem_type = rng.randrange(-1, 30)
        elif change == 11 and graph.initializer:
            external(rng, rng.choice(graph.initializer))
        elif change == 12:
            node.output[0] = rng.choice([v.output[0] for v in graph.node] + ["logits", "image", ""])
        elif change == 13 and graph.initializer:
            weights = rng.choice(graph.initializer)
            weights.raw_data = weights.raw_data[: rng.randrange(len(weights.raw_data) + 1)]


def external(rng: random.Random, weights: onnx.TensorProto) -> None:
    """Weights that are said to be beside the model: where they are not, or must not be."""
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    places = ["../outside.bin", "/etc/passwd", "link.bin", "hard.bin", "none.bin", "", ".", "a/../../outside.bin", "\x00"]
    told = {"location": rng.choice(places), "offset": str(rng.choice(BIG)), "length": str(rng.choice(BIG))}
    for key, value in told.items():
        if rng.random() < 0.8 or key == "location":
            weights.external_data.add(key=key, value=value)


def ir_changed(rng: random.Random, text: str) -> str:
    """A few attributes of an IR are others, or layers and edges are gone or doubled."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        change = rng.randrange(6)
        found: list[re.Match[str]]
        if change < 3:
            found = list(re.finditer(r'(\w+)="([^"]*)"', text))
            told = rng.choice([*map(str, BIG), "", "f32", "i64", "u4", "nonsense", "1,2,3", "9" * 30, "..", "true"])
            place = rng.choice(found)
            text = text[: place.start(2)] + told + text[place.end(2) :]
        elif change == 3:
            found = list(re.finditer(r"<dim>(-?\d+)</dim>", text))
            place = rng.choice(found)
            text = text[: place.start(1)] + str(rng.choice(BIG)) + text[place.end(1) :]
        else:
            found = list(re.finditer(r"<(edge) [^>]*/>|<(layer) .*?</layer>", text, flags=re.DOTALL))
            place = rng.choice(found)
            text = text[: place.start()] + (place[0] * 2 if change == 4 else "") + text[place.end() :]
    return text


MALICIOUS: dict[str, Callable[[], onnx.ModelProto]] = {
    "a loop of 2^62 trips": lambda: loop(2**62),
    "28 nested conditions": lambda: nested(28),
    "12 nested conditions": lambda: nested(12),
    "a constant of 40 GB": lambda: filled(10**10),
    "a constant of 2^62 elements": lambda: filled(2**62),
    "a circle": circle,
}


def cases(work: Path, count: int, seed: int) -> Iterator[tuple[str, Path]]:
    """Each case by its kind and its file."""
    rng = random.Random(seed)
    found = seeds(work)
    number = 0

    def fresh(kind: str, suffix: str) -> Path:
        nonlocal number
        number += 1
        folder = work / "case" / str(number)
        folder.mkdir(parents=True)
        return folder / f"model{suffix}"

    for name, make in MALICIOUS.items():
        path = fresh(name, ".onnx")
        path.write_bytes(make().SerializeToString())
        yield name, path
    while number < count:
        source = rng.choice(found)
        structured = rng.random() < 0.6
        path = fresh("", source.suffix)
        kind = f"{source.suffix[1:]}, {'fields' if structured else 'bytes'}"
        if source.suffix == ".onnx":
            model = onnx.load(source)
            if structured:
                try:
                    onnx_changed(rng, model)
                except (ValueError, TypeError):
                    continue
            data = model.SerializeToString()
            path.write_bytes(data if structured else bytes_changed(rng, data))
            (path.parent.parent / "outside.bin").write_bytes(bytes(4096))
            (path.parent / "link.bin").symlink_to("../outside.bin")
            os.link(path.parent.parent / "outside.bin", path.parent / "hard.bin")
        else:
            weights = source.with_suffix(".bin").read_bytes()
            if structured:
                path.write_text(ir_changed(rng, source.read_text()))
            else:
                path.write_bytes(bytes_changed(rng, source.read_bytes()) if rng.random() < 0.7 else source.read_bytes())
                weights = bytes_changed(rng, weights) if rng.random() < 0.5 else weights
            if rng.random() < 0.97:
                path.with_suffix(".bin").write_bytes(weights)
        yield kind, path


# ---- what becomes of it ----------------------------------------------------------------------------------------------------


def work_off(pipe: Connection) -> None:
    """One worker: a file in, what became of it out."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    os.dup2(sys.stdout.fileno(), 1)
    os.dup2(sys.stdout.fileno(), 2)
    import openvino_xai as xai

    while True:
        path = Path(pipe.recv())
        try:
            xai.layers(path)
            method = METHODS[zlib.crc32(path.parent.name.encode()) % len(METHODS)]
            xai.insert(path, method=method).save(path.with_name(f"hooked{path.suffix}"))
            told = ("accepted", "")
        except xai.OvxaiError as error:
            told = ("refused", type(error).__name__)
        except MemoryError:
            told = ("refused", "MemoryError")  # which the command line tells as an error, too
        except BaseException as error:  # what this campaign looks for
            told = ("exception", f"{type(error).__name__}: {str(error)[:200]}")
        left = [other.name for other in path.parent.iterdir() if other.name.startswith(".ovxai")]
        pipe.send((*told, left))


class Worker:
    """A process that is started again when it dies or hangs."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=work_off, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.job: tuple[str, Path, float] | None = None

    def give(self, kind: str, path: Path) -> None:
        self.job = kind, path, time.monotonic()
        self.pipe.send(str(path))

    def result(self) -> tuple[str, str, list[str]] | None:
        """What became of the job, None where it is still at it."""
        assert self.job is not None
        if self.pipe.poll(0.02):
            try:
                return self.pipe.recv()
            except EOFError:
                pass
        elif self.process.is_alive():
            if time.monotonic() - self.job[2] < SECONDS:
                return None
            self.process.kill()
            self.process.join()
            return "hang", f"{SECONDS} s", []
        self.process.join()
        return "died", f"status {self.process.exitcode}", []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    shutil.rmtree(told.work / "case", ignore_errors=True)
    told.work.mkdir(parents=True, exist_ok=True)
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    wrong: list[dict[str, Any]] = []
    workers = [Worker() for _ in range(WORKERS)]
    source = cases(told.work, told.cases, told.seed)
    with Progress() as bar:
        task = bar.add_task("cases", total=told.cases)
        exhausted = False
        while True:
            for worker in workers:
                if worker.job is None and not exhausted:
                    given = next(source, None)
                    exhausted = given is None
                    if given is not None:
                        worker.give(*given)
                if worker.job is None or (result := worker.result()) is None:
                    continue
                kind, path, _ = worker.job
                outcome, what, left = result
                counts[kind][outcome if outcome != "refused" or what != "MemoryError" else "refused, out of memory"] += 1
                if outcome in ("exception", "died", "hang") or left:
                    wrong.append({"kind": kind, "outcome": outcome, "what": what, "left": left, "folder": str(path.parent)})
                else:
                    shutil.rmtree(path.parent)
                worker.job = None
                if outcome in ("died", "hang"):
                    worker.start()
                bar.advance(task)
            if exhausted and all(worker.job is None for worker in workers):
                break
    totals: collections.Counter[str] = sum(counts.values(), collections.Counter())
    result = {"cases": sum(totals.values()), "outcomes": totals, "by kind": counts, "wrong": wrong}
    (told.work / "hostile.json").write_text(json.dumps(result, indent=2))
    print(json.dumps({name: result[name] for name in ("cases", "outcomes", "by kind")}, indent=2))
    if totals["exception"]:
        sys.exit("there were exceptions that are not ours")


if __name__ == "__main__":
    main()

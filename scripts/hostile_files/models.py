"""Cases of models: a small well-formed one, changed by one of the kinds, in a folder with traps."""

from __future__ import annotations

import os
import random
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import onnx
import openvino as ov

sys.path.append(str(Path(__file__).parents[2] / "tests"))
sys.path.append(str(Path(__file__).parents[2] / "tests" / "models"))
from tiny import CASES, STEM, tiny
from tiny_detectors import CASES as DETECTORS
from tiny_transformers import Transformer

from hostile_files import ir_files, onnx_files
from hostile_files.traps import NO_FILES, plant, with_bad_bytes

NAMES = ("pool and linear", "residual, layer second", "squeeze and excite", "max pool, flatten, linear", "softmax inside")
ODD_FILES = "onnx: the file a link, a pipe, a folder"
KINDS = [*onnx_files.KINDS, ODD_FILES, *ir_files.KINDS]


def write_seeds(folder: Path) -> None:
    """Small models in both dialects, as they are."""
    if folder.exists():
        return
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    models = {name.replace(" ", "_").replace(",", ""): CASES[name].build("B", 17) for name in NAMES}
    models["one"] = CASES["pool and linear"].build(1, 17)
    models["transformer"] = Transformer().build(1)
    branches = "<then_branch = t () => (float[] t1) { t1 = Abs(f) }, else_branch = e () => (float[] t2) { t2 = Neg(f) }>"
    models["branches"] = tiny(
        STEM + f"m = ReduceMax<keepdims=0>(f) g = Greater(m, bar) x = If{branches}(g) "
        "p = GlobalAveragePool(x) v = Flatten(p) logits = Gemm<transB=1>(v, w, b)",
        **{**CASES["pool and linear"].weights, "bar": onnx.numpy_helper.to_array(onnx.helper.make_tensor("bar", 1, [], [0.5]))},
    )
    for name in ("one level", "separate heads", "best rows"):
        models[name.replace(" ", "_")] = DETECTORS[name]("B").model
    for name, model in models.items():
        onnx.save(model, part / f"{name}.onnx")
        ov.save_model(ov.Core().read_model(model.SerializeToString()), part / f"{name}.xml", compress_to_fp16=False)
    part.rename(folder)


@dataclass(frozen=True)
class Seed:
    """A well-formed model, as it stands in its file or files."""

    data: bytes
    weights: bytes


@cache
def _seeds(folder: Path, suffix: str) -> list[Seed]:
    return [
        Seed(path.read_bytes(), path.with_suffix(".bin").read_bytes() if suffix == ".xml" else b"")
        for path in sorted(folder.glob(f"*{suffix}"))
    ]


def make_model(kind: str, rng: random.Random, folder: Path, seeds: Path) -> Path:
    """The path of a changed model in a folder."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            return (_ir if kind.startswith("ir") else _onnx)(kind, rng, folder, seeds)
        except (ValueError, TypeError, IndexError, ArithmeticError, AssertionError, NotImplementedError):
            continue  # a change that the format cannot hold: the next one
    raise AssertionError(f"no file of the kind '{kind}' can be written")


def _onnx(kind: str, rng: random.Random, folder: Path, seeds: Path) -> Path:
    path, secret = folder / "model.onnx", Path(os.environ["HOSTILE_SECRET"])
    seed = rng.choice(_seeds(seeds, ".onnx"))
    places = plant(folder, secret)
    if kind == ODD_FILES:
        _odd_file(rng, path, seed.data)
        return path
    model = onnx.ModelProto.FromString(seed.data)
    changed = onnx_files.KINDS[kind](rng, model, places)
    data = changed if isinstance(changed, bytes) else (changed or model).SerializeToString()
    path.write_bytes(with_bad_bytes(data))
    return path


def _odd_file(rng: random.Random, path: Path, data: bytes) -> None:
    traps = ("link to the secret", "folder", "pipe", "link to itself", "link to zeros")
    choice = rng.choice([*traps, "a link beside it", "two names"])
    if choice in NO_FILES:
        NO_FILES[choice](path)
    elif choice == "a link beside it":
        path.with_name("other.onnx").write_bytes(data)
        path.symlink_to("other.onnx")
    else:
        path.with_name("other.onnx").write_bytes(data)
        os.link(path.with_name("other.onnx"), path)


def _ir(kind: str, rng: random.Random, folder: Path, seeds: Path) -> Path:
    path = folder / "model.xml"
    seed = rng.choice(_seeds(seeds, ".xml"))
    path.with_suffix(".bin").write_bytes(seed.weights)
    changed = ir_files.KINDS[kind](rng, seed.data.decode(), path)
    if changed is not None:
        path.write_bytes(with_bad_bytes(changed.encode() if isinstance(changed, str) else changed))
    return path

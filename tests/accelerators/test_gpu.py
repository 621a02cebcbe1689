"""`scripts/gpu.py` in a rehearsal: what it refuses, and that it sees what is wrong. No time is tested."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from tiny import CASES

CPU = "CPUExecutionProvider"
AZURE = "AzureExecutionProvider"  # runs no node of such a model, so that all fall to the CPU


@pytest.fixture(autouse=True)
def brief(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "MOST_SECONDS", 0.0)


def written(folder: Path, batch: int | str = "B", name: str = "tiny.onnx") -> Path:
    onnx.save(CASES["mlp head"].build(batch, 17), folder / name)
    return folder / name


def table(text: str) -> list[list[str]]:
    """The cells of each line of the first table below its heads."""
    lines = [line for line in text.split("\n\n", maxsplit=1)[0].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert {len(line) for line in cells} == {len(cells[0])}
    return cells[2:]


@pytest.mark.slow
def test_a_rehearsal_in_both_runtimes(gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = written(tmp_path, name="a|b\n`c`.onnx"), tmp_path / "gpu.md"
    options = ["--model", str(path), "--provider", CPU, "--device", "CPU", "--batch", "1", "2", "--precision", "f32"]
    assert gpu.main([*options, "--output", str(output)]) == 0
    text = capsys.readouterr().out
    assert output.read_text() == text.removesuffix("\n")
    assert "A rehearsal on the CPU: no GPU took part." in text
    lines = table(text)
    assert [line[:4] for line in lines] == [["a/b 'c'.onnx", place, "f32", b] for place in (CPU, "CPU") for b in "12"]
    assert {(line[4], line[7], line[12]) for line in lines} == {("same bits", "none", "right")}
    assert all(float(line[6]) <= 1e-4 and float(line[10]) > 0 for line in lines)
    assert {line[5] for line in lines} == {"OpenVINO's CPU, f32"}
    signals: list[int] = []  # which cores of OpenVINO that are not dropped in turn leave without a stack
    before = signal.signal(signal.SIGUSR1, lambda number, frame: signals.append(number))
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    assert signals == [signal.SIGUSR1]


def test_what_is_not_there_is_refused(
    gpu: ModuleType, places: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(places.onnxruntime, "get_available_providers", lambda: [CPU])
    assert gpu.main(["--provider", "CUDAExecutionProvider"]) == 2
    assert f"one of {CPU} is expected" in capsys.readouterr().err
    for device in ("GPU.7", "AUTO", "HETERO:GPU,CPU", "cpu\n"):
        assert gpu.main(["--device", device]) == 2
        assert "CPU" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "where is to be measured?"),
        (["--device", "CPU", "--batch", "0"], "a batch is at least 1"),
        (["--device", "CPU", "--minutes", "nan"], "a number above 0"),
        (["--device", "CPU", "--model", "none.onnx"], "there is no file none.onnx"),
        (["--provider", CPU, "--model", "none.xml"], "is no ONNX file"),
        (["--device", "CPU", "--output", "."], "folder"),
    ],
)
def test_mistakes_are_one_line(gpu: ModuleType, options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(options) == 2
    streams = capsys.readouterr()
    assert words in streams.err
    assert (streams.out, streams.err.count("\n")) == ("", 1)


@pytest.mark.slow
def test_a_provider_that_leaves_all_nodes_to_the_cpu_is_refused(
    gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if AZURE not in onnxruntime.get_available_providers():
        pytest.skip(f"this ONNX Runtime has no {AZURE}")
    assert gpu.main(["--model", str(written(tmp_path)), "--provider", AZURE, "--batch", "1", "--precision", "f32"]) == 2
    (line,) = table(capsys.readouterr().out)
    assert line[8:12] == ["", "", "", ""]
    assert f"refused: the model did not run on {AZURE}: " in line[12]
    assert f"100% of the nodes and of their time ran on {CPU} (" in line[12]


@pytest.mark.parametrize("place", [("--provider", CPU), ("--device", "CPU")])
@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_a_broken_file_is_refused(
    gpu: ModuleType, place: Sequence[str], precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x08\x08 no model at all " * 9)
    assert gpu.main(["--model", str(path), *place, "--batch", "1", "--precision", precision]) == 2
    streams = capsys.readouterr()
    assert ("refused" in streams.out) != (streams.err.startswith("gpu.py: "))


@pytest.mark.slow
def test_f16_is_told(gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--model", str(written(tmp_path)), "--provider", CPU, "--batch", "2", "--precision", "f16"]) == 0
    (line,) = table(capsys.readouterr().out)
    assert (line[2], line[12]) == ("f16", "told")
    assert float(line[6]) < 0.1


@pytest.mark.slow
def test_an_int8_file_is_not_converted(gpu: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[2] / "samples/models/efficientnet_lite0_int8.onnx"
    assert gpu.main(["--model", str(path), "--provider", CPU, "--batch", "2", "--precision", "f16"]) == 0
    assert table(capsys.readouterr().out)[0][12] == "left out: an INT8 file is not converted to f16"


def test_a_session_that_fell_back_is_refused(places: ModuleType) -> None:
    with pytest.raises(places.FellBack, match="fell back to CPUExecutionProvider: a driver or a library"):
        places.refuse_fallback("CUDAExecutionProvider", [CPU])
    places.refuse_fallback("CUDAExecutionProvider", ["CUDAExecutionProvider", CPU])


def test_a_device_that_stands_for_another_is_refused(places: ModuleType) -> None:
    with pytest.raises(places.FellBack, match="GPU was asked for, and OpenVINO runs the model on GPU.0, CPU"):
        places.refuse_devices("GPU", ["GPU.0", "CPU"])
    places.refuse_devices("GPU", ["GPU.0"])


def event(ts: int, dur: int, provider: str, operation: str) -> dict[str, Any]:
    args = {"provider": provider, "op_name": operation}
    return {"cat": "Node", "name": f"{operation}_1_kernel_time", "ts": ts, "dur": dur, "args": args}


def test_nodes_are_counted_where_they_ran(places: ModuleType) -> None:
    run = [{"cat": "Session", "name": "model_run", "ts": ts, "dur": 90} for ts in (0, 100)]
    profile = [*run, event(10, 50, CPU, "Conv"), event(110, 95, "CUDA", "Conv"), event(120, 5, CPU, "Shape")]
    placement = places.placement_of("CUDA", profile)
    assert placement.text() == "1 of 2, 5%"
    assert placement.operations == ["Shape"]
    placement.refuse("the model")
    with pytest.raises(places.FellBack, match=r"1 of 2, 95% of the nodes .* ran on CUDA \(Conv\); at most 10%"):
        places.placement_of(CPU, profile).refuse("the model")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("output", "change", "words"), [("saliency_map", 1e-3, "within 0.0001"), ("logits", 1e-6, "to the bit")]
)
def test_what_is_wrong_is_seen(
    places: ModuleType,
    rows: ModuleType,
    gpu: ModuleType,
    output: str,
    change: float,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    compiled = places.Provider.compile

    def broken(self: Any, model: Any, precision: str, inputs: Any) -> Any:
        ready = compiled(self, model, precision, inputs)
        run = ready.running.run

        def changed(inputs: Any) -> dict[str, np.ndarray]:
            outputs = run(inputs)
            return outputs if "saliency_map" not in outputs else outputs | {output: outputs[output] * (1 - change)}

        return replace(ready, running=replace(ready.running, run=changed))

    monkeypatch.setattr(places.Provider, "compile", broken)
    assert gpu.main(["--model", str(written(tmp_path)), "--provider", CPU, "--batch", "2", "--precision", "f32"]) == 1
    (line,) = table(capsys.readouterr().out)
    assert line[12].startswith("wrong: ")
    assert words in line[12]


@pytest.mark.slow
def test_fixed_batches_and_late_lines_are_left_out(gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model", str(written(tmp_path, batch=1)), "--device", "CPU", "--precision", "f32"]
    assert gpu.main([*options, "--batch", "8"]) == 0
    assert table(capsys.readouterr().out)[0][12] == "left out: the file has a fixed batch of 1"
    assert gpu.main([*options, "--minutes", "1e-9"]) == 0
    assert {line[12] for line in table(capsys.readouterr().out)} == {"left out: the time was up"}


@pytest.mark.parametrize(
    ("apart", "again", "maps", "is_exact", "verdict"),
    [
        (0, None, 0, True, "right"),
        (0, None, 2e-4, True, "wrong"),
        (0, None, 2e-4, False, "told"),
        (1e-7, 0.0, 0, True, "wrong"),
        (1e-7, 1e-7, 0, True, "told"),
        (1e-3, 1e-7, 0, True, "wrong"),
        (np.inf, None, 0, False, "wrong"),
        (0, None, np.inf, False, "wrong"),
    ],
)
def test_verdicts(rows: ModuleType, apart: float, again: float | None, maps: float, is_exact: bool, verdict: str) -> None:
    assert rows.verdict_of(apart, again, maps, is_exact=is_exact)["verdict"] == verdict


def test_boxes_are_compared_where_both_explain_the_same(rows: ModuleType) -> None:
    maps = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2) / 8
    ours = {"saliency_map": maps, "saliency_index": np.array([[3, 7]])}
    assert rows.map_difference(ours, {**ours, "saliency_map": maps + np.float32(0.25)}, "scores") == 0.25
    assert rows.map_difference(ours, {**ours, "saliency_index": np.array([[3, -1]])}, "scores") == 0
    assert rows.map_difference(ours, {**ours, "saliency_index": np.array([[7, 3]])}, "scores") == np.inf
    assert rows.map_difference({"saliency_map": maps * np.nan}, {"saliency_map": maps}, "saliency_map") == np.inf


def test_the_network_of_the_paper_has_its_size(resnet: ModuleType) -> None:
    parts = list(resnet.convolutions())
    norms = 2 * sum(outputs for _, _, outputs, _, _ in parts)  # torchvision counts 25,557,032 with batch norms
    assert sum(i * o * k * k for _, i, o, k, _ in parts) + norms + 2048 * 1000 + 1000 == 25_557_032


def test_torch_that_is_not_there_is_told(gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "weights", lambda: {"head.bias": np.zeros(1, np.float32)})
    onnx.save(
        onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["": 17]> g (float[1,3,224,224] image) => (float[1,3,224,224] y) { y = Relu(image) }'
        ),
        tmp_path / "resnet50.onnx",
    )
    assert "does not run" in gpu.torch_result(str(tmp_path / "none"), tmp_path, "0", 60.0)
    assert gpu.torch_result("python", tmp_path, "0", 5.0) == "the time was up"

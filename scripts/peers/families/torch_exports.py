"""What every exporter of torch makes of one network, of any inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import networks  # noqa: F401  it makes torchvision import where its binary part has no build
import torch

Export = tuple[str, str, Path, str | None]
EXPORTS = (("torchscript", "static"), ("dynamo", "dynamic"), ("openvino", "dynamic"), ("torchscript", "dynamic"))
LONGEST = 200  # characters of an exporter's complaint


@dataclass(frozen=True)
class Case:
    """A network, its inputs of one image, where the batch of each is, whether that is static or dynamic, and the file.

    Of ONNX there are the opset, which dynamo chooses, and the outputs' names.
    """

    network: torch.nn.Module
    inputs: dict[str, torch.Tensor]
    batches: dict[str, int]
    batch: str
    file: Path
    opset: int = 18
    outputs: tuple[str, ...] = ()  # their names; the exporter's own where there are none

    def example(self) -> tuple[torch.Tensor, ...]:
        """One image, or two where the batch is open."""
        if self.batch == "static":
            return tuple(self.inputs.values())
        return tuple(torch.cat([tensor, tensor.flip(-1)], self.batches[key]) for key, tensor in self.inputs.items())


def exports_of(
    network: torch.nn.Module,
    inputs: dict[str, torch.Tensor],
    folder: Path,
    name: str,
    exporters: list[str],
    *,
    exports: tuple[tuple[str, str], ...] = EXPORTS,
    opset: int = Case.opset,
    outputs: tuple[str, ...] = Case.outputs,
) -> Iterator[Export]:
    """Each export by some exporters of a network that is fed `inputs`, of one image, with the batch on axis 0."""
    network = prepared(network)
    for exporter, batch in (export for export in exports if export[0] in exporters):
        file = folder / f"{name}_{exporter}_{batch}{'.xml' if exporter == 'openvino' else '.onnx'}"
        case = Case(network, inputs, dict.fromkeys(inputs, 0), batch, file, opset, outputs)
        yield exporter, batch, file, failure(exporter, case)


def prepared(network: torch.nn.Module) -> torch.nn.Module:
    """The network as it is exported: for inference, with operations that exporters know, and no class the same as another."""
    warnings.filterwarnings("ignore")
    torch.backends.mha.set_fastpath_enabled(False)  # an operation that no exporter knows
    torch._dynamo.reset()
    for parameter in network.parameters():
        if parameter.abs().max() < 1e-3:  # what starts at zero would make every class the same
            torch.nn.init.normal_(parameter, std=0.02)
    return network.eval()


def failure(exporter: str, case: Case) -> str | None:
    """Why a network cannot be exported, None where it was."""
    try:
        with torch.no_grad():
            EXPORTERS[exporter](case)
    except Exception as error:  # exporters raise anything
        return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:LONGEST]
    return None


def by_torchscript(case: Case) -> None:
    open_axes = {key: {axis: "B"} for key, axis in case.batches.items()} if case.batch == "dynamic" else None
    names = {"input_names": list(case.inputs), "output_names": list(case.outputs) or None, "dynamic_axes": open_axes}
    torch.onnx.export(case.network, case.example(), str(case.file), dynamo=False, opset_version=case.opset, **names)


def by_dynamo(case: Case) -> None:
    shared = torch.export.Dim("batch")
    shapes = tuple({axis: shared} for axis in case.batches.values()) if case.batch == "dynamic" else None
    names = {"input_names": list(case.inputs), "output_names": list(case.outputs) or None, "dynamic_shapes": shapes}
    exported = torch.onnx.export(case.network, case.example(), dynamo=True, verbose=False, **names)
    exported.save(str(case.file), external_data=False)


def by_openvino(case: Case) -> None:
    import openvino as ov

    examples = case.example()
    shapes = [list(tensor.shape) for tensor in examples]
    for shape, axis in zip(shapes, case.batches.values(), strict=True):
        shape[axis] = -1 if case.batch == "dynamic" else shape[axis]
    ov.save_model(ov.convert_model(case.network, example_input=examples, input=shapes), str(case.file), compress_to_fp16=False)


EXPORTERS: dict[str, Callable[[Case], None]] = {"torchscript": by_torchscript, "dynamo": by_dynamo, "openvino": by_openvino}

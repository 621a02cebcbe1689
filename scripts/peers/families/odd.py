"""Small networks of which each has one thing that few classifiers have, by every exporter or as ONNX is written by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))  # those written by hand are tests, too

import odd_networks
import onnx
import torch

from families import odd_structures, odd_tokens
from families.torch_exports import Export, exports_of

EXPORTS = (("torchscript", "static"), ("dynamo", "dynamic"), ("openvino", "dynamic"))
FIXED = (("torchscript", "static"), ("openvino", "static"))  # where the scores have no batch
EXPORTERS = ("by hand", "torchscript", "openvino", "dynamo")
NAMES = (*odd_tokens.NETWORKS, *odd_structures.NETWORKS, *odd_structures.PRECISIONS, *odd_networks.NETWORKS)


def exports(name: str, folder: Path, exporters: list[str]) -> Iterator[Export]:
    if name in odd_networks.NETWORKS:
        if "by hand" in exporters:
            file = folder / f"{name}.onnx"
            onnx.save(odd_networks.network(name), file)
            yield "by hand", "its own", file, None
        return
    torch.manual_seed(0)
    kind = odd_structures.PRECISIONS.get(name, torch.float32)
    make, sizes = (
        (odd_tokens.NETWORKS[name], {})
        if name in odd_tokens.NETWORKS
        else odd_structures.NETWORKS.get(name, (odd_structures.Network, {}))
    )
    inputs = {key: torch.randn(size).to(kind) for key, size in (sizes or {"image": odd_structures.IMAGE}).items()}
    yield from exports_of(make().to(kind), inputs, folder, name, exporters, exports=FIXED if name == "no_batch" else EXPORTS)

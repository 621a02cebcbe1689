"""Names of a stranger's tensors in what export writes, read back by the schemas of Triton and MLServer."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import openvino_xai as xai
from openvino_xai.serve.export import export

SCHEMAS = Path(__file__).parents[1] / "peers" / "schemas.py"
PLAIN = "logits"
NAMES = (
    'x" data_type: TYPE_FP32 } ] version_policy { all {} } #',
    'x" } ] parameters { key: "EXECUTION_ENV_PATH" value { string_value: "/tmp/x" } } output [ { name: "y',
    '"} , "implementation": "os.system", "x": {"',
    'a\\"b\\n\\x1b[2J\\u2028',
    "it's `quoted` {{ templated }} ${HOME} $(id)",
    "größe 图 😀",
    "../../etc/passwd",
    "]]></script><script>alert(1)</script>",
    "n" * 2000,
)


def names_are_read_back(work: Path, python: Path, server: Any, **options: Any) -> dict[str, bool]:
    """Whether each name comes back, and nothing else is set in a configuration than for a plain name."""
    checks, plain = {}, renamed(read_back(work, python, server, PLAIN, **options), PLAIN)
    for number, name in enumerate(NAMES):
        configurations = renamed(read_back(work, python, server, name, **options), name)
        checks[f"names: {number}"] = configurations == plain and bool(plain)
    return checks


def renamed(configurations: dict[str, Any], name: str) -> dict[str, Any]:
    """The configurations with a plain name in place of a name; a protobuf's map has no order."""
    text = json.dumps(configurations).replace(json.dumps(name)[1:-1], PLAIN)
    plain = json.loads(text)
    for configuration in plain.values():
        configuration["maps"] = [sorted(pairs) for pairs in configuration["maps"]]
    return plain


def read_back(work: Path, python: Path, server: Any, name: str, **options: Any) -> dict[str, Any]:
    """What a schema reads of a model whose scores have that name."""
    folder = work / "names"
    shutil.rmtree(folder, ignore_errors=True)
    export(
        xai.insert(classifier(name)).save(work / "names_xai.onnx", force=True), folder, server=server, name="named", **options
    )
    done = subprocess.run([python, SCHEMAS, folder], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def classifier(scores: str) -> onnx.ModelProto:
    """A convolution, a mean and a linear layer, whose scores have a name."""
    rng = np.random.default_rng(0)
    weights = {"k": rng.normal(size=(4, 3, 3, 3)), "w": rng.normal(size=(5, 4))}
    nodes = [
        helper.make_node("Conv", ["image", "k"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["f"]),
        helper.make_node("GlobalAveragePool", ["f"], ["p"]),
        helper.make_node("Flatten", ["p"], ["v"]),
        helper.make_node("Gemm", ["v", "w"], [scores], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "named",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 3, 8, 8])],
        [helper.make_tensor_value_info(scores, TensorProto.FLOAT, ["B", 5])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)

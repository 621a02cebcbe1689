"""Names from a stranger's model in every format that export writes: each is read back as it was, and does nothing else."""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import onnx
import pytest
import yaml
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tiny import CASES

import openvino_xai as xai
from openvino_xai.dialects.open import open_model
from openvino_xai.errors import InputError, ModelError
from openvino_xai.serve.endpoint import Endpoint, Tensor
from openvino_xai.serve.export import export
from openvino_xai.serve.literals import code_block, code_span, yaml_string
from openvino_xai.serve.servers import kserve, mlserver, ovms, triton
from openvino_xai.serve.servers.model_config import model_config
from openvino_xai.serve.servers.readme import readme
from openvino_xai.serve.servers.server import Options

CASE = CASES["pool and linear"]
CANARY = "touched"
RUNS = f"__import__('pathlib').Path('{CANARY}').touch()"
ATTACKS = [
    f'x": np.zeros(1)}}, "x"); {RUNS}; ("',
    f"x', {RUNS}, '",
    f"{{{RUNS}}}",
    f"\\'; {RUNS} #",
    'x" } ] parameters { key: "EXECUTION_ENV_PATH" value { string_value: "/tmp/x.tar.gz" } } output [ { name: "y',
    'x" data_type: TYPE_FP32 } ] version_policy { all {} } #',
    'x"---"apiVersion: v1',
    "x: {y: 1} # &a *a !!python/object",
    "``` ` ```",
    "`",
    " ` ",
    "~~~",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "name, with, commas",
    "$(touch touched) `touch touched` ; touch touched",
    "{service}{0}%s",
    " spaces at either end ",
    "größe 图 😀",
    "\\",
    "\\n\\x00\\u2028",
    '"',
    "'",
    "saliency",
    "a/b:0",
]
printable = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1).filter(str.isprintable)


def endpoint(image: str, scores: str) -> Endpoint:
    shape = (-1, 5)
    outputs = (Tensor(scores, np.dtype(np.float32), shape), Tensor("saliency_map", np.dtype(np.float32), (*shape, 6, 8)))
    inputs = (Tensor(image, np.dtype(np.float32), (-1, 3, 6, 8)),)
    return Endpoint(
        "cells", ".onnx", inputs, outputs, {"image": image, "verified": "onnxruntime"}, "onnxruntime", "onnxruntime"
    )


def clients(chosen: Endpoint, folder: Path) -> list[str]:
    mlserver.write_mlserver(folder, chosen, MagicMock(), Options(backend="python"))
    (written,) = (token.content for token in MarkdownIt().parse((folder / "README.md").read_text()) if token.info == "python")
    return [
        written,
        triton.client(chosen),
        triton.client(chosen, legacy=True),
        ovms.client(chosen),
        kserve.client(chosen, "python"),
        kserve.client(chosen, "onnxruntime"),
    ]


def shape_of(code: str) -> tuple[str, list[object]]:
    """The tree of a program without its constants, and these."""
    tree, constants = ast.parse(code), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            constants.append(node.value)
            node.value, node.kind = None, None
    return ast.dump(tree), constants


def hold(image: str, scores: str, folder: Path) -> None:
    """Every format gives both names back, and is otherwise what it is for names that are plain."""
    ordinary_scores = "softmax" if scores > "saliency_map" else "logits"  # which is warned of, or not
    hostile, plain = endpoint(image, scores), endpoint("image", ordinary_scores)
    back = {"image": image, ordinary_scores: scores}
    for code, ordinary in zip(clients(hostile, folder / "h"), clients(plain, folder / "p"), strict=True):
        (tree, constants), (ordinary_tree, ordinary_constants) = shape_of(code), shape_of(ordinary)
        assert tree == ordinary_tree
        assert constants == [back.get(value, value) if isinstance(value, str) else value for value in ordinary_constants]
        page = MarkdownIt().parse(readme(hostile, start="", client=code))
        expected = MarkdownIt().parse(readme(plain, start="", client=ordinary))
        assert [token.type for token in page] == [token.type for token in expected]
        assert [token.content for token in page if token.info == "python"] == [code]
        spans = [child.content for token in page for child in token.children or () if child.type == "code_inline"]
        assert spans[:2] == [scores, "saliency_map"]
        inline = [[child.type for child in token.children or ()] for token in page]
        assert inline == [[child.type for child in token.children or ()] for token in expected]
        assert not {"html_inline", "html_block", "link_open", "image"} & {kind for kinds in inline for kind in kinds}
    deployed = MagicMock()
    triton.write_triton(folder / "t", hostile, deployed, Options(backend="python", legacy=True))
    for name, outputs in (("cells_core", 2), ("cells", 1), ("cells_xai", 2)):
        message = text_format.Parse((folder / "t" / name / "config.pbtxt").read_text(encoding="utf-8"), model_config()())
        assert [field.name for field in message.input] == [image]
        assert [field.name for field in message.output] == [scores, "saliency_map"][:outputs]
        assert {parameter.key for parameter in message.parameters} == ({"precision"} if name == "cells_core" else set())
    for backend in ("onnxruntime", "python"):
        kserve.write_kserve(folder / backend, hostile, deployed, Options(backend=backend))
        for path in (folder / backend).glob("*service*.yaml"):
            (document,) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
            assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
            assert json.loads(document["metadata"]["annotations"]["ovxai/outputs"]) == [scores, "saliency_map"]
    mlserver.write_mlserver(folder / "m", hostile, deployed, Options(backend="python"))
    documents = yaml.safe_load_all((folder / "m" / "seldon.yaml").read_text(encoding="utf-8"))
    assert [document["kind"] for document in documents] == ["Server", "Model"]
    described = json.loads((folder / "m" / "cells" / "model-settings.json").read_text(encoding="utf-8"))
    assert [item["name"] for item in described["inputs"] + described["outputs"]] == [image, scores, "saliency_map"]
    hook = json.loads((folder / "m" / "cells" / "hook.json").read_text(encoding="utf-8"))
    assert hook == {"added": ["saliency_map"], "gate": None}


@pytest.mark.parametrize("name", ATTACKS)
def test_names_are_read_back(name: str, tmp_path: Path) -> None:
    hold(name, f"{name} too", tmp_path)
    hold("image", name, tmp_path / "again")


@given(printable, printable)
@settings(max_examples=60, deadline=None)
@pytest.mark.slow
def test_any_printed_names_are_read_back(tmp_path_factory: pytest.TempPathFactory, image: str, scores: str) -> None:
    if len({image, scores, "saliency_map", "saliency_class", "image", "logits", "softmax"}) == 7:
        hold(image, scores, tmp_path_factory.mktemp("names"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_literals(text: str) -> None:
    assert yaml.safe_load(yaml_string(text)) == text
    if text.isprintable() and text.strip():
        (token,) = MarkdownIt().parse(code_span(text))[1].children or []
        assert token.type == "code_inline" and token.content == text
    (block,) = MarkdownIt().parse(code_block("`" * (len(text) % 7) + "\n" + repr(text), "python"))
    assert block.content == "`" * (len(text) % 7) + "\n" + repr(text) + "\n"


@pytest.mark.parametrize("server", ["triton", "ovms", "kserve", "mlserver"])
@pytest.mark.parametrize("name", ATTACKS[:4])
def test_the_readmes_client_runs_nothing_but_itself(
    server: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export(hooked(tmp_path, image=name), "repo", server=server)
    (code,) = (token.content for token in MarkdownIt().parse(Path("repo/README.md").read_text()) if token.info == "python")
    package, client = ModuleType("tritonclient"), MagicMock()
    package.utils = MagicMock(np_to_triton_dtype=lambda dtype: "FP32")  # type: ignore[attr-defined]
    package.http = package.grpc = client  # type: ignore[attr-defined]
    modules = {"": package, ".http": client, ".grpc": client, ".utils": package.utils}  # type: ignore[attr-defined]
    for suffix, module in modules.items():
        monkeypatch.setitem(sys.modules, f"tritonclient{suffix}", module)
    exec(compile(code, "client", "exec"), {})
    assert client.InferInput.call_args.args == (name, [1, 3, 6, 8], "FP32")
    assert not Path(CANARY).exists()


def hooked(folder: Path, image: str = "image", scores: str = "logits") -> Path:
    """A hooked model in a folder, with other names of its input and output."""
    path = folder / "cells_xai.onnx"
    path.write_bytes(hooked_bytes(image, scores))
    return path


@cache
def hooked_bytes(image: str, scores: str) -> bytes:
    model = CASE.build("B", 17)
    names = {model.graph.input[0].name: image, model.graph.output[0].name: scores}
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return bytes(xai.insert(model, layer="f", runtime="both").model.SerializeToString())


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ATTACKS[:4], "</script><script>", "</title> <!--"])
def test_a_page_is_told_names_as_json(name: str, tmp_path: Path) -> None:
    export(hooked(tmp_path, image=name, scores=f"{name}scores"), tmp_path / "site", server="web")
    text = (tmp_path / "site" / "facts.js").read_text(encoding="ascii")
    facts = json.loads(text.partition("const data = ")[2].removesuffix(";\n"))
    assert (facts["image"]["name"], facts["scores"]["name"]) == (name, f"{name}scores")
    others = [path for path in (tmp_path / "site").iterdir() if path.suffix in (".html", ".js", ".md") and path.stem != "facts"]
    assert others and not any(name in path.read_text(encoding="utf-8") for path in others)


@pytest.mark.parametrize("server", ["triton", "mlserver", "fastapi"])
def test_scores_that_have_the_name_of_a_hooks_output(server: Any, tmp_path: Path) -> None:
    model = onnx.load(hooked(tmp_path))
    model.graph.output[0].name = "saliency_class"
    for node in model.graph.node:
        node.output[:] = ["saliency_class" if name == "logits" else name for name in node.output]
        node.input[:] = ["saliency_class" if name == "logits" else name for name in node.input]
    props = {entry.key: entry.value.replace("logits", "saliency_class") for entry in model.metadata_props}
    onnx.helper.set_model_props(model, props)
    onnx.save(model, tmp_path / "cells_xai.onnx")
    with pytest.raises(ModelError, match="no output beside those that a hook adds|the model has 'saliency_class' already"):
        export(tmp_path / "cells_xai.onnx", tmp_path / "repo", server=server)
    assert not (tmp_path / "repo").exists()


def test_names_that_no_server_carries_are_refused(tmp_path: Path) -> None:
    model = hooked(tmp_path)
    deployed = open_model(model)
    for name in ("", "a\nb", "a\0b", "a\x1b[2Jb", "a\x7f", "a\u2028b", "a\u202eb", "a\x85"):
        graph = deployed.graph
        hostile = MagicMock(graph=replace(graph, outputs={name: next(iter(graph.outputs.values()))}))
        with pytest.raises(ModelError, match="empty name|characters that are not printed") as refused:
            Endpoint.of(hostile, "cells")
        assert refused.value.node == name and str(refused.value).isprintable()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../up",
        "a..b",
        "a.",
        ".a",
        "a/b",
        "a\\b",
        "a b",
        "a\n",
        "a\0",
        "-a",
        "_a",
        "x" * 256,
        "ä",
        "a;b",
        "$(a)",
        "config.json",
        "README.md",
        "Models",
        "ovxai-manifest.json",
    ],
)
@pytest.mark.parametrize("server", ["triton", "ovms", "kserve", "mlserver", "web"])
def test_names_of_endpoints_that_are_refused(name: str, server: Any, tmp_path: Path) -> None:
    model = hooked(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError, match="choose another name|text that is not empty"):
        export(model, tmp_path / "new" / "repo", server=server, name=name)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("stem", ["a\nb", "a b", "a`b", '"; rm -rf ~; "', "ü", "a" * 201, "models"])
def test_file_names_that_name_no_endpoint(stem: str, tmp_path: Path) -> None:
    hooked(tmp_path).rename(tmp_path / f"{stem}_xai.onnx")
    with pytest.raises(InputError, match="choose another name"):
        export(tmp_path / f"{stem}_xai.onnx", tmp_path / "repo", server="triton")
    assert export(tmp_path / f"{stem}_xai.onnx", tmp_path / "repo", server="triton", name="cells").name == "cells"


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("My_Cells.v2", "my-cells-v2"),
        ("x" * 53, "x" * 53),
        ("x" * 54, None),
        ("2cells", None),
        ("cells_", None),
        ("cells-", None),
    ],
)
def test_kubernetes_names(name: str, service: str | None) -> None:
    if service is None:
        with pytest.raises(InputError, match=f"'{name}' gives the service '.*', which Kubernetes does not take"):
            kserve.service_name(name)
    else:
        assert kserve.service_name(name) == service


def test_types_that_no_server_has_are_refused(tmp_path: Path) -> None:
    model = onnx.load(hooked(tmp_path))
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.BFLOAT16
    with pytest.raises(ModelError, match="'logits' is bfloat16, which servers have no type for"):
        Endpoint.of(open_model(model), "cells")

"""A hook of several heads, run: each head as a network of its own, and all of them by one inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
from models.two_heads import HEADS, shared
from tiny import DIALECTS, images, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError, ModelError
from openvino_xai.explanation import HeadsExplanation
from openvino_xai.serve.export import export

pytestmark = pytest.mark.slow

PHOTO = np.random.default_rng(8).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def labelled(model: onnx.ModelProto, *labels: str) -> onnx.ModelProto:
    model.metadata_props.add(key="model_info labels", value=" ".join(labels))
    return model


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("targets", ["all", "top:2", "asked"])
def test_all_heads_explain_as_each_alone(targets: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = in_dialect(shared(), dialect)
    heads = xai.load_heads(xai.insert(model, scores=list(HEADS), targets=targets))
    assert [(name, network.classes) for name, network in heads.items()] == list(HEADS.items())
    explanation = heads.explain(PHOTO)
    for name in HEADS:
        alone = xai.load(xai.insert(model, scores=name, targets=targets)).explain(PHOTO)
        chosen = xai.load(xai.insert(model, scores=list(HEADS), targets=targets), scores=name).explain(PHOTO)
        for other in (explanation.heads[name], chosen):
            assert [target.id for target in other.targets] == [target.id for target in alone.targets]
            np.testing.assert_allclose(other.maps, alone.maps, atol=1e-4)
            assert other.record["scores"] == name


def test_one_inference_explains_all_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = xai.load_heads(xai.insert(shared(), scores=list(HEADS)))
    runs: list[Any] = []
    for network in heads.values():
        real = network.outputs
        monkeypatch.setattr(network, "outputs", lambda sample, real=real: runs.append(sample) or real(sample))
    heads.explain(PHOTO)
    assert len(runs) == 1


def test_labels_with_commas_between_are_of_that_head_too() -> None:
    heads = xai.load_heads(
        xai.insert(labelled(shared(), "dark red,pale red,dark blue,pale blue,light grey"), scores=list(HEADS))
    )
    assert heads["color"].labels == ["dark red", "pale red", "dark blue", "pale blue", "light grey"]
    assert heads["shape"].labels == []


def test_labels_are_of_the_head_that_has_as_many_classes(tmp_path: Path) -> None:
    hooked = xai.insert(labelled(shared(), *"abcde"), scores=list(HEADS))
    heads = xai.load_heads(hooked)
    assert (heads["color"].labels, heads["shape"].labels) == (list("abcde"), [])
    assert xai.load(hooked, scores="shape").labels == []
    heads.configure(labels=["round", "square", "long"])
    assert heads["shape"].labels == ["round", "square", "long"]
    assert heads["color"].labels == list("abcde")
    with pytest.raises(InputError, match="4 labels are told, and none of the heads have as many classes .'color' 5, 'shape' 3"):
        heads.configure(labels=list("wxyz"))


def test_a_head_of_a_model_without_a_hook_has_no_labels_of_another() -> None:
    network = xai.probe(labelled(shared(), *"abcde"), "rise", scores="shape")
    network.configure()
    assert network.labels == []


def test_a_class_that_one_head_has_not_is_refused_by_the_head() -> None:
    heads = xai.load_heads(xai.insert(shared(), scores=list(HEADS)))
    with pytest.raises(InputError, match="head 'shape': class 4 is not there"):
        heads.explain(PHOTO, targets="4")


def test_a_head_has_to_be_named() -> None:
    hooked = xai.insert(shared(), scores=list(HEADS))
    with pytest.raises(ModelError, match="explains 'color', 'shape': name one"):
        xai.load(hooked)
    with pytest.raises(ModelError, match="explains 'color', 'shape': 'logits' is not among them"):
        xai.load(hooked, scores="logits")
    with pytest.raises(ModelError, match="no hook of several heads"):
        xai.load_heads(xai.insert(shared(), scores="color"))


def test_a_call_returns_what_the_file_does() -> None:
    network = xai.load(xai.insert(shared(), scores=list(HEADS), targets="asked"), scores="shape")
    outputs = network(images(shared(), 2), classes=np.array([2, 0]))
    assert outputs["saliency_map"].shape == (2, 1, 6, 8)
    np.testing.assert_array_equal(outputs["saliency_map"], outputs["saliency_map_shape"])


def test_files_are_named_by_head(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(cv2.imencode(".png", PHOTO)[1].tobytes())
    explanation = xai.load_heads(xai.insert(shared(), scores=list(HEADS))).explain(tmp_path / "p.png")
    assert isinstance(explanation, HeadsExplanation)
    files = explanation.save(tmp_path / "out")
    line = explanation.to_dict(files)
    assert [head["scores"] for head in line["heads"]] == list(HEADS)
    names = [Path(target["overlay"]).name for head in line["heads"] for target in head["targets"]]
    assert [name.split("_")[1] for name in names] == list(HEADS)
    pictures = {path.name for path in (tmp_path / "out").iterdir() if path.suffix != ".npz"}
    assert pictures == {f"p{ending}" for ending in explanation.file_endings()}
    assert explanation.grid().ndim == 3


def test_wrapped_models_explain_a_head(tmp_path: Path) -> None:
    hooked = xai.insert(shared(), scores=list(HEADS))
    session = onnxruntime.InferenceSession(hooked.model.SerializeToString())
    wrapped = xai.wrap(session, scores="shape")
    assert wrapped.saliency == "saliency_map_shape"
    assert wrapped.explain(PHOTO).record["scores"] == "shape"
    with pytest.raises(ModelError, match="name one"):
        xai.wrap(session)
    path = xai.insert(in_dialect(shared(), "openvino"), scores=list(HEADS)).save(tmp_path / "m.xml")
    compiled = ov.Core().compile_model(path, "CPU")
    wrapped = xai.wrap(compiled, model=path, scores="color")
    results = wrapped(images(shared(), 1))
    assert results[wrapped.saliency].shape == (1, 5, 6, 8)
    with pytest.raises(InputError, match="'saliency_map_color' has the maps of one of several heads"):
        xai.wrap(compiled, scores="color")


def test_an_export_serves_all_heads(tmp_path: Path) -> None:
    path = xai.insert(in_dialect(shared(), "openvino"), scores=list(HEADS)).save(tmp_path / "m_xai.xml")
    endpoint = export(path, tmp_path / "served", server="triton")
    assert [tensor.name for tensor in endpoint.original] == list(HEADS)
    assert endpoint.maps == ["saliency_map_color", "saliency_map_shape"]
    assert endpoint.grows_by == (5 + 3) * 48 * 4
    assert "saliency_map_shape" in (tmp_path / "served" / "README.md").read_text()
    hook = xai.insert(in_dialect(shared(), "openvino"), scores=list(HEADS), targets="asked").save(tmp_path / "a_xai.xml")
    with pytest.raises(InputError, match="wants to be told a class"):
        export(hook, tmp_path / "other", server="triton")

"""What people take for a model that can be read here, and what to do with it."""

from __future__ import annotations

from pathlib import Path

from openvino_xai.errors import InputError
from openvino_xai.files.paths import exists, is_file, is_folder
from openvino_xai.files.reading import open_regular

TORCH = "weights of PyTorch: build the network in Python and save it by torch.onnx.export, or by openvino.convert_model"
KERAS = "a Keras model: export it as a SavedModel (model.export) and convert that by `ovc`, or by tf2onnx"
TENSORRT = "an engine that TensorRT built for one GPU, which nothing else reads: take the .onnx that it was built from"
CORE_ML = "a Core ML model, which runs on Apple's systems alone: export the network that it was made from to ONNX"
PADDLE = "weights of PaddlePaddle: give the .pdmodel beside it"

FOREIGN = {
    ".pt": TORCH,
    ".pth": TORCH,
    ".ckpt": TORCH,
    ".safetensors": TORCH,
    ".pt2": "a program of torch.export: convert it in Python by openvino.convert_model, or save it as ONNX",
    ".h5": KERAS,
    ".hdf5": KERAS,
    ".keras": KERAS,
    ".engine": TENSORRT,
    ".trt": TENSORRT,
    ".plan": TENSORRT,
    ".mlmodel": CORE_ML,
    ".mlpackage": CORE_ML,
    ".pdiparams": PADDLE,
    ".caffemodel": "weights of Caffe: convert the network to ONNX or OpenVINO IR",
    ".param": "a network of ncnn: take the model that it was converted from",
    ".blob": "compiled for one device: take the .xml that it was made from",
    ".gguf": "weights of a language model, which looks at no photos",
    ".zip": "an archive: unpack it and give the model in it",
    ".gz": "packed: unpack it and give the model in it",
    ".tar": "an archive: unpack it and give the model in it",
}
LFS = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype html", b"<html")
HEAD = 512  # bytes of a file that are looked at


def foreign(path: Path) -> str | None:
    """What a path is that leads to no model which is read here, and what to do; None where its name tells nothing."""
    if is_folder(path):
        return _folder(path)
    if path.suffix.lower() == ".bin":
        beside = path.with_suffix(".xml")
        place = f"give {beside}" if is_file(beside) else f"{beside.name} is expected beside it, and given as the model"
        return f"the weights of a model: {place}"
    return FOREIGN.get(path.suffix.lower())


def _folder(path: Path) -> str:
    if path.suffix.lower() in FOREIGN:  # as .mlpackage
        return FOREIGN[path.suffix.lower()]
    if exists(path / "saved_model.pb"):
        return "a SavedModel of TensorFlow: convert it by `ovc`, which comes with OpenVINO, and give the .xml"
    try:
        models = sorted(entry for entry in path.iterdir() if entry.suffix in (".xml", ".onnx"))
    except OSError:
        models = []
    return (
        f"a folder: give the model in it, as {models[0]}"
        if models
        else "a folder, and holds no .xml and no .onnx: give a model"
    )


def refuse_fetched_wrongly(path: Path) -> None:
    """Raise InputError for a file that is not what its name says: a page, a pointer of Git LFS, or nothing at all."""
    head = refuse_pointer(path)
    if not head:
        raise InputError(f"{path} is empty: fetch the model again")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(PAGES):
        raise InputError(f"{path} is a web page that was saved as a model: fetch the file itself")


def refuse_pointer(path: Path) -> bytes:
    """The first bytes of a file. Raises InputError where they are a pointer of Git LFS."""
    with open_regular(path) as file:
        head = file.read(HEAD)
    if head.startswith(LFS):
        raise InputError(f"{path} is a pointer of Git LFS, and not the file itself: `git lfs pull` fetches it")
    return head

"""In Ultralytics' environment: a detector from a YAML with seeded weights, as ONNX, and its maps in torch.

`ultralytics_maps.py FOLDER NAME CONFIGURATION [end2end] [masks]` writes FOLDER/NAME.onnx, as Ultralytics exports it, and
FOLDER/NAME.npz. That holds `image`; of the N rows that Ultralytics explains, the best first, `rows`, `labels`, `levels` and
`logits`; and

- `ultralytics` [H, W], u8: the map of the image that its `class_activation_map` draws, the largest of these rows'; and
  `ultralytics_apart`, where the inputs of the heads are leaves;
- `odam_heads_L` [N, h, w], of the probability, at the input of head L, and `odam_backbone` [N, H, W], over all last layers
  before levels mix, on the finest one's cells;
- with `masks`, `few`, which n of the N rows have `heads_MASK_L` and `backbone_MASK_KERNEL` [n, h, w]: their logits where one
  cell is kept or dropped, of the input of head L or of the image in all last layers; each mask is run by itself.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

os.environ["YOLO_AUTOINSTALL"] = "false"  # it would install what it lacks

import numpy as np
import torch

SIDE = 160  # pixels of an image
EACH = 2  # rows of a level that are run with masks
STRIDES = (8, 16, 32)
AT_ONCE = 25  # masks in a run
SIGMA = 1.5  # cells of a Gaussian mask


def main(folder: str, name: str, configuration: str, *options: str) -> None:
    define_suppression()
    from ultralytics import YOLO

    torch.manual_seed(0)
    yolo = YOLO(configuration, verbose=False)
    model = yolo.model.float().eval()
    model.model[-1].end2end = "end2end" in options
    image = blobs(0)
    spread(model, image)
    rows = best_rows(model, image)
    arrays = {"image": image.numpy(), "ultralytics": drawn(model, image, Path(folder, f"{name}_drawn"))}
    with leaves_at_the_heads(model):
        arrays["ultralytics_apart"] = drawn(model, image, Path(folder, f"{name}_drawn"))
    maps = odam(model, image, rows)
    if "masks" in options:
        few = torch.tensor([n for level in rows["levels"].unique() for n in (rows["levels"] == level).nonzero()[:EACH, 0]])
        maps |= {"few": few, **masked(model, image, rows["rows"][few], rows["labels"][few])}
    arrays |= {key: value.numpy() for key, value in (rows | maps).items()}
    exported(yolo, Path(folder, f"{name}.onnx"))
    np.savez(Path(folder, f"{name}.npz"), **arrays)


def define_suppression() -> None:
    """Torchvision is imported by Ultralytics, and does not import where its operators were not built for this torch."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor a, Tensor b, float c) -> Tensor")


def blobs(seed: int) -> torch.Tensor:
    """An image [1, 3, SIDE, SIDE] in [0, 1], of noise of several sizes."""
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.rand(1, 3, side, side, generator=generator) for side in (5, 10, 40, SIDE)]
    return sum(torch.nn.functional.interpolate(each, size=(SIDE, SIDE), mode="bilinear") for each in noise) / len(noise)


def spread(model: Any, image: torch.Tensor) -> None:
    """Give batch norms the statistics of images, and class layers logits of mean -2 and deviation 2, as trained ones have."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for seed in range(4):
            model(blobs(seed))
    model.eval()
    head = model.model[-1]
    for layer in (branch[-1] for branch in (head.one2one_cv3 if head.end2end else head.cv3)):
        with captured([layer]) as values, torch.no_grad():
            model(image)
            (logits,) = values.values()
            layer.weight *= 2 / logits.std()
            layer.bias.zero_()
        with captured([layer]) as values, torch.no_grad():
            model(image)
            layer.bias.fill_(-2 - float(values[layer].mean()))


@contextmanager
def captured(
    modules: Sequence[Any], change: Callable[[Any, torch.Tensor], torch.Tensor] | None = None
) -> Iterator[dict[Any, Any]]:
    """What modules return, where `change` may put something else in its place."""
    values: dict[Any, Any] = {}

    def hook(module: Any, _: Any, output: torch.Tensor) -> torch.Tensor | None:
        values[module] = output if change is None else change(module, output)
        return values[module] if change is not None else None

    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()


def logits_of(model: Any, image: torch.Tensor) -> torch.Tensor:
    """[B, C, A]: the logits of the branch that the model returns."""
    head = model.model[-1]
    head.shape = None  # it keeps the anchors of the last size
    raw = model(image)[1]
    return raw.get("one2one" if head.end2end else "one2many", raw)["scores"]


def best_rows(model: Any, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """The rows that Ultralytics explains: with a probability of .25 or the best one, at most 16, by their best class."""
    with torch.no_grad():
        best, label = logits_of(model, image)[0].max(dim=0)
    order = [row for row in best.argsort(descending=True)[:16] if best[row].sigmoid() >= 0.25] or [best.argmax()]
    rows = torch.stack(order)
    ends = torch.tensor([(SIDE // stride) ** 2 for stride in STRIDES]).cumsum(0)
    return {"rows": rows, "labels": label[rows], "logits": best[rows], "levels": torch.bucketize(rows, ends, right=True)}


def drawn(model: Any, image: torch.Tensor, folder: Path) -> np.ndarray:
    """[H, W], u8: the map that Ultralytics lays over the image, before it has colours."""
    import cv2
    from ultralytics.utils import plotting

    class Backend:
        """What Ultralytics wraps a model of torch with, as far as it is asked here."""

        def __init__(self) -> None:
            self.model = model

        def __call__(self, images: torch.Tensor) -> Any:
            return model(images)

    grays: list[np.ndarray] = []
    colours = cv2.applyColorMap

    def noted(gray: np.ndarray, colormap: int) -> np.ndarray:
        grays.append(gray.copy())
        return colours(gray, colormap)

    model.requires_grad_(requires_grad=False)
    cv2.applyColorMap = noted
    try:
        plotting.class_activation_map(Backend(), image, ["image.png"], folder)
    finally:
        cv2.applyColorMap = colours
        shutil.rmtree(folder, ignore_errors=True)
    return grays[0]


@contextmanager
def leaves_at_the_heads(model: Any) -> Iterator[None]:
    """Hold levels apart: a row's gradient by a level is by what its head reads, and not by what coarser levels are made of."""
    handle = model.model[-1].register_forward_pre_hook(
        lambda _, inputs: ([value.detach().requires_grad_() for value in inputs[0]], *inputs[1:])
    )
    try:
        yield
    finally:
        handle.remove()


def cuts(model: Any) -> dict[str, list[Any]]:
    """The layers that the heads read, and the last of each stride in the backbone."""
    layers, length = model.model, len(model.yaml["backbone"])
    sources = {index for layer in layers[length:] for index in ([layer.f] if isinstance(layer.f, int) else layer.f)}
    backbone = sorted({index for index in sources if 0 <= index < length} | {length - 1})
    return {"heads": [layers[index] for index in layers[-1].f], "backbone": [layers[index] for index in backbone]}


def odam(model: Any, image: torch.Tensor, rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """ODAM of each row's probability: the ReLU of the sum over channels of features times their gradient.

    Layers are leaves, so that the gradient of one is not that of those behind it, too.
    """
    maps: dict[str, torch.Tensor] = {}
    for cut, layers in cuts(model).items():
        with captured(layers, lambda _, output: output.detach().requires_grad_()) as values:
            p = logits_of(model, image)[0].sigmoid()
        features = [values[layer] for layer in layers]
        products = []
        for row, label in zip(rows["rows"], rows["labels"], strict=True):
            slopes = torch.autograd.grad(p[label, row], features, retain_graph=True, allow_unused=True)
            pairs = zip(features, slopes, strict=True)
            products.append([torch.zeros(a.shape[2:]) if g is None else (a * g)[0].sum(0) for a, g in pairs])
        if cut == "heads":
            maps |= {f"odam_heads_{level}": torch.stack(some).relu() for level, some in enumerate(zip(*products, strict=True))}
        else:
            size = features[0].shape[2:]
            finest = [
                torch.nn.functional.interpolate(torch.stack(some)[None], size=size)[0] for some in zip(*products, strict=True)
            ]
            maps["odam_backbone"] = sum(finest).relu()
    return {name: value.detach() for name, value in maps.items()}


def masked(model: Any, image: torch.Tensor, rows: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """The logits of rows and their labels [n] under every mask: of a level's own cells, and of image cells at all layers."""
    read = partial(run_masked, model, image, (rows, labels))
    layers, results = cuts(model), {}
    side = SIDE // max(STRIDES)
    at_backbone = list(zip(layers["backbone"], STRIDES, strict=True))
    for kernel in ("cell", "gaussian"):
        keep = {layer: image_cells(side, SIDE // stride, kernel) for layer, stride in at_backbone}
        for mask in ("keep", "drop"):
            results[f"backbone_{mask}_{kernel}"] = read(keep, mask).reshape(-1, side, side)
    for level, (layer, stride) in enumerate(zip(layers["heads"], STRIDES, strict=True)):
        side = SIDE // stride
        for mask in ("keep", "drop"):
            keep = {layer: torch.eye(side * side).reshape(-1, side, side)}
            results[f"heads_{mask}_{level}"] = read(keep, mask).reshape(-1, side, side)
    return results


def image_cells(masks: int, cells: int, kernel: str) -> torch.Tensor:
    """[masks^2, cells, cells]: what each mask keeps of a layer, by the distance of a cell's middle from that of the mask's."""
    where = (torch.arange(cells) + 0.5) * masks / cells
    away = where - torch.arange(masks)[:, None] - 0.5
    along = torch.exp(-(away**2) / (2 * SIGMA**2)) if kernel == "gaussian" else (away.abs() < 0.5).float()
    return torch.einsum("ah,bw->abhw", along, along).reshape(masks * masks, cells, cells)


def run_masked(
    model: Any, image: torch.Tensor, rows: tuple[torch.Tensor, torch.Tensor], keep: dict[Any, torch.Tensor], mask: str
) -> torch.Tensor:
    """[n, masks]: the logits of rows, with their labels, where layers are multiplied with masks, or with what these leave.

    Each layer holds what it does of the image, and not what it would make of a layer ahead that is masked.
    """
    with captured(list(keep)) as plain, torch.no_grad():
        model(image)
    (count,) = {len(masks) for masks in keep.values()}
    parts = []
    for start in range(0, count, AT_ONCE):
        some = {layer: masks[start : start + AT_ONCE, None] for layer, masks in keep.items()}
        weights = {layer: masks if mask == "keep" else 1 - masks for layer, masks in some.items()}
        copies = image.repeat(min(AT_ONCE, count - start), 1, 1, 1)
        with captured(list(keep), lambda layer, _, weights=weights: plain[layer] * weights[layer]), torch.no_grad():
            parts.append(logits_of(model, copies)[:, rows[1], rows[0]])
    return torch.cat(parts).T


def exported(yolo: Any, path: Path) -> None:
    """Write ONNX by Ultralytics' own exporter."""
    yolo.ckpt_path = yolo.model.pt_path = str(path.with_suffix(".pt"))
    end_to_end = bool(yolo.model.model[-1].end2end)
    file = yolo.export(format="onnx", imgsz=SIDE, opset=17, device="cpu", verbose=False, end2end=end_to_end)
    if Path(file) != path:
        shutil.move(file, path)


if __name__ == "__main__":
    main(*sys.argv[1:])

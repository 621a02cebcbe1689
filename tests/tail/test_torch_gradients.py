"""Derivatives agree with torch's autograd, and maps with the package grad-cam, for real architectures.

These tests are skipped where torch is not installed.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import onnx
import pytest
from autograd import autograd
from tails import CASES, by_numpy
from tiny import DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.contract import GRADIENT
from openvino_xai.dialects.open import open_model
from openvino_xai.graph.sizes import concrete
from openvino_xai.locate.located import Located, Where
from openvino_xai.plan.decision import decide
from openvino_xai.plan.emit import emit
from openvino_xai.plan.request import Request
from openvino_xai.tail.target import Ids
from openvino_xai.verify.masks import CUT
from openvino_xai.verify.parts import plan_parts

pytestmark = pytest.mark.slow

SIDE = {"vit": 64, "swin": 64, "vgg": 224}  # pixels of the image; 96 for the others
IDS = (3, 7)
CLASSES = 10
PACKAGE = {"grad_cam": "GradCAM", "hires_cam": "HiResCAM", "layer_cam": "LayerCAM", "xgrad_cam": "XGradCAM"}


def with_modules(torch: Any, densenet: Any) -> Any:
    """A DenseNet whose last ReLU is a module, as the package needs it."""
    pool = torch.nn.AdaptiveAvgPool2d(1)
    return torch.nn.Sequential(densenet.features, torch.nn.ReLU(), pool, torch.nn.Flatten(), densenet.classifier)


def network(torch: Any, name: str) -> Any:
    import torchvision.models as zoo

    torch.manual_seed(4)
    model = {
        "resnet": lambda: zoo.resnet18(num_classes=CLASSES),
        "vgg": lambda: zoo.vgg11(num_classes=CLASSES),
        "mobilenet_v3": lambda: zoo.mobilenet_v3_small(num_classes=CLASSES),
        "efficientnet": lambda: zoo.efficientnet_b0(num_classes=CLASSES),
        "densenet": lambda: with_modules(torch, zoo.densenet121(num_classes=CLASSES)),
        "convnext": lambda: zoo.convnext_tiny(num_classes=CLASSES),
        "vit": lambda: zoo.VisionTransformer(64, 16, 2, 3, 48, 96, num_classes=CLASSES),
        "swin": lambda: zoo.SwinTransformer([4, 4], 32, [2, 2], [2, 4], [4, 4], num_classes=CLASSES),
    }[name]()
    for parameter in model.parameters():
        if parameter.ndim > 1:  # random weights for which the classes differ
            torch.nn.init.normal_(parameter, std=(2 / parameter[0].numel()) ** 0.5)
    return model.eval()


ARCHITECTURES = ["resnet", "vgg", "mobilenet_v3", "efficientnet", "densenet", "convnext", "vit", "swin"]


class Beside:
    """A torch network, the ONNX file of it, and the module whose output is the layer that the hook chose."""

    def __init__(self, torch: Any, name: str) -> None:
        side = SIDE.get(name, 96)
        self.network, self.image = network(torch, name), torch.randn(2, 3, side, side)
        file = io.BytesIO()
        torch.onnx.export(
            self.network, self.image, file, dynamo=False, opset_version=17, input_names=["image"], output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}},
        )  # fmt: skip
        self.onnx = onnx.load_from_string(file.getvalue())
        self.hooked = xai.insert(self.onnx, method="grad_cam", targets=list(IDS))
        deployed = open_model(self.onnx)
        layer = Located.of(deployed, Where()).choose("grad_cam")
        self.place = layer.place
        features = deployed.probing(read={CUT: layer.value}, inputs={}).compile()
        self.module = self._module(torch, features({"image": self.image.numpy()})[CUT])

    def _module(self, torch: Any, features: np.ndarray) -> Any:
        matches, hooks = [], []
        for module in self.network.modules():

            def look(module: Any, arguments: Any, output: Any) -> None:
                same = isinstance(output, torch.Tensor) and output.shape == features.shape
                if same and np.allclose(output.detach().numpy(), features, atol=1e-4):
                    matches.append(module)

            hooks.append(module.register_forward_hook(look))
        self.network(self.image)
        for hook in hooks:
            hook.remove()
        return matches[-1]

    def gradients(self, torch: Any) -> np.ndarray:
        """The gradients [B, K, ...] of the logits by the layer, from autograd."""
        activations = []
        hook = self.module.register_forward_hook(lambda module, arguments, output: activations.append(output) or output)
        logits = self.network(self.image)
        hook.remove()
        return np.stack(
            [torch.autograd.grad(logits[:, k].sum(), activations[-1], retain_graph=True)[0].numpy() for k in IDS], axis=1
        )


@pytest.mark.parametrize("name", CASES)
def test_a_rule_is_that_of_autograd(name: str, torch: Any) -> None:
    """In f64, apart from folded values and constants such as 1 / N: hooks hold these in f32, each up to half a step off."""
    true = autograd(torch, name)
    steps = 2 * np.finfo(np.float32).eps  # up to four such constants follow each other in these tails
    np.testing.assert_allclose(by_numpy(name), true, rtol=0, atol=steps * np.abs(true).max())


@pytest.fixture(scope="module")
def networks() -> dict[str, Beside]:
    return {}


@pytest.fixture(params=ARCHITECTURES)
def beside(request: pytest.FixtureRequest, torch: Any, networks: dict[str, Beside]) -> Beside:
    if request.param not in networks:
        networks[request.param] = Beside(torch, request.param)
    return networks[request.param]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_gradients_are_those_of_autograd(beside: Beside, torch: Any, dialect: str) -> None:
    deployed = open_model(in_dialect(beside.onnx, dialect)).twin()
    located = Located.of(deployed, Where())
    layer = located.choose("grad_cam")
    plan = plan_parts(located.at(layer), decide(Request(method="grad_cam", pick=Ids(IDS)), layer))
    emit(plan, deployed)
    gradients = deployed.compile()({"image": beside.image.numpy()})[GRADIENT]
    true = beside.gradients(torch)
    np.testing.assert_allclose(gradients, true, atol=1e-5 * np.abs(true).max())


@pytest.mark.parametrize("method", PACKAGE)
def test_maps_are_those_of_the_package(beside: Beside, method: str, torch: Any) -> None:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    place, (height, width) = beside.place, concrete(beside.place.grid, "the cells")

    def laid_out(features: Any) -> Any:
        if len(place.cells) == 2:
            return features.permute(0, *[a for a in range(1, 4) if a not in place.cells], *place.cells)
        tokens = features[:, place.prefix :] if place.cells == (1,) else features[:, :, place.prefix :].transpose(1, 2)
        return tokens.reshape(len(tokens), height, width, -1).permute(0, 3, 1, 2)

    theirs = getattr(pytorch_grad_cam, PACKAGE[method])(beside.network, [beside.module], reshape_transform=laid_out)
    hooked = xai.insert(beside.onnx, method=method, targets=list(IDS), scale="none")
    ours = xai.load(hooked)(beside.image.numpy())["saliency_map"]
    for index, k in enumerate(IDS):
        theirs(input_tensor=beside.image, targets=[ClassifierOutputTarget(k)] * 2)
        # The package's XGrad-CAM adds 1e-7 to a sum of features that is nearly 0 here. Larger features change no scaled map.
        activations = theirs.activations_and_grads.activations[0].numpy() * 1e4
        gradients = theirs.activations_and_grads.gradients[0].numpy()
        raw = np.maximum(
            theirs.get_cam_image(beside.image, beside.module, None, activations, gradients, False), 0
        )  # the package's map before it is enlarged
        for our_map, their_map in zip(ours[:, index], raw, strict=True):
            assert np.abs(our_map / max(our_map.max(), 1e-30) - their_map / max(their_map.max(), 1e-30)).max() < 1e-4

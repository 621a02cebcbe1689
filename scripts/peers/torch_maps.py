"""In the torch environment: maps of ResNet-18 by pytorch-grad-cam and Captum, and its ONNX file. `torch_maps.py ONNX NPZ`.

NPZ has the `image` [1, 3, 224, 224], its most probable `class`, and for each method the map of that class: `grad_cam` and its
relatives as pytorch-grad-cam returns them, [1, 224, 224] in [0, 1]; with `captum_` before them raw attributions, [1, 1, 7, 7]
of a layer or [1, 3, 224, 224].
"""

from __future__ import annotations

import sys

import networks
import numpy as np
import torch
from captum import attr
from pytorch_grad_cam import AblationCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

CAMS = {
    "grad_cam": GradCAM,
    "grad_cam_plus_plus": GradCAMPlusPlus,
    "xgrad_cam": XGradCAM,
    "layer_cam": LayerCAM,
    "hires_cam": HiResCAM,
    "ablation_cam": AblationCAM,
}


def main(path: str, output: str) -> None:
    network, image = prepared(), torch.randn(1, 3, 224, 224)
    torch.onnx.export(network, image, path, input_names=["image"], output_names=["logits"], opset_version=17, dynamo=False)
    layer = network.layer4[-1]
    best = int(network(image).argmax())
    maps = {"image": image.numpy(), "class": np.array(best)}
    for name, cam in CAMS.items():
        maps[name] = cam(model=network, target_layers=[layer])(input_tensor=image, targets=[ClassifierOutputTarget(best)])
    attributions = {
        "grad_cam": attr.LayerGradCam(network, layer).attribute(image, target=best, relu_attributions=True),
        "saliency": attr.Saliency(network).attribute(image, target=best),
        "input_x_gradient": attr.InputXGradient(network).attribute(image, target=best),
        "integrated_gradients": attr.IntegratedGradients(network).attribute(
            image, target=best, n_steps=50, method="riemann_middle"
        ),
    }
    maps |= {f"captum_{name}": attribution.detach().numpy() for name, attribution in attributions.items()}
    np.savez(output, **maps)


def prepared() -> torch.nn.Module:
    """ResNet-18 with seeded weights and statistics that keep its features alive."""
    network = networks.build("resnet18")
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return network


if __name__ == "__main__":
    main(*sys.argv[1:])

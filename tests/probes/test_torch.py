"""Ablation-CAM against the grad-cam package, and Opti-CAM against autograd, on the same weights, where torch is there.

Of its Score-CAM the definition is another (channels enlarged with corners aligned, weights put through a softmax), so that
there is nothing to hold ours to but the paper's own, in the slow oracles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from tiny import CASES, images

import openvino_xai as xai

CASE = CASES["3x3 convolution after the layer"]


def network(torch: Any) -> Any:
    """The tiny network of the case, in torch."""
    tensors = {item.name: torch.tensor(onnx.numpy_helper.to_array(item).copy()) for item in CASE.build(1, 17).graph.initializer}
    first, second = torch.nn.Conv2d(3, 4, 3, padding=1, bias=False), torch.nn.Conv2d(4, 4, 3, padding=1)
    linear = torch.nn.Linear(4, 5)
    for layer, weight, bias in ((first, "w0", None), (second, "w1", "b1"), (linear, "w", "b")):
        layer.weight.data = tensors[weight]
        if bias:
            layer.bias.data = tensors[bias]
    pool = torch.nn.AdaptiveAvgPool2d(1)
    return torch.nn.Sequential(first, torch.nn.ReLU(), second, torch.nn.ReLU(), pool, torch.nn.Flatten(), linear).eval()


def test_ablation_cam_is_that_of_grad_cam(torch: Any) -> None:
    from pytorch_grad_cam import AblationCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    batch, model = images(CASE.build(1, 17), 3, seed=10), network(torch)
    probed = xai.probe(CASE.build("B", 17), "ablation_cam", layer="f")
    checked = 0
    for image in batch:
        logits = model(torch.tensor(image[None])).detach().numpy()[0]
        np.testing.assert_allclose(probed.predict(image[None], logits=True)[0], logits, atol=1e-4)
        for k in np.flatnonzero(logits > 0):  # of negative scores theirs turns maps around
            cam = AblationCAM(model, [model[1]], batch_size=2)
            theirs = cam(torch.tensor(image[None]), [ClassifierOutputTarget(int(k))])[0]
            _, (ours,) = probed.maps(image[None], [int(k)])
            scaled = (ours - ours.min()) / (ours.max() - ours.min()) if ours.max() > 0 else ours
            np.testing.assert_allclose(scaled, theirs, atol=1e-4)
            checked += int(theirs.max() > 0)
    assert checked


def test_opti_cam_is_that_of_autograd(torch: Any) -> None:
    """Torch's own gradient, softmax, enlargement and Adam."""
    image, model, k = images(CASE.build(1, 17), 1, seed=10), network(torch), 2
    probed = xai.probe(CASE.build("B", 17), "opti_cam", layer="f", settings=xai.Settings(steps=20))
    _, (ours,) = probed.maps(image, [k])
    x = torch.tensor(image)
    channels = model[:2](x).detach()
    u = torch.zeros((1, channels.shape[1], 1, 1), requires_grad=True)
    adam = torch.optim.Adam([u], lr=0.1)
    for _ in range(20):
        adam.zero_grad()
        saliency = (torch.softmax(u, dim=1) * channels).sum(dim=1, keepdim=True)
        large = torch.nn.functional.interpolate(saliency, x.shape[2:], mode="bilinear", align_corners=False)
        mask = (large - large.min()) / (large.max() - large.min())
        (-model(x * mask)[0, k]).backward()
        adam.step()
    theirs = (torch.softmax(u, dim=1) * channels).sum(dim=1)[0].detach().numpy()
    np.testing.assert_allclose(ours, theirs, atol=2e-5 * theirs.max())

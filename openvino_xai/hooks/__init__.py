"""Saliency methods, one a file: pure functions of a vocabulary `xp` and a `Site`. A new method is a line in `BUILT_IN`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from openvino_xai.choices import check_choice, quoted
from openvino_xai.errors import InputError
from openvino_xai.hooks.ablation_cam import ablation_cam
from openvino_xai.hooks.abs_cam import abs_cam, abs_cam_init
from openvino_xai.hooks.activation_map import activation_map
from openvino_xai.hooks.attention.attention_rollout import attention_rollout
from openvino_xai.hooks.attention.chefer import chefer
from openvino_xai.hooks.attention.legrad import legrad
from openvino_xai.hooks.cam import cam
from openvino_xai.hooks.eigen_cam import eigen_cam
from openvino_xai.hooks.fd_cam import fd_cam
from openvino_xai.hooks.gradients.finer_cam import finer_cam
from openvino_xai.hooks.gradients.grad_cam import grad_cam
from openvino_xai.hooks.gradients.grad_cam_plus_plus import grad_cam_plus_plus
from openvino_xai.hooks.gradients.hires_cam import hires_cam
from openvino_xai.hooks.gradients.input_gradient import input_gradient, largest_of_pixel
from openvino_xai.hooks.gradients.integrated_gradients import integrated_gradients, sum_of_pixel
from openvino_xai.hooks.gradients.layer_cam import layer_cam, layer_cam_of_layers
from openvino_xai.hooks.gradients.lift_cam import lift_cam
from openvino_xai.hooks.gradients.smooth_grad_cam_plus_plus import smooth_grad_cam_plus_plus
from openvino_xai.hooks.gradients.xgrad_cam import xgrad_cam
from openvino_xai.hooks.gradients.zoom_cam import zoom_cam, zoom_cam_of_layers
from openvino_xai.hooks.own import guarded
from openvino_xai.hooks.reciprocam import reciprocam
from openvino_xai.hooks.registry import Registry
from openvino_xai.hooks.scale import SCALES
from openvino_xai.hooks.site import Site
from openvino_xai.hooks.vit_reciprocam import KERNELS, vit_reciprocam


class OfElements(NamedTuple):
    """A method that explains each element of the image: its `values` [B, K, N, C], and the `saliency` [B, N, K] of pixels.

    One that takes `steps` looks at images on the way from a baseline.
    """

    values: Callable[[Any, Site], Any]
    saliency: Callable[[Any, Any], Any]
    steps: bool = False


class Method(NamedTuple):
    """A hook; what it masks: cells of a feature map, tokens that enter an attention block, or nothing; and what it reads.

    That is scores, as `score` says unless a caller does, for `none` no score at all. A `linear` one is for tails that are
    linear in the features, and reads their logits whatever a caller says. One `of_elements` has the image itself for its layer,
    and returns its values beside the map. One of `attention` looks at all attention blocks of a network with a class token.
    One with a hook `of_layers` may be asked of several layers at once. One of `any_layer` may look at a layer that other ways
    to the scores go around: it reads features and their gradients there, and nothing else.
    """

    hook: Callable[[Any, Site], Any]
    masks: Literal["cells", "tokens", "nothing"]
    score: Literal["softmax", "logit", "none"] = "softmax"
    linear: bool = False
    gradients: bool = False
    of_elements: OfElements | None = None
    attention: bool = False
    of_layers: Callable[[Any, Site], Any] | None = None
    any_layer: bool = False

    @property
    def takes_layer(self) -> bool:
        """Whether a caller may name the layer that it looks at."""
        return self.of_elements is None and not self.attention

    @property
    def per_class(self) -> bool:
        """Whether each class has its price, so that only the most probable one is explained unless a caller says more."""
        return self.masks == "nothing" and self.score != "none"


def _by_gradients(hook: Callable[[Any, Site], Any]) -> Method:
    return Method(hook, "nothing", "logit", gradients=True)


def _of_elements(elements: OfElements) -> Method:
    def hook(xp: Any, site: Site) -> Any:
        return elements.saliency(xp, elements.values(xp, site))

    return Method(hook, "nothing", "logit", gradients=True, of_elements=elements)


GROUP = "ovxai.methods"  # of entry points: a hook, or a `Method` with one


def own_method(
    name: str, hook: Any, score: Literal["softmax", "logit", "none"] = "softmax", *, gradients: bool = False
) -> Method:
    """A method of somebody else: a hook, or a `Method` that masks nothing. Raises InputError for what is neither."""
    if isinstance(hook, Method):
        if hook.masks != "nothing":
            raise InputError(
                f"the method '{name}' masks {hook.masks}, and what is verified of such maps is Recipro-CAM's definition: a "
                "method of one's own masks nothing"
            )
        hook, score, gradients = hook.hook, hook.score, hook.gradients
    if not callable(hook) or isinstance(hook, type):
        raise InputError(f"the hook of '{name}' is {quoted(hook)}: a function of (xp, site) is expected")
    check_choice("score", score, ("softmax", "logit", "none"), options=("score",))
    return Method(guarded(name, hook), "nothing", score, gradients=gradients)


BUILT_IN: dict[str, Method] = {
    "reciprocam": Method(reciprocam, "cells"),
    "vit_reciprocam": Method(vit_reciprocam, "tokens"),
    "cam": Method(cam, "cells", "logit", linear=True),
    "activation_map": Method(activation_map, "nothing", "none"),
    "eigen_cam": Method(eigen_cam, "nothing", "none"),
    "attention_rollout": Method(attention_rollout, "nothing", "none", attention=True),
    "legrad": Method(legrad, "nothing", "logit", gradients=True, attention=True),
    "chefer": Method(chefer, "nothing", "logit", gradients=True, attention=True),
    "ablation_cam": Method(ablation_cam, "nothing", "logit"),
    "grad_cam": _by_gradients(grad_cam)._replace(any_layer=True),
    "grad_cam_plus_plus": _by_gradients(grad_cam_plus_plus)._replace(any_layer=True),
    "smooth_grad_cam_plus_plus": _by_gradients(smooth_grad_cam_plus_plus),
    "xgrad_cam": _by_gradients(xgrad_cam)._replace(any_layer=True),
    "lift_cam": _by_gradients(lift_cam)._replace(linear=True),
    "layer_cam": _by_gradients(layer_cam)._replace(of_layers=layer_cam_of_layers, any_layer=True),
    "hires_cam": _by_gradients(hires_cam)._replace(any_layer=True),
    "zoom_cam": _by_gradients(zoom_cam)._replace(of_layers=zoom_cam_of_layers, any_layer=True),
    "finer_cam": _by_gradients(finer_cam),
    "abs_cam": _by_gradients(abs_cam),
    "abs_cam_init": _by_gradients(abs_cam_init),
    "fd_cam": _by_gradients(fd_cam),
    "input_gradient": _of_elements(OfElements(input_gradient, largest_of_pixel)),
    "integrated_gradients": _of_elements(OfElements(integrated_gradients, sum_of_pixel, steps=True)),
}
METHODS = Registry(BUILT_IN, GROUP, own_method)

__all__ = ["KERNELS", "METHODS", "SCALES", "Method", "Site"]

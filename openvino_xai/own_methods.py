"""Methods of one's own: registered by a program, or announced by a package as entry points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from openvino_xai.arguments import FLAG, takes
from openvino_xai.choices import quoted
from openvino_xai.contract import OWN_NAME
from openvino_xai.errors import InputError
from openvino_xai.hooks import METHODS, own_method
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.probes import BOX_PROBES, PROBES, Looks, own_probe
from openvino_xai.words import OwnMethod


@takes(gradients=FLAG, replace=FLAG)
def register_method(
    name: str,
    hook: Callable[[Any, Any], Any],
    *,
    score: Literal["softmax", "logit", "none"] = "softmax",
    gradients: bool = False,
    replace: bool = False,
) -> OwnMethod:
    """Make a saliency hook known by a `name`: `insert(model, method=name)` puts it into graphs of OpenVINO and ONNX.

    `hook` is a pure function of `xp`, the words of `openvino_xai.graph.vocabulary.Namespace` (a subset of the array API), and a
    `site`, what a layer offers (`openvino_xai.hooks.site.Site`): `cells()` [B, N, C], `gradients()` [B, K, N, C], `scores` of
    masked channels, and more. It returns saliency [B, N, K], or [B, N, 1] for all classes. `score` is what it reads unless a
    caller says more: probabilities, logits (which gradients are usually of), or no score at all. `gradients` is what
    `methods()` tells of it.

    It is verified as any method is: what it reads of the model is held to the original model, and the maps to what the same
    function makes of these with NumPy. That it is the method of a paper, nobody but its author's tests can say.

    Returns the name, which a type checker takes for `method`. Raises InputError for a name that is taken, unless it is one's
    own and `replace` is true, or for what is no hook.
    """
    _check_name(name, METHODS.added if replace else frozenset())
    METHODS.add(name, own_method(name, hook, score, gradients=gradients))
    return OwnMethod(name)


@takes(replace=FLAG)
def register_probe(
    name: str, probe: Callable[[Any, Any, Any, Any], Any], *, looks_at: Looks = "nothing", replace: bool = False
) -> OwnMethod:
    """Make a probe known by a `name`: `probe(model, name)` and `explain(model, image, method=name)` ask the model with it.

    `probe` is a function of a model (`openvino_xai.probes.Classifier`: `model.scores(images)` [N, K] and more), an image
    [1, C, H, W] as the model sees it, the ids of classes, and `Settings`. It returns maps [K, h, w] of finite numbers, of any
    size, over what the model sees. `looks_at` says what it asks beside scores: `nothing`, a `layer`, `layer gradients`,
    `gradients` by the image, `layer and gradients`, or the `tokens` of a transformer. Gradients, and what dropping tokens does,
    are verified; what the probe makes of them is not.

    Returns the name, which a type checker takes for `method`. Raises InputError for a name that is taken, unless it is one's
    own and `replace` is true, or for what is no probe.
    """
    _check_name(name, PROBES.added if replace else frozenset())
    PROBES.add(name, own_probe(name, probe, looks_at))
    return OwnMethod(name)


def _check_name(name: object, own_names: frozenset[str] | set[str]) -> None:
    """Raise InputError for what is no name of a method, or that of another."""
    if not isinstance(name, str) or not OWN_NAME.fullmatch(name):
        raise InputError(
            f"a method is called {quoted(name)}: small letters, digits and _ are expected, a letter first, at most 60"
        )
    taken = name in METHODS or name in ROW_METHODS or name in PROBES or name in BOX_PROBES
    if taken and name not in own_names:
        raise InputError(f"there is a method '{name}' already: choose another name (replace=True replaces one's own)")

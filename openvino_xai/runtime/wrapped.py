"""A compiled model that somebody already has, with explanations on top: a drop-in for what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from openvino_xai.arguments import TEXT, takes
from openvino_xai.choices import quoted
from openvino_xai.contract import CLASS, INDEX, MAP, RECORD, names_of
from openvino_xai.dialects.open import Compiled, Model
from openvino_xai.dialects.packages import packages_of
from openvino_xai.dialects.protocol import Adopted
from openvino_xai.errors import InputError
from openvino_xai.explanation import Explanation
from openvino_xai.locate.located import Where
from openvino_xai.locate.tasks.opening import opened
from openvino_xai.probes import PROBES, Settings
from openvino_xai.record.reading import records_of
from openvino_xai.runtime.classifiers.layers import ImageClassifier
from openvino_xai.runtime.described import Described
from openvino_xai.runtime.inputs.targets import TargetsOfImage
from openvino_xai.runtime.loading import network_of, rows_of
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.probed import Probed
from openvino_xai.runtime.tasks.heads import running_of_head


@takes(scores=TEXT.or_none())
def wrap(compiled: Compiled, *, model: Model | None = None, scores: str | None = None) -> Any:
    """The compiled model as it is, of the same class, which also explains.

    All that worked before works as before, and as fast: it is called, asked for `inputs`, `outputs` and requests, given to an
    `AsyncInferQueue`, run. It has more: `explain(images)`, `saliency`, which picks the maps out of results, and `network`,
    which holds labels and preprocessing, and serves any thread.

    `model` is the file that it was compiled from. OpenVINO keeps nothing of what a model tells about itself (labels,
    preprocessing, the targets of its hook), so that without the file these have to be told with `network.configure`.

    `scores` is the output that is explained, where the hook explains several heads.

    Raises InputError, and ModelError for a model that is no image classifier.
    """
    kind = type(compiled).__module__.partition(".")[0]
    if kind == "openvino":
        with packages_of("openvino", "a compiled model"):
            from openvino_xai.dialects.openvino.run import adopted, drop_in
    elif kind == "onnxruntime":
        with packages_of("onnx", "a session"):
            from openvino_xai.dialects.onnx.run import adopted, drop_in
    else:
        raise InputError(
            f"an openvino.CompiledModel or an onnxruntime.InferenceSession is wrapped; this is {type(compiled).__qualname__}"
        )
    handle: Adopted = adopted(compiled)
    if model is None:
        description, propose = _from_outside(handle, scores), None
        records: list[dict[str, str]] = records_of(handle.graph, handle.info, opaque=True)
    else:
        deployed = opened(model)
        description = Described.of(deployed.graph, deployed.info, where=Where(scores=scores))
        _same(description, handle)
        records = records_of(deployed.graph, deployed.info)
        propose = rows_of(deployed, description, ("CPU", "f32"))
    wrapper = drop_in(compiled, _Explaining)
    running = running_of_head(handle.running, handle.graph, records, description.record)
    wrapper.network = network_of(running, description, handle.device, propose=propose)
    wrapper.hooked = names_of(description.record).in_file(MAP) in handle.graph.outputs
    wrapper.description = description
    return wrapper


def is_compiled(model: object) -> bool:
    """Whether it is a compiled model of OpenVINO or a session of ONNX Runtime."""
    return any(
        kind.__module__.partition(".")[0] in ("openvino", "onnxruntime")
        and kind.__name__ in ("CompiledModel", "InferenceSession")
        for kind in type(model).__mro__
    )


def network_inside(compiled: Any, method: str | None, settings: Settings, foreign: Sequence[str]) -> Network:
    """The network of a compiled model, wrapped already or not, which a `method` may ask.

    Raises InputError for the options in `foreign`, which need a graph, and where nothing explains.
    """
    if foreign:
        raise InputError(
            f"a compiled model holds no graph, and {foreign[0]} says how a hook is made: give explain the file that it was "
            "compiled from",
            options=(foreign[0],),
        )
    wrapper: Any = compiled if isinstance(compiled, _Explaining) else wrap(compiled)
    if method is None and not wrapper.hooked:
        raise InputError(
            "a compiled model holds no graph that a hook could be put into, and this one carries none: give explain the file "
            "that it was compiled from, or compile the model that insert(file) returns; or method='rise' asks it as it is"
        )
    network: Network = wrapper.network if method is None else wrapper.probed_by(method, settings)
    return network


class _Explaining:
    """What wrapping adds to a compiled model."""

    network: Network
    description: Described
    hooked: bool

    @property
    def saliency(self) -> Any:
        """What picks the maps out of results: `results[model.saliency]`, `session.run([session.saliency], inputs)`.

        Raises InputError for a model without a hook.
        """
        if not self.hooked:
            raise InputError(HOW)
        output: Any = getattr(self, "output", None)  # of OpenVINO; a session knows names
        name = names_of(self.description.record).in_file(MAP)
        return name if output is None else output(name)

    def explain(
        self,
        images: Any,
        *,
        targets: TargetsOfImage | None = None,
        method: str | None = None,
        settings: Settings | None = None,
    ) -> Explanation | list[Explanation]:
        """The explanation of an image (a path, RGB bytes [H, W, 3], ...), or those of a list of images.

        Without a hook a `method` that looks at images alone explains (`rise`, `aise`, `occlusion`, `lime`, `kernel_shap`), with
        its `settings`. Raises InputError.
        """
        network = self.network if method is None else self.probed_by(method, settings)
        if method is None and not self.hooked:
            raise InputError(HOW)
        if isinstance(images, (list, tuple)):
            return [network.explain(image, targets=targets) for image in images]
        return network.explain(images, targets=targets)

    def probed_by(self, method: str, settings: Settings | None) -> Network:
        """A network that asks the compiled model by a method that looks at images alone. Raises InputError for another."""
        alone = [name for name, probe in PROBES.items() if probe.looks_at == "nothing"]
        if method not in alone:
            raise InputError(
                f"a compiled model is asked by {' or '.join(alone)}, not by {quoted(method)}, which needs its file: see probe"
            )
        description = replace(self.description, record={})
        probed = Probed(self.network, description, method, ImageClassifier(self.network), settings)
        probed.labels, probed.preprocessing = self.network.labels, self.network.preprocessing
        return probed


def _from_outside(handle: Adopted, scores: str | None) -> Described:
    """What a compiled model shows of itself. Raises InputError where that does not say which classes its maps are of."""
    if INDEX in handle.graph.outputs and not handle.info(RECORD):
        raise InputError(
            f"'{INDEX}' tells rows of a detector, and the compiled model does not tell what they are: say the file that it was "
            "compiled from with model="
        )
    where = Where(scores=scores)
    if MAP not in handle.graph.outputs and not handle.info(RECORD):
        _refuse_heads(handle)
    description = Described.of(handle.graph, handle.info, opaque=True, where=where)
    maps = handle.graph.outputs.get(MAP)
    if maps is None or description.record:
        return description
    explained = (maps.shape or (None, None))[1]
    if CLASS not in handle.graph.outputs and explained != description.scores.classes:
        raise InputError(
            f"'{MAP}' has maps of {explained} classes, and the compiled model does not tell of which: say the file that it "
            "was compiled from with model="
        )
    return replace(description, record={"method": "unknown", "targets": "all"})


def _refuse_heads(handle: Adopted) -> None:
    """Raise InputError for a hook of several heads, of which nothing tells what they are."""
    heads = [name for name in handle.graph.outputs if name.startswith(f"{MAP}_")]
    if heads:
        raise InputError(
            f"'{heads[0]}' has the maps of one of several heads, and the compiled model does not tell which: say the file that "
            "it was compiled from with model="
        )


HOW = (
    "the model carries no hook: `ovxai insert` makes a file that does, which compiles in its place; "
    "or explain(images, method='rise') asks the model as it is again and again"
)


def _same(description: Described, handle: Adopted) -> None:
    """Raise InputError where a file is not what was compiled."""
    there = [*(value.name for value in handle.graph.inputs), *handle.graph.outputs]
    for name in (description.image.name, *description.score_names):
        aliases = {alias for value in [*handle.graph.inputs, *handle.graph.outputs.values()] for alias in value.aliases}
        if name not in there and name not in aliases:
            raise InputError(
                f"the file has '{name}', which the compiled model has not ({', '.join(there)}): it is another model"
            )

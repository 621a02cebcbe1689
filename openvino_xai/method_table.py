"""Which methods there are: every hook and probe, what it explains, what it costs and where it comes from.

Names and traits are those of the tables that insert and probe read (`hooks`, `hooks/rows`, `probes`); what is told beside them
stands in `TEXTS`. A method that has no text there is told by the first line of its own documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args, overload

from openvino_xai.arguments import FLAG, takes
from openvino_xai.choices import check_choice
from openvino_xai.hooks import METHODS
from openvino_xai.hooks.rows import ROW_METHODS
from openvino_xai.probes import BOX_PROBES, PROBES
from openvino_xai.tables import html_table, text_table

Kind: TypeAlias = Literal["hook", "probe"]
Explained: TypeAlias = Literal["classes", "boxes", "vectors", "pixels", "classes of detectors"]

BY_ROWS: dict[str, Explained] = {"rows": "boxes", "classes": "classes of detectors"}


class Text(NamedTuple):
    """What is told of a method: its name in the literature, what it does, its paper, its cost, and what it is taken for.

    `settings` are those of a probe's `Settings` that it reads.
    """

    title: str
    summary: str
    source: str
    cost: str
    default: str = ""
    settings: tuple[str, ...] = ()


BACKWARD = "a backward pass from the scores to the layer for each class; 1.0 - 1.1 inferences at the last layer"
QUESTIONS = "an inference for each mask"

HOOKS = {
    "reciprocam": Text(
        "Recipro-CAM",
        "the score that a class keeps when one cell of the feature map is all there is",
        'Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks", 2022',
        "1.0 - 1.3 inferences for all classes at once; dear at layers far from the scores, and told before",
        "classes and vectors, where a map of cells leads to the scores",
    ),
    "vit_reciprocam": Text(
        "ViT Recipro-CAM",
        "the score that a class keeps when one neighbourhood of tokens is all there is",
        'Byun and Lee, "ViT-ReciproCAM: Gradient and attention-free visual explanations for vision transformer", 2023',
        "1.0 - 1.2 inferences for all classes at once, at the last attention block",
        "classes and vectors, where a class token gathers the patches",
    ),
    "cam": Text(
        "CAM",
        "the class's own weights over the channels of each cell, where a mean and linear layers end the model",
        'Zhou et al., "Learning deep features for discriminative localization", 2016',
        "1.0 - 1.1 inferences for all classes at once",
    ),
    "activation_map": Text(
        "Activation map",
        "how strongly the layer answers each cell, whatever the class",
        "OpenVINO Training Extensions",
        "1.0 inferences",
    ),
    "eigen_cam": Text(
        "Eigen-CAM",
        "how far each cell goes along the direction in which the layer's channels say most, whatever the class",
        'Muhammad and Yeasin, "Eigen-CAM: Class activation map using principal components", 2020',
        "1.0 inferences",
    ),
    "attention_rollout": Text(
        "Attention rollout",
        "how much of each patch reaches the class token through all attention blocks of a transformer, whatever the class",
        'Abnar and Zuidema, "Quantifying attention flow in transformers", 2020',
        "1.0 - 1.1 inferences",
    ),
    "legrad": Text(
        "LeGrad",
        "how the class's score of the tokens behind each block of a transformer moves with that block's attention",
        'Bousselham et al., "LeGrad: An explainability method for vision transformers via feature formation sensitivity", 2024',
        "a backward pass through each block for each class: 1.6 - 1.8 times the operations for one",
    ),
    "chefer": Text(
        "Generic attention explainability",
        "attention that the class's score depends on, gathered over all blocks of a transformer with a class token",
        'Chefer, Gur and Wolf, "Generic attention-model explainability for interpreting bi-modal and encoder-decoder '
        'transformers", 2021',
        "a backward pass through all blocks for each class: 2.1 - 2.4 times the operations for one",
    ),
    "ablation_cam": Text(
        "Ablation-CAM",
        "a channel weighs what the class loses without it",
        'Desai and Ramaswamy, "Ablation-CAM: Visual explanations for deep convolutional network via gradient-free '
        'localization", 2020',
        "the tail of the model once for each channel, in one inference: 1.03 - 1.2 where it is a pool and linear layers",
    ),
    "grad_cam": Text(
        "Grad-CAM",
        "channels, weighed by the mean of the class's gradient over their cells",
        'Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based localization", 2017',
        BACKWARD,
    ),
    "grad_cam_plus_plus": Text(
        "Grad-CAM++",
        "a channel counts by its positive gradients, each weighed by how much of the score its cell accounts for",
        'Chattopadhyay et al., "Grad-CAM++: Generalized gradient-based visual explanations for deep convolutional networks", '
        "2018",
        BACKWARD,
    ),
    "smooth_grad_cam_plus_plus": Text(
        "Smooth Grad-CAM++",
        "Grad-CAM++ with powers of the gradient that are averaged over noisy copies of the image",
        'Omeiza et al., "Smooth Grad-CAM++: An enhanced inference level visualization technique for deep convolutional neural '
        'network models", 2019',
        "as grad_cam_plus_plus, and 5 inferences more where the gradient depends on the image",
    ),
    "xgrad_cam": Text(
        "XGrad-CAM",
        "the gradient, averaged over the cells by how much of the channel is there",
        'Fu et al., "Axiom-based Grad-CAM: Towards accurate visualization and explanation of CNNs", 2020',
        BACKWARD,
    ),
    "lift_cam": Text(
        "LIFT-CAM",
        "channels, weighed by what they add to the class's logit, where a mean and linear layers end the model",
        'Jung and Oh, "Towards better explanations of class activation mapping", 2021',
        BACKWARD,
    ),
    "layer_cam": Text(
        "Layer-CAM",
        "each element of the features, weighed by its own positive gradient; of several layers the largest map at each cell",
        'Jiang et al., "LayerCAM: Exploring hierarchical class activation maps for localization", 2021',
        BACKWARD,
        "boxes; pixels",
    ),
    "hires_cam": Text(
        "HiResCAM",
        "each element of the features, times its own gradient: what the cell adds to the score. For boxes this is ODAM",
        'Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks", '
        "2020",
        BACKWARD,
    ),
    "zoom_cam": Text(
        "Zoom-CAM",
        "what each cell of several layers adds to the score, to first order: the largest of the layers that are named",
        'Shi et al., "Zoom-CAM: Generating fine-grained pixel annotations from image labels", 2020',
        "a backward pass from the scores to the earliest layer for each class",
    ),
    "input_gradient": Text(
        "Input gradient",
        "how the score moves with each element of the image, as an output `gradient`; the map is a pixel's largest",
        'Simonyan et al., "Deep inside convolutional networks: Visualising image classification models and saliency maps", '
        "2014",
        "one inference, and a backward pass through the whole model for each class: 2 - 3 inferences for one",
    ),
    "integrated_gradients": Text(
        "Integrated gradients",
        "what each element of the image adds to the score on the way from a baseline, as an output `gradient`",
        'Sundararajan et al., "Axiomatic attribution for deep networks", 2017',
        "an inference, forward and back, for each step (50), as rows of one inference",
    ),
    "finer_cam": Text(
        "Finer-CAM",
        "Grad-CAM of a class's score less that of the three most similar ones: what tells it from them",
        'Zhang et al., "Finer-CAM: Spotting the difference reveals finer details for visual explanation", 2025',
        BACKWARD,
    ),
    "abs_cam": Text(
        "Abs-CAM",
        "a channel weighs what the class has where the image is masked with it; channels without a gradient are left out",
        'Zeng et al., "Abs-CAM: A gradient optimization interpretable approach for explanation of convolutional neural '
        'networks", 2022',
        "an inference for each channel (of the `channels` of the largest gradient alone, where that is set)",
    ),
    "abs_cam_init": Text(
        "Abs-CAM (initial map)",
        "channels, weighed by the mean of the class's absolute gradient over their cells",
        'Zeng et al., "Abs-CAM: A gradient optimization interpretable approach for explanation of convolutional neural '
        'networks", 2022',
        BACKWARD,
    ),
    "fd_cam": Text(
        "FD-CAM",
        "gradients, and how much the score needs each group of channels that are alike",
        'Li et al., "FD-CAM: Improving faithfulness and discriminability of visual explanation for CNNs", 2022',
        "the tail of the model twice for each channel, and a backward pass: 1.6 - 2.3 inferences where it is a pool and linear "
        "layers",
    ),
    "class_map": Text(
        "Class map",
        "where a detector sees each class: the largest log-odds of its rows; the answer, drawn, and not why",
        "this project",
        "1.0 inferences for all classes at once",
        "classes of detectors",
    ),
    "class_probability": Text(
        "Class probability map",
        "the share of each class at a place, as OpenVINO XAI 1.1 draws detectors",
        "OpenVINO XAI 1.1 (DetClassProbabilityMap)",
        "1.0 inferences for all classes at once",
    ),
}

PROBED = {
    "score_cam": Text(
        "Score-CAM",
        "a channel weighs what the class keeps where the image is masked with it",
        'Wang et al., "Score-CAM: Score-weighted visual explanations for convolutional neural networks", 2020',
        "an inference for each channel",
    ),
    "ablation_cam": HOOKS["ablation_cam"]._replace(cost="an inference, from the layer on, for each channel"),
    "abs_cam": HOOKS["abs_cam"]._replace(settings=("channels",)),
    "shap_cam": Text(
        "SHAP-CAM",
        "channels, weighed by their Shapley values: what each adds to the logit, whatever channels came before",
        'Jung and Oh, "Towards better explanations of class activation mapping", 2021',
        "an inference, from the layer on, for each channel and order (`orders`, 10)",
        settings=("seed", "orders"),
    ),
    "group_cam": Text(
        "Group-CAM",
        "groups of channels weigh what the class gains where they uncover a blurred image",
        'Zhang, Rao and Yang, "Group-CAM: Group score-weighted visual explanations for deep convolutional networks", 2021',
        "an inference for each group (`groups`, 32), and a gradient for each class",
        settings=("groups",),
    ),
    "opti_cam": Text(
        "Opti-CAM",
        "the weights of channels under which the image, masked with their sum, keeps most of the class's logit",
        'Zhang et al., "Opti-CAM: Optimizing saliency maps for interpretability", 2023',
        "an inference, forward and back, for each step (`steps`, 50) and class",
        settings=("steps",),
    ),
    "vit_cx": Text(
        "ViT-CX",
        "groups of channels that are alike mask the image, and weigh what the class keeps, less what noise does to it",
        'Xie et al., "ViT-CX: Causal explanation of vision transformers", 2023',
        "two inferences for each group of channels, of which there are as many as are unlike",
        settings=("seed",),
    ),
    "tis": Text(
        "TIS",
        "how much of the score is left, on average, where a patch is among the half of a transformer's tokens that are kept",
        'Englebert et al., "Explaining through transformer input sampling", 2023',
        "an inference for each cluster of activations (`masks`, at most 1024)",
        settings=("masks", "seed"),
    ),
    "rise": Text(
        "RISE",
        "the mean of random masks, each weighed with the score that the class keeps under it",
        'Petsiuk, Das and Saenko, "RISE: Randomized input sampling for explanation of black-box models", 2018',
        QUESTIONS + " (`masks`, 4000)",
        settings=("seed", "masks"),
    ),
    "d_rise": Text(
        "D-RISE",
        "the mean of random masks, each weighed with how much of a detection is left under it",
        'Petsiuk et al., "Black-box explanation of object detectors via saliency maps", 2021',
        QUESTIONS + " (`masks`, 4000)",
        settings=("seed", "masks"),
    ),
    "aise": Text(
        "AISE",
        "Gaussian masks that a global search puts where they tell most, each weighed with what it tells",
        '"AISE: Adaptive Input Sampling for Explanation of Black-box Models", as OpenVINO XAI 1.1 has it',
        QUESTIONS + " (`evaluations`, 50, of each width and target); needs the extra `aise`",
        settings=("evaluations",),
    ),
    "occlusion": Text(
        "Occlusion",
        "what the target loses where a patch of the image is covered",
        'Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014',
        "an inference for each place of the patch (`patch`, `stride`)",
        settings=("patch", "stride"),
    ),
    "lime": Text(
        "LIME",
        "a linear model of which superpixels the score needs, fitted to random ones",
        "Ribeiro, Singh and Guestrin, \"'Why should I trust you?' Explaining the predictions of any classifier\", 2016",
        QUESTIONS + " (`masks`, 4000)",
        settings=("seed", "masks", "segments"),
    ),
    "kernel_shap": Text(
        "KernelSHAP",
        "Shapley values of superpixels: they add up to what the image has more than a covered one",
        'Lundberg and Lee, "A unified approach to interpreting model predictions", 2017',
        QUESTIONS + " (`masks`, 4000; fewer where these are all there are of `segments`)",
        settings=("seed", "masks", "segments"),
    ),
    "saliency": Text(
        "Saliency (plain gradient)",
        "the largest absolute gradient of a pixel's channels",
        'Simonyan et al., "Deep inside convolutional networks: Visualising image classification models and saliency maps", '
        "2014",
        "one inference, forward and back, for each class",
    ),
    "input_x_gradient": Text(
        "Input x gradient",
        "the absolute sum over channels of pixel times gradient",
        'Shrikumar et al., "Not just a black box: Learning important features through propagating activation differences", '
        "2016",
        "one inference, forward and back, for each class",
    ),
    "integrated_gradients": Text(
        "Integrated gradients",
        "gradients, summed on the way from an image of zeros: pixels add up to the logit",
        'Sundararajan et al., "Axiomatic attribution for deep networks", 2017',
        "an inference, forward and back, for each step (`steps`, 50) and class",
        settings=("steps",),
    ),
    "smooth_grad": Text(
        "SmoothGrad",
        "the mean gradient of noisy copies of the image",
        'Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017',
        "an inference, forward and back, for each copy (`copies`, 25) and class",
        settings=("seed", "copies"),
    ),
}
TEXTS: dict[Kind, dict[str, Text]] = {"hook": HOOKS, "probe": PROBED}


@dataclass(frozen=True)
class MethodRow:
    """A method: its `name` in this package, and its `title` in the literature.

    A `hook` goes into the model's graph, a `probe` asks a plain model again and again. `explains` are the kinds of target that
    it is made for; `gradients` tells whether it differentiates the model, `default` what it is taken for where no method is
    named, `source` its paper, and `cost` what an explanation takes, in words. `settings` are what a probe may be told, as
    keywords of `explain` or in `Settings`.
    """

    name: str
    kind: Kind
    explains: tuple[Explained, ...]
    gradients: bool
    title: str
    summary: str
    source: str
    cost: str
    default: str
    settings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "explains": list(self.explains), "settings": list(self.settings)}


HEADS = ("name", "kind", "explains", "gradients", "default for", "what it tells", "cost")


class MethodTable(Sequence[MethodRow]):
    """Methods, in the order that they are listed. A table as text, and in a notebook."""

    def __init__(self, rows: Sequence[MethodRow]) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> MethodRow: ...
    @overload
    def __getitem__(self, index: slice) -> MethodTable: ...
    def __getitem__(self, index: int | slice) -> MethodRow | MethodTable:
        """The method at an index, or a table of some."""
        return MethodTable(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[MethodRow]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MethodTable) and self._rows == other._rows

    def __hash__(self) -> int:
        return hash(self._rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, each once: `ablation_cam` is a hook and a probe."""
        return tuple(dict.fromkeys(row.name for row in self))

    def to_dicts(self) -> list[dict[str, Any]]:
        """As JSON holds it."""
        return [row.to_dict() for row in self]

    @property
    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                row.name,
                row.kind,
                ", ".join(row.explains),
                "yes" if row.gradients else "no",
                row.default,
                row.summary,
                row.cost,
            )
            for row in self
        ]

    def __repr__(self) -> str:
        """The columns but for the longest, which `default`, `cost` and `source` of a row tell."""
        return text_table(HEADS[:4] + HEADS[5:6], [row[:4] + row[5:6] for row in self._cells])

    def _repr_html_(self) -> str:
        """A table, which notebooks show; the paper is behind the name."""
        return html_table(HEADS, self._cells, titles=[row.source for row in self])


@takes(gradients=FLAG.or_none())
def methods(*, kind: Kind | None = None, explains: Explained | None = None, gradients: bool | None = None) -> MethodTable:
    """Every method, hooks first; or those of a `kind`, for a kind of target, or with or without `gradients`.

    Neither openvino nor onnx is imported.
    """
    for word, value, words in (("kind", kind, get_args(Kind)), ("explains", explains, get_args(Explained))):
        if value is not None:
            check_choice(word, value, words, options=(word,))
    rows = [*_hooks(), *_probes()]
    return MethodTable(
        [
            row
            for row in rows
            if kind in (None, row.kind)
            and (explains is None or explains in row.explains)
            and gradients in (None, row.gradients)
        ]
    )


def _hooks() -> Iterator[MethodRow]:
    for name in dict.fromkeys([*METHODS, *ROW_METHODS]):
        method, of_rows = METHODS.get(name), ROW_METHODS.get(name)
        explains: list[Explained] = ["classes", "vectors", "pixels"] if method is not None else []
        if method is not None and method.attention:
            explains.remove("pixels")  # no class token reads these
        if of_rows is not None:
            explains.insert(1, BY_ROWS[of_rows.explains])
        # of rows, what neither masks cells nor reads every class differentiates
        by_rows = of_rows is not None and of_rows.explains == "rows" and not of_rows.masks
        hook = (method or of_rows).hook  # type: ignore[union-attr]
        yield _row(name, "hook", hook, explains, gradients=by_rows if method is None else method.gradients)


def _probes() -> Iterator[MethodRow]:
    for name in dict.fromkeys([*PROBES, *BOX_PROBES]):
        explains: list[Explained] = ["classes"] if name in PROBES else []
        if name in BOX_PROBES:
            explains.append("boxes")
        ask = PROBES[name].ask if name in PROBES else BOX_PROBES[name]
        yield _row(name, "probe", ask, explains, gradients=name in PROBES and "gradients" in PROBES[name].looks_at)


def _row(name: str, kind: Kind, call: Callable[..., Any], explains: Sequence[Explained], *, gradients: bool) -> MethodRow:
    text = TEXTS[kind].get(name) or Text(name, _first_line(call), "", "")
    return MethodRow(name, kind, tuple(explains), gradients, *text)


def _first_line(call: Callable[..., Any]) -> str:
    """What a function's documentation says first, "" where it has none."""
    return (call.__doc__ or "").strip().partition("\n")[0]

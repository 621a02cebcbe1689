"""What does here what names of openvino_xai 1.1.0 and before did, each in a phrase; `docs/migration.md` shows the calls."""

from __future__ import annotations

PAGE = "docs/migration.md"

# its modules: whoever imports from one is answered about the name, not about the module
MODULES = frozenset(
    """
    api api.api common common.parameters common.utils
    explainer explainer.explainer explainer.explanation explainer.explanation_parameters explainer.parameters explainer.utils
    explainer.visualizer inserter inserter.inserter inserter.model_parser inserter.parameters
    utils utils.model_export utils.torch
    """.split()
)
# its modules that are something else here, or may become it: a module of that name would hide it
GONE = {
    "methods": "`xai.insert(model, method='reciprocam')`, 'vit_reciprocam', 'activation_map' or 'class_probability', "
    "and `xai.probe(model, 'rise')` or 'aise'",
    "metrics": "`ovxai evaluate --metric adcc`, insertion, deletion or pointing_game",
}
_NAMES = {
    "`xai.load(xai.insert(model)).explain(image)`, or `ovxai explain`": "Explainer ExplainerParameters ExplainResult",
    "two calls, of which neither turns into the other: `xai.insert(model)`, and `xai.probe(model, 'aise')`": "ExplainMode",
    "`xai.Explanation`, with arrays in place of a dict: `targets`, and `maps` [K, h, w] in their order": "Explanation",
    "`xai.Prediction`, with `id`, `label` and `probability`": "Prediction",
    "no layouts: maps are [K, h, w], and pictures are drawn from them": (
        "Layout SaliencyMapLayout GRAY_LAYOUTS COLOR_MAPPED_LAYOUTS MULTIPLE_MAP_LAYOUTS ONE_MAP_LAYOUTS"
    ),
    "`xai.Explanation.overlay(colormap=..., opacity=...)`, `heatmap()` and `contours()`": (
        "Visualizer PostProcessor VisualizationParameters colormap overlay resize"
    ),
    "`xai.insert(model, scale='unit')`, 'u8' or 'none'": "scaling get_min_max",
    "`explain(image, targets='all')`, 'top:3', [281, 285] or labels": (
        "TargetExplainGroup ExplanationParameters convert_targets_to_numpy get_target_indices explains_all"
    ),
    "`xai.load(model).explain('photo.jpg')`, which reads, resizes and normalises photos; "
    "`configure(preprocessing='imagenet')` says how where the model does not": (
        "preprocess_fn get_preprocess_fn IdentityPreprocessFN PreprocessFn format_to_bhwc infer_size_from_image is_bhwc_layout"
    ),
    "`xai.insert(model, score='softmax')`, 'sigmoid' or 'logit'; the output that is read is `scores='NAME'`": (
        "postprocess_fn get_postprocess_fn ActivationType get_score check_classification_output"
    ),
    "`xai.probe(model, 'rise', settings=...)`; `ovxai explain` has `--masks` and `--evaluations`": "Preset",
    "the output `saliency_map`, as before": "SALIENCY_MAP_OUTPUT_NAME",
    "`xai.insert(model, method='reciprocam')`": "ReciproCAM",
    "`xai.insert(model, method='vit_reciprocam')`": "ViTReciproCAM",
    "`xai.insert(model, method='activation_map')`": "ActivationMap",
    "`xai.insert(model, method='class_probability')`": "DetClassProbabilityMap",
    "`xai.probe(model, 'rise').explain(image)`": "RISE",
    "`xai.probe(model, 'aise').explain(image)`": "AISEClassification AISEDetection AISEBase GaussianPerturbationMask",
    "a function in a table: CONTRIBUTING.md, Add a method": (
        "MethodBase WhiteBoxMethod FeatureMapPerturbationBase BlackBoxXAIMethod MethodFactory WhiteBoxMethodFactory "
        "BlackBoxMethodFactory"
    ),
    "two lists: `ovxai insert --help` has the methods of a hook, `ovxai explain --help` all of them": (
        "WhiteBoxXAIMethods BlackBoxXAIMethods ClassificationXAIMethods DetectionXAIMethods XAIMethodType"
    ),
    "`torch.onnx.export` or `openvino.convert_model`, and `xai.insert(model)` for what they write": (
        "TorchWhiteBoxMethod TorchActivationMap TorchReciproCAM TorchViTReciproCAM export_to_onnx export_to_ir torch"
    ),
    "`ovxai evaluate --metric adcc`": "ADCC",
    "`ovxai evaluate --metric insertion --metric deletion`": "InsertionDeletionAUC AUC",
    "`ovxai evaluate --metric pointing_game`": "PointingGame",
    "a function of a `Case`: CONTRIBUTING.md, Add a metric": "BaseMetric",
    "`xai.insert(model)`": "insert_xai_branch_into_model",
    "`xai.layers(model)`, which lists the layers, and `xai.insert(model, layer='NAME')`": "IRParser IRParserCls ModelType",
    "options of `xai.insert(model)`": "InsertionParameters ClassificationInsertionParameters DetectionInsertionParameters",
    "`xai.insert(model, boxes='xyxy')`, the format of the boxes where a model does not tell it": "check_detection_output",
    "`samples/models`, which need no network": "retrieve_otx_model",
    "functions of NumPy and SciPy": "sigmoid softmax",
    "`openvino.Model` and `openvino.CompiledModel`, or `onnx.ModelProto`": "Model CompiledModel",
    "no log: what is worth to know is a warning, and what is wrong an error": "logger handler formatter",
}
SUCCESSORS = {name: phrase for phrase, names in _NAMES.items() for name in names.split()}


def successor_of_module(place: str) -> str | None:
    """What is said of a module that 1.1.0 had and nothing stands in for; None where it had none of this name."""
    phrase = GONE.get(place.partition(".")[0])
    return None if phrase is None else _answer(f"the module {place}", phrase)


def successor(place: str, name: str) -> str | None:
    """What is said of a name that 1.1.0 had in its module `place`, "" for the package; None where it had none of this name."""
    if place and place not in MODULES:
        return None
    phrase = SUCCESSORS.get(name)
    return None if phrase is None else _answer(name, phrase)


def _answer(what: str, phrase: str) -> str:
    return f"{what} was in openvino_xai 1.1.0; ovxai has in its place: {phrase}. {PAGE} shows both"

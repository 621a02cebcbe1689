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
    "and `xai.explain(model, image, method='rise')` or 'aise'",
    "metrics": "`xai.metrics`, whose adcc, insertion, deletion and pointing_game are functions, and `ovxai evaluate`",
}
_NAMES = {
    "`xai.explain(model, image)`, or `ovxai explain`": "Explainer ExplainerParameters ExplainResult",
    "`xai.explain(model, image)` by a hook, and with `method='aise'` without; neither turns into the other": "ExplainMode",
    "`xai.Explanation`, with arrays in place of a dict: `targets`, and `maps` [K, h, w] in their order": "Explanation",
    "`xai.Prediction`, with `id`, `label` and `probability`": "Prediction",
    "no layouts: maps are [K, h, w], and pictures are drawn from them": (
        "Layout SaliencyMapLayout GRAY_LAYOUTS COLOR_MAPPED_LAYOUTS MULTIPLE_MAP_LAYOUTS ONE_MAP_LAYOUTS"
    ),
    "`xai.Explanation.overlay(colormap=..., opacity=...)`, `heatmap()`, `contours()` and `plot()`": (
        "Visualizer PostProcessor VisualizationParameters colormap overlay"
    ),
    "`xai.Explanation.maps_in_photo()`": "resize",
    "`xai.insert(model, scale='unit')`, 'u8' or 'none'": "scaling get_min_max",
    "`xai.explain(model, image, targets='all')`, 'top:3', [281, 285] or labels": (
        "TargetExplainGroup ExplanationParameters convert_targets_to_numpy get_target_indices explains_all"
    ),
    "`xai.explain(model, 'photo.jpg')`, which reads, resizes and normalises photos; "
    "`preprocess='imagenet'` says how where the model does not": (
        "preprocess_fn get_preprocess_fn IdentityPreprocessFN PreprocessFn format_to_bhwc infer_size_from_image is_bhwc_layout"
    ),
    "`xai.insert(model, score='softmax')`, 'sigmoid' or 'logit'; the output that is read is `scores='NAME'`": (
        "postprocess_fn get_postprocess_fn ActivationType get_score check_classification_output"
    ),
    "`xai.explain(model, image, method='rise', masks=1000)`, and `evaluations=50` of 'aise'": "Preset",
    "the output `saliency_map`, as before": "SALIENCY_MAP_OUTPUT_NAME",
    "`xai.insert(model, method='reciprocam')`": "ReciproCAM",
    "`xai.insert(model, method='vit_reciprocam')`": "ViTReciproCAM",
    "`xai.insert(model, method='activation_map')`": "ActivationMap",
    "`xai.insert(model, method='class_probability')`": "DetClassProbabilityMap",
    "`xai.explain(model, image, method='rise')`": "RISE",
    "`xai.explain(model, image, method='aise')`": "AISEClassification AISEDetection AISEBase GaussianPerturbationMask",
    "a function in a table: CONTRIBUTING.md, Add a method": (
        "MethodBase WhiteBoxMethod FeatureMapPerturbationBase BlackBoxXAIMethod MethodFactory WhiteBoxMethodFactory "
        "BlackBoxMethodFactory"
    ),
    "`xai.methods()`, which lists them all": (
        "WhiteBoxXAIMethods BlackBoxXAIMethods ClassificationXAIMethods DetectionXAIMethods XAIMethodType"
    ),
    "`torch.onnx.export` or `openvino.convert_model`, and `xai.insert(model)` for what they write": (
        "TorchWhiteBoxMethod TorchActivationMap TorchReciproCAM TorchViTReciproCAM export_to_onnx export_to_ir torch"
    ),
    "`xai.metrics.adcc`, or `ovxai evaluate --metric adcc`": "ADCC",
    "`xai.metrics.insertion` and `deletion`, or `ovxai evaluate`": "InsertionDeletionAUC AUC",
    "`xai.metrics.pointing_game`, or `ovxai evaluate`": "PointingGame",
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
    """What is said of a module, or of what was in it, that nothing stands in for; None where 1.1.0 had none of this name."""
    phrase = GONE.get(place.partition(".")[0])
    return None if phrase is None else _answer(place, phrase)


def successor(place: str, name: str) -> str | None:
    """What is said of a name that 1.1.0 had in its module `place`, "" for the package; None where it had none of this name."""
    if place and place not in MODULES:
        return None
    phrase = SUCCESSORS.get(name)
    return None if phrase is None else _answer(name, phrase)


def _answer(what: str, phrase: str) -> str:
    return f"{what} was in openvino_xai 1.1.0; ovxai has in its place: {phrase}. {PAGE} shows both"

"""Options that several commands share, by what they say."""

from openvino_xai.cli.options.command import takes_options, texts
from openvino_xai.cli.options.drawing import StyleOptions
from openvino_xai.cli.options.engine import EngineOptions
from openvino_xai.cli.options.flags import (
    ImageInput,
    Inputs,
    Json,
    Layout,
    ModelPath,
    PrefixTokens,
    ScoresNames,
    Similarity,
    TokenGrid,
)
from openvino_xai.cli.options.hook import HookOptions, LayerOptions
from openvino_xai.cli.options.memory import parse_bytes
from openvino_xai.cli.options.network import NetworkOptions, read_labels
from openvino_xai.cli.options.photos import find_photos, search_photos
from openvino_xai.cli.options.probing import ProbeOptions

__all__ = [
    "EngineOptions",
    "HookOptions",
    "ImageInput",
    "Inputs",
    "Json",
    "LayerOptions",
    "Layout",
    "ModelPath",
    "NetworkOptions",
    "PrefixTokens",
    "ProbeOptions",
    "ScoresNames",
    "Similarity",
    "StyleOptions",
    "TokenGrid",
    "find_photos",
    "parse_bytes",
    "read_labels",
    "search_photos",
    "takes_options",
    "texts",
]

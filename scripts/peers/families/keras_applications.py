"""Networks of keras.applications with seeded weights: ONNX by Keras' own export, TFLite in floats and in INT8, SavedModel."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

Export = tuple[str, str, Path, str | None]
CLASSES = 7
A = keras.applications


def flatten_dense(input_shape: tuple[int, int, int], classes: int, weights: None) -> Any:  # noqa: ARG001
    """Cells that a dense layer reads one by one, as LeNet and AlexNet have them."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Rescaling(1 / 127.5, -1),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ]
    )


# name: how it is made, and the side of its image
NETWORKS: dict[str, tuple[Callable[..., Any], int, dict[str, Any]]] = {
    "convnext_tiny": (A.ConvNeXtTiny, 64, {}),
    "densenet121": (A.DenseNet121, 64, {}),
    "efficientnet_b0": (A.EfficientNetB0, 64, {}),
    "efficientnetv2_b0": (A.EfficientNetV2B0, 64, {}),
    "inception_v3": (A.InceptionV3, 96, {}),
    "mobilenet": (A.MobileNet, 64, {"alpha": 0.25}),
    "mobilenetv2": (A.MobileNetV2, 64, {"alpha": 0.35}),
    "mobilenetv3_small": (A.MobileNetV3Small, 64, {}),
    "nasnet_mobile": (A.NASNetMobile, 64, {}),
    "resnet50": (A.ResNet50, 64, {}),
    "resnet50v2": (A.ResNet50V2, 64, {}),
    "xception": (A.Xception, 96, {}),
    "flatten_dense": (flatten_dense, 32, {}),
}
NAMES = tuple(NETWORKS)


def exports(name: str, folder: Path, exporters: list[str]) -> Iterator[Export]:
    keras.utils.set_random_seed(0)
    make, side, sizes = NETWORKS[name]
    network = make(input_shape=(side, side, 3), classes=CLASSES, weights=None, **sizes)
    network(np.zeros((1, side, side, 3), np.float32))  # what was never called has no signature to export
    for exporter in exporters:
        batch, suffix, export = EXPORTERS[exporter]
        file = folder / f"{name}_{exporter.replace(' ', '_')}_{batch}{suffix}"
        try:
            export(network, side, file)
        except Exception as error:  # exporters raise anything
            yield exporter, batch, file, f"{type(error).__name__}: {str(error).strip()}"[:200]
        else:
            yield exporter, batch, file, None


def to_onnx(network: Any, _: int, file: Path) -> None:
    network.export(str(file), format="onnx", verbose=False)


def to_saved_model(network: Any, _: int, file: Path) -> None:
    shutil.rmtree(file, ignore_errors=True)
    network.export(str(file), format="tf_saved_model", verbose=False)


def to_tflite(network: Any, side: int, file: Path) -> None:
    file.write_bytes(converter(network, side).convert())


def to_integers(network: Any, side: int, file: Path) -> None:
    """All in INT8, scores too, calibrated by noise."""
    rng = np.random.default_rng(0)
    convert = converter(network, side)
    convert.optimizations = [tf.lite.Optimize.DEFAULT]
    convert.representative_dataset = lambda: ([rng.uniform(0, 255, (1, side, side, 3)).astype(np.float32)] for _ in range(8))
    convert.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    convert.inference_input_type = convert.inference_output_type = tf.int8
    file.write_bytes(convert.convert())


def converter(network: Any, side: int) -> Any:
    """TensorFlow's to TFLite, for one image."""
    call = tf.function(lambda image: network(image, training=False))
    concrete = call.get_concrete_function(tf.TensorSpec((1, side, side, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(concrete)], network)


EXPORTERS: dict[str, tuple[str, str, Callable[[Any, int, Path], None]]] = {
    "keras": ("dynamic", ".onnx", to_onnx),
    "tflite": ("static", ".tflite", to_tflite),
    "tflite int8": ("static", ".tflite", to_integers),
    "savedmodel": ("dynamic", "", to_saved_model),
}

"""A step for Triton's Python backend: a model's map over its image, as PNG, with NumPy alone."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import triton_python_backend_utils as triton

PICTURE = "overlay"
SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Refused(Exception):
    """What cannot be drawn, as the client is told."""


class TritonPythonModel:
    """What the model answers is handed on, and, where it is asked for, drawn: the map of the most probable class that has one,
    over the image; nothing, b"", where an image is not explained.
    """

    def initialize(self, args):
        folder = Path(args["model_repository"]) / args["model_version"]
        facts = json.loads((folder / "overlay.json").read_text(encoding="utf-8"))
        self.roles, self.outputs = facts["roles"], facts["outputs"]
        self.classes, self.opacity = facts["classes"], facts["opacity"]
        self.mean, self.scale = np.array(facts["mean"]), np.array(facts["scale"])
        self.channels_first, self.is_rgb = facts["channels_first"], facts["is_rgb"]
        self.colours = np.array(facts["colours"], np.uint8)
        config = json.loads(args["model_config"])
        self.batched = config["max_batch_size"] > 0

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        wanted = request.requested_output_names()
        tensors = [
            triton.Tensor(name, triton.get_input_tensor_by_name(request, between).as_numpy())
            for name, between in self.outputs.items()
            if name in wanted
        ]
        if PICTURE in wanted:
            arrays = {role: triton.get_input_tensor_by_name(request, name).as_numpy() for role, name in self.roles.items()}
            try:
                pictures = self.pictures(arrays)
            except Refused as error:
                return triton.InferenceResponse(output_tensors=[], error=triton.TritonError(str(error)))
            array = np.array([*pictures, None], object)[:-1]  # of one item more: numpy makes no array of bytes of it
            tensors.append(triton.Tensor(PICTURE, array[:, None] if self.batched else array))
        return triton.InferenceResponse(tensors)

    def pictures(self, arrays):
        """One PNG an image."""
        count = len(arrays["image"])
        explained = arrays["gate"].reshape(count) if "gate" in arrays else np.ones(count, bool)
        chosen = self.chosen(arrays)
        return [
            png(self.drawn(self.photo(arrays["image"][place]), arrays["map"][place, chosen[place]]))
            if explained[place]
            else b""
            for place in range(count)
        ]

    def chosen(self, arrays):
        """For each image the index of the map of the most probable class."""
        scores = arrays["scores"].reshape(len(arrays["image"]), -1)
        classes = arrays.get("class", self.classes)
        if classes is None:
            return scores.argmax(axis=1)
        classes = np.broadcast_to(np.asarray(classes), (len(scores), np.shape(classes)[-1]))
        return np.take_along_axis(scores, classes.clip(0), axis=1).argmax(axis=1)

    def photo(self, image):
        """[H, W, 3] RGB bytes of what the model was fed."""
        pixels = image.transpose(1, 2, 0) if self.channels_first else image
        pixels = np.round(pixels * self.scale + self.mean).clip(0, 255).astype(np.uint8)
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels if self.is_rgb else pixels[..., ::-1]

    def drawn(self, photo, saliency):
        """The map, min-max scaled and bilinear between the centres of its cells, over the photo."""
        saliency = saliency.astype(np.float64)
        if not np.isfinite(saliency).all():
            raise Refused("the map holds numbers that are not finite")
        low, high = saliency.min(), saliency.max()
        levels = ((saliency - low) / (high - low or 1)).astype(np.float32).astype(np.float64)
        rows, columns = (between(cells, pixels) for cells, pixels in zip(saliency.shape, photo.shape))
        levels = mixed(mixed(levels, rows).T, columns).T
        heat = self.colours[np.round(levels.clip(0, 1) * 255).astype(np.uint8)]
        return np.round(photo * (1 - self.opacity) + heat * self.opacity).astype(np.uint8)


def between(cells, pixels):
    """For each pixel of a side the two cells around its centre, and the weight of the second."""
    places = ((np.arange(pixels) + 0.5) / pixels * cells - 0.5).clip(0, cells - 1)
    first = places.astype(np.int64)
    return first, np.minimum(first + 1, cells - 1), (places - first)[:, None]


def mixed(values, side):
    """Rows of pixels in place of rows of cells."""
    first, second, weight = side
    return values[first] * (1 - weight) + values[second] * weight


def png(picture):
    """[H, W, 3] RGB bytes as PNG (its specification, 5 and 7 - 11: truecolour of 8 bits, filter 0, one IDAT)."""
    height, width, _ = picture.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )

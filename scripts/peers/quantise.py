"""In the torch environment, which has NNCF: quantise an IR on random images. `quantise.py SOURCE OUTPUT`."""

from __future__ import annotations

import sys

import nncf
import numpy as np
import openvino as ov


def main(source: str, output: str) -> None:
    model = ov.Core().read_model(source)
    shape = list(model.inputs[0].shape)
    images = [np.random.default_rng(i).standard_normal(shape).astype(np.float32) for i in range(8)]
    ov.save_model(nncf.quantize(model, nncf.Dataset(images), subset_size=len(images)), output, compress_to_fp16=False)


if __name__ == "__main__":
    main(*sys.argv[1:])

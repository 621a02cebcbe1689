"""One model of the zoo, hooked and verified; one JSON object on standard output. `zoo_one.py MODEL onnx|ir`."""

from __future__ import annotations

import json
import sys

import openvino as ov

import openvino_xai as xai
from openvino_xai.errors import OutputsChanged, VerificationError


def main(path: str, dialect: str) -> None:
    model = path if dialect == "onnx" else ov.Core().read_model(path)
    try:
        hooked = xai.insert(model)
    except OutputsChanged as error:  # the hook is right, but the runtime would not keep every bit
        print(json.dumps({"became": "refused", "why": str(error)}))
    except VerificationError as error:
        print(json.dumps({"became": "wrong", "why": str(error)}))
    except xai.OvxaiError as error:
        print(json.dumps({"became": "refused", "why": str(error)}))
    else:
        assert hooked.verified is not None and hooked.layer.cost is not None
        told = {
            "layer": hooked.layer.name,
            "cost": round(hooked.layer.cost, 3),
            "difference": f"{hooked.verified.difference:.1e}",
        }
        print(json.dumps({"became": "explained", **told}))


if __name__ == "__main__":
    main(*sys.argv[1:])

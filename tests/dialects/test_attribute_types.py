"""An attribute of a type that its operation does not have is refused, with its name and type."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from tiny import CASES

import openvino_xai as xai
from openvino_xai.errors import ModelError

VALUES = [["a", "b"], "text", 1.5, onnx.numpy_helper.from_array(np.ones(2))]


@pytest.mark.parametrize("value", VALUES, ids=["texts", "text", "number", "tensor"])
@pytest.mark.parametrize("name", ["kernel_shape", "strides"])
def test_an_attribute_of_another_type_is_refused_by_name(name: str, value: object) -> None:
    model = CASES["max pool, flatten, linear"].build(1, 17)
    node = next(node for node in model.graph.node if node.op_type == "MaxPool")
    for attribute in [item for item in node.attribute if item.name == name]:
        node.attribute.remove(attribute)
    node.attribute.append(onnx.helper.make_attribute(name, value))
    with pytest.raises(ModelError, match=f"{name} of .* \\(MaxPool\\) is of type .*; INTS is expected"):
        xai.layers(model)

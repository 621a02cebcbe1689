"""Running a model, hooked or not, on OpenVINO or ONNX Runtime."""

"""The one form that every export starts from: an ONNX file lowered to a typed list of operators."""

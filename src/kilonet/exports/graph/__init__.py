"""The typed operator graph that exports start from, lowered from an ONNX file."""

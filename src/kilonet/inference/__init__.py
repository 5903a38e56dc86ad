"""Predict digits in pictures with an ONNX model, on ONNX Runtime; PyTorch is not imported."""

from kilonet.inference.predict import Prediction, Reader, reader

__all__ = ["Prediction", "Reader", "reader"]

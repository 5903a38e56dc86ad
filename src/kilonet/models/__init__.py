"""The networks: modules that map images to logits."""

from kilonet.models.base import Network
from kilonet.models.build import build
from kilonet.models.fixed import SimpleMNISTNet

__all__ = ["Network", "SimpleMNISTNet", "build"]

"""Networks by architecture: every one an ``nn.Module`` from images to logits."""

from kilonet.models.base import Network
from kilonet.models.build import build
from kilonet.models.fixed import SimpleMNISTNet

__all__ = ["Network", "SimpleMNISTNet", "build"]

"""Pictures from outside, prepared as MNIST's were: the one definition, in Python and JavaScript."""

from kilonet.pictures.failures import PictureError
from kilonet.pictures.prepare import prepare, split

__all__ = ["PictureError", "prepare", "split"]

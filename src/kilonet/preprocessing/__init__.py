"""Turn a picture file into network input, with NumPy and Pillow alone.

``prepare`` finds the one handwritten digit in a picture and returns it as a 28×28 MNIST image;
``split`` does so for every digit. ``letterbox`` resizes a whole picture, for networks that classify
something other than digits. ``prepare.js`` is the JavaScript port of ``prepare`` and ``split``.
"""

from kilonet.preprocessing.errors import PictureError
from kilonet.preprocessing.letterbox import letterbox
from kilonet.preprocessing.prepare import prepare, split

__all__ = ["PictureError", "letterbox", "prepare", "split"]

"""Pictures from outside, prepared as MNIST's were: the one definition, in Python and JavaScript.

For networks of other pictures ``fit`` scales them whole.
"""

from kilonet.preprocessing.failures import PictureError
from kilonet.preprocessing.fit import fit
from kilonet.preprocessing.prepare import prepare, split

__all__ = ["PictureError", "fit", "prepare", "split"]

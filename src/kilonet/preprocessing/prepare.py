"""The one definition of how a picture becomes what a classifier of MNIST expects."""

from __future__ import annotations

from kilonet.preprocessing.failures import NoiseError, SeveralDigitsError
from kilonet.preprocessing.frame import FadedError, Image28, frame, ready
from kilonet.preprocessing.ink import Ink, find_digits
from kilonet.preprocessing.opening import MOST_PIXELS, Source, open_picture


def prepare(source: Source, *, most_pixels: int = MOST_PIXELS) -> Image28:
    """Return the one digit in a picture, prepared as MNIST's images were: uint8 (28, 28).

    ``source`` is a path, the bytes of a file, a PIL image or an array (see ``open_picture``). Ink
    may be darker or lighter than what is around it; it comes out bright on 0. An image that is
    prepared already comes back as it is.

    Raises:
        PictureError: there is no digit, or more than one; the message says which, and what to do.
    """
    picture = open_picture(source, most_pixels=most_pixels)
    as_it_is = ready(picture.grey)
    if as_it_is is not None:
        return as_it_is
    digits = find_digits(picture)
    if len(digits) > 1:
        raise SeveralDigitsError(picture.name, len(digits))
    return _framed(digits[0], picture.name)


def split(source: Source, *, most_pixels: int = MOST_PIXELS) -> list[Image28]:
    """Return all digits of a picture, left to right, each prepared as by ``prepare``; at least one.

    Raises:
        PictureError: there is no digit.
    """
    picture = open_picture(source, most_pixels=most_pixels)
    as_it_is = ready(picture.grey)
    if as_it_is is not None:
        return [as_it_is]
    return [_framed(digit, picture.name) for digit in find_digits(picture)]


def _framed(digit: Ink, name: str) -> Image28:
    try:
        return frame(digit)
    except FadedError:
        raise NoiseError(name) from None

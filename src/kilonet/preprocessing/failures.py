"""What can be wrong with a picture: each failure names the picture and what to do about it."""

from __future__ import annotations

from typing import ClassVar

from kilonet.errors import KilonetError


class PictureError(KilonetError):
    """A picture cannot be prepared. ``kind`` names the reason in one word, for programs."""

    kind: ClassVar[str] = "picture"


class UnreadableError(PictureError):
    """The bytes are no picture, or not all of it, or the array has no pixels' shape or values."""

    kind = "unreadable"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"{name} cannot be read as a picture: {reason}. "
            "Give a whole PNG, JPEG, GIF, WebP, BMP, TIFF or PNM file."
        )


class TooLargeError(PictureError):
    """The picture has more pixels than are allowed; it has not been decoded."""

    kind = "too-large"

    def __init__(self, name: str, width: int, height: int, most: int) -> None:
        super().__init__(
            f"{name} has {width}×{height} pixels; at most {most:,} are allowed. Scale it down."
        )


class TooSmallError(PictureError):
    """The picture, or the ink in it, has too few pixels to tell digits apart."""

    kind = "too-small"

    def __init__(self, name: str, side: int, least: int) -> None:
        super().__init__(
            f"{name} is far too small: its ink measures {side} pixels, and a digit needs at least "
            f"{least}. Give it at a higher resolution."
        )


class BlankError(PictureError):
    """Nothing in the picture stands out from its background."""

    kind = "blank"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is blank: nothing in it stands out from its background. Give a picture of "
            "one digit, darker or lighter than what is around it."
        )


class NoiseError(PictureError):
    """What stands out does not hold together as strokes."""

    kind = "noise"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} shows only noise: nothing in it holds together as strokes. Give a picture "
            "of one digit, in better light or with a broader pen."
        )


class SeveralDigitsError(PictureError):
    """There are several digits side by side where one was expected."""

    kind = "several"

    def __init__(self, name: str, count: int) -> None:
        super().__init__(
            f"{name} shows {count} digits, and one was expected; --split reads them left to right "
            "(from Python: Reader.read_all)."
        )

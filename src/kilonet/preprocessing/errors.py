"""The errors for pictures that cannot be used. Each names the picture and says what to do."""

from __future__ import annotations

from typing import ClassVar

from kilonet.errors import KilonetError


class PictureError(KilonetError):
    """A picture cannot be prepared. ``kind`` is the reason in one word, for programs."""

    kind: ClassVar[str] = "picture"


class UnreadableError(PictureError):
    """The bytes are not a complete picture, or the array has an unsupported shape or dtype."""

    kind = "unreadable"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"{name} cannot be read as a picture: {reason}. "
            "Give a whole PNG, JPEG, GIF, WebP, BMP, TIFF or PNM file."
        )


class TooLargeError(PictureError):
    """The picture has more pixels than allowed. It was not decoded."""

    kind = "too-large"

    def __init__(self, name: str, width: int, height: int, limit: str) -> None:
        super().__init__(f"{name} has {width}×{height} pixels; {limit}. Scale it down.")


class TooSmallError(PictureError):
    """The picture, or the ink in it, has too few pixels to recognise a digit."""

    kind = "too-small"

    def __init__(self, name: str, side: int, min_side: int) -> None:
        super().__init__(
            f"{name} is far too small: its ink measures {side} pixels, and a digit needs at least "
            f"{min_side}. Give it at a higher resolution."
        )


class BlankError(PictureError):
    """Nothing in the picture differs from its background."""

    kind = "blank"

    def __init__(self, name: str, *, even: bool) -> None:
        """Name the picture; ``even`` says that not even faint ink can be in it."""
        remedy = "Give a picture of one digit, darker or lighter than its background."
        if not even:
            remedy += " If its ink is faint, press harder or photograph closer."
        super().__init__(f"{name} is blank: nothing in it stands out from its background. {remedy}")


class NoiseError(PictureError):
    """Something differs from the background, but it does not form strokes."""

    kind = "noise"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} shows only noise: nothing in it forms strokes. Give a picture of one digit, "
            "in better light or written with a broader pen."
        )


class SeveralDigitsError(PictureError):
    """The picture has several digits where one was expected."""

    kind = "several"

    def __init__(self, name: str, count: int) -> None:
        super().__init__(
            f"{name} shows {count} digits, and one was expected; --split reads them left to right "
            "(from Python: Reader.read_all)."
        )


class NotADigitError(PictureError):
    """What the picture shows is not like a digit: a letter, a drawing, a shadow."""

    kind = "not-a-digit"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} does not look like a digit. Give a picture of one digit; --force predicts "
            "the most similar digit (from Python: force=True)."
        )

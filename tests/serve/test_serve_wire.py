"""Frames, there and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kilonet.serve import wire

PICTURES = st.lists(
    st.builds(wire.Picture, st.sampled_from(["file", "pixels"]), st.binary(max_size=50))
)
OUTCOMES = st.lists(
    st.lists(st.floats(0, 1, width=32), max_size=10).map(tuple)
    | st.builds(wire.Refusal, st.text(), st.text())
)


def content_of(frame: bytes) -> bytes:
    (length,) = wire.LENGTH.unpack_from(frame)
    assert len(frame) == wire.LENGTH.size + length
    return frame[wire.LENGTH.size :]


@given(PICTURES)
def test_pictures(pictures: list[wire.Picture]) -> None:
    assert wire.unpack_pictures(content_of(wire.pack_pictures(pictures))) == pictures


@given(OUTCOMES)
def test_outcomes(outcomes: list[wire.Outcome]) -> None:
    assert wire.unpack_outcomes(content_of(wire.pack_outcomes(outcomes))) == outcomes

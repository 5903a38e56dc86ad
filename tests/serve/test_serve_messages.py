"""Messages are unpacked as they were packed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kilonet.inference.model import Classification
from kilonet.serve import messages

PICTURES = st.lists(
    st.builds(messages.RequestPicture, st.sampled_from(["file", "pixels"]), st.binary(max_size=50))
)
RESULTS = st.lists(
    st.builds(
        Classification,
        st.lists(st.floats(0, 1, width=32), max_size=10).map(tuple),
        st.none() | st.floats(0, 1),
        st.lists(st.text(), max_size=2).map(tuple),
    )
    | st.builds(messages.Refusal, st.text(), st.text())
)


def content_of(message: bytes) -> bytes:
    (length,) = messages.LENGTH.unpack_from(message)
    assert len(message) == messages.LENGTH.size + length
    return message[messages.LENGTH.size :]


@given(PICTURES)
def test_pictures(pictures: list[messages.RequestPicture]) -> None:
    assert messages.unpack_pictures(content_of(messages.pack_pictures(pictures))) == pictures


@given(RESULTS)
def test_results(results: list[messages.Result]) -> None:
    assert messages.unpack_results(content_of(messages.pack_results(results))) == results

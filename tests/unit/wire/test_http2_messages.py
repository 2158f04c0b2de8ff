"""gRPC messages come out of data as they went in, however it is cut."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire.http2.messages import Code, MessageReader, Refused
from tests.unit.wire.http2_peer import message


def pieces(data, cuts):
    ends = [*sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(0, 10_000)))
def test_messages_are_the_same_however_the_data_is_cut(sent, cuts):
    reader = MessageReader(longest=40)

    got = [
        one for piece in pieces(b"".join(map(message, sent)), cuts) for one in reader.feed(piece)
    ]

    assert got == sent
    assert reader.held == 0


@given(st.lists(st.binary(max_size=50)))
def test_garbage_is_messages_or_refused(chunks):
    reader = MessageReader(longest=40)
    with suppress(Refused):
        for chunk in chunks:
            reader.feed(chunk)
            assert reader.held < 45


def test_what_is_incomplete_is_counted():
    reader = MessageReader(longest=40)

    assert reader.feed(message(b"one") + message(b"another")[:8]) == [b"one"]
    assert reader.held == 8


@pytest.mark.parametrize("cut", [1, 4, 5, 6, None])
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (message(b"x", compressed=1), Code.UNIMPLEMENTED),
        (message(b"x" * 41), Code.RESOURCE_EXHAUSTED),
        (b"\x00\xff\xff\xff\xff", Code.RESOURCE_EXHAUSTED),
    ],
    ids=["compressed", "too long", "announced only"],
)
def test_what_cannot_be_taken_is_refused_as_soon_as_its_prefix_is_there(sent, code, cut):
    reader = MessageReader(longest=40)
    with pytest.raises(Refused) as refused:
        [reader.feed(piece) for piece in (sent[:cut], sent[len(sent[:cut]) :])]

    assert refused.value.code is code

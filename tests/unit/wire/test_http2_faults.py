"""Whatever a peer sends, a connection neither raises nor hangs: a stream or all of it ends."""

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire.http2 import frames
from sidecar.wire.http2.frames import ErrorCode, frame, number, settings
from tests.unit.wire.http2_peer import OPEN, block, message, opened, read, served

ACKED = frame(frames.SETTINGS, frames.ACK, 0)
TABLED = hpack.Encoder().encode([(":path", "/echo")])
PART = frame(frames.HEADERS, 0, 1, block())

FATAL = {
    "another protocol": (b"GET / HTTP/1.1\r\n\r\n", "PROTOCOL_ERROR"),
    "a preface that goes wrong": (frames.PREFACE[:20] + b"xxxx", "PROTOCOL_ERROR"),
    "no settings": (frames.PREFACE + frame(frames.PING, 0, 0, bytes(8)), "PROTOCOL_ERROR"),
    "only an acknowledgement": (frames.PREFACE + ACKED, "PROTOCOL_ERROR"),
    "a frame that is too long": (
        OPEN + b"\x00\x40\x01\x00\x00\x00\x00\x00\x01",
        "FRAME_SIZE_ERROR",
    ),
    "data of no stream": (OPEN + frame(frames.DATA, 0, 0, b"x"), "PROTOCOL_ERROR"),
    "data of an idle stream": (OPEN + frame(frames.DATA, 0, 1, b"x"), "PROTOCOL_ERROR"),
    "data of a server's stream": (OPEN + opened(3) + frame(frames.DATA, 0, 2), "PROTOCOL_ERROR"),
    "all padding": (OPEN + opened() + frame(frames.DATA, 8, 1, b"\x04abc"), "PROTOCOL_ERROR"),
    "no padding": (OPEN + opened() + frame(frames.DATA, 8, 1), "PROTOCOL_ERROR"),
    "headers of no stream": (OPEN + opened(0), "PROTOCOL_ERROR"),
    "headers of a server": (OPEN + opened(2), "PROTOCOL_ERROR"),
    "a cut priority": (OPEN + frame(frames.HEADERS, 0x24, 1, b"1234"), "FRAME_SIZE_ERROR"),
    "undecodable headers": (OPEN + frame(frames.HEADERS, 4, 1, b"\xff" * 9), "COMPRESSION_ERROR"),
    "cut headers": (OPEN + frame(frames.HEADERS, 4, 1, b"\x00\x05abc"), "COMPRESSION_ERROR"),
    "a table after it was forbidden": (OPEN + ACKED + opened(), "COMPRESSION_ERROR"),
    "a table that grows again": (
        OPEN + ACKED + frame(frames.HEADERS, 4, 1, b"\x3f\x01" + block()),
        "COMPRESSION_ERROR",
    ),
    "more headers than fit": (
        OPEN + frame(frames.HEADERS, 4, 1, TABLED + b"\xbe" * 9000),
        "ENHANCE_YOUR_CALM",
    ),
    "endless headers": (
        OPEN + PART + frame(frames.CONTINUATION, 0, 1, bytes(16_000)) * 5,
        "ENHANCE_YOUR_CALM",
    ),
    "endless empty headers": (
        OPEN + PART + frame(frames.CONTINUATION, 0, 1) * 8000,
        "ENHANCE_YOUR_CALM",
    ),
    "nothing to continue": (OPEN + frame(frames.CONTINUATION, 4, 1), "PROTOCOL_ERROR"),
    "a block of another stream": (OPEN + PART + frame(frames.CONTINUATION, 4, 3), "PROTOCOL_ERROR"),
    "a block interrupted": (OPEN + PART + frame(frames.PING, 0, 0, bytes(8)), "PROTOCOL_ERROR"),
    "a block interrupted by the unknown": (OPEN + PART + frame(99, 0, 1), "PROTOCOL_ERROR"),
    "a priority of nothing": (OPEN + frame(frames.PRIORITY, 0, 0, bytes(5)), "PROTOCOL_ERROR"),
    "a reset of an idle stream": (
        OPEN + frame(frames.RST_STREAM, 0, 1, bytes(4)),
        "PROTOCOL_ERROR",
    ),
    "a cut reset": (OPEN + opened() + frame(frames.RST_STREAM, 0, 1, b"x"), "FRAME_SIZE_ERROR"),
    "settings of a stream": (OPEN + frame(frames.SETTINGS, 0, 1), "PROTOCOL_ERROR"),
    "cut settings": (OPEN + frame(frames.SETTINGS, 0, 0, b"12345"), "FRAME_SIZE_ERROR"),
    "an acknowledgement of something": (
        OPEN + frame(frames.SETTINGS, 1, 0, bytes(6)),
        "FRAME_SIZE_ERROR",
    ),
    "too great a window": (
        OPEN + frame(frames.SETTINGS, 0, 0, settings({4: 2**31})),
        "FLOW_CONTROL_ERROR",
    ),
    "too short frames": (
        OPEN + frame(frames.SETTINGS, 0, 0, settings({5: 1000})),
        "PROTOCOL_ERROR",
    ),
    "too long frames": (
        OPEN + frame(frames.SETTINGS, 0, 0, settings({5: 2**24})),
        "PROTOCOL_ERROR",
    ),
    "half a push": (OPEN + frame(frames.SETTINGS, 0, 0, settings({2: 2})), "PROTOCOL_ERROR"),
    "a push": (OPEN + frame(frames.PUSH_PROMISE, 4, 1, bytes(4)), "PROTOCOL_ERROR"),
    "a ping of a stream": (OPEN + frame(frames.PING, 0, 1, bytes(8)), "PROTOCOL_ERROR"),
    "a short ping": (OPEN + frame(frames.PING, 0, 0, bytes(7)), "FRAME_SIZE_ERROR"),
    "a goodbye of a stream": (OPEN + frame(frames.GOAWAY, 0, 1, bytes(8)), "PROTOCOL_ERROR"),
    "a short goodbye": (OPEN + frame(frames.GOAWAY, 0, 0, bytes(7)), "FRAME_SIZE_ERROR"),
    "a window by nothing": (OPEN + frame(frames.WINDOW_UPDATE, 0, 0, bytes(4)), "PROTOCOL_ERROR"),
    "a window of an idle stream": (
        OPEN + frame(frames.WINDOW_UPDATE, 0, 1, number(1)),
        "PROTOCOL_ERROR",
    ),
    "a short window": (OPEN + frame(frames.WINDOW_UPDATE, 0, 0, bytes(3)), "FRAME_SIZE_ERROR"),
    "a window that overflows": (
        OPEN + frame(frames.WINDOW_UPDATE, 0, 0, number(2**31 - 1)),
        "FLOW_CONTROL_ERROR",
    ),
    "settings that overflow a window": (
        OPEN
        + opened()
        + frame(frames.WINDOW_UPDATE, 0, 1, number(2**31 - 70_000))
        + frame(frames.SETTINGS, 0, 0, settings({4: 100_000})),
        "FLOW_CONTROL_ERROR",
    ),
}


@pytest.mark.parametrize(("sent", "code"), FATAL.values(), ids=FATAL)
def test_a_peer_that_breaks_the_protocol_gets_goodbye(sent, code):
    answered, closed = served(sent)

    kind, _, stream, payload = read(answered)[-1]
    assert (kind, stream) == (frames.GOAWAY, 0)
    assert int.from_bytes(payload[4:8], "big") == ErrorCode[code]
    assert closed


RESET = {
    "no path": (frame(frames.HEADERS, 4, 1, b"\x83"), "PROTOCOL_ERROR"),
    "two paths": (frame(frames.HEADERS, 4, 1, b"\x84\x84"), "PROTOCOL_ERROR"),
    "data after the end": (
        opened(path="/later") + frame(frames.DATA, 1, 1, message(b"x")) + frame(frames.DATA, 0, 1),
        "STREAM_CLOSED",
    ),
    "headers after the end": (
        opened(path="/later") + frame(frames.DATA, 1, 1, message(b"x")) + opened(),
        "STREAM_CLOSED",
    ),
    "trailers that do not end": (opened() + opened(), "PROTOCOL_ERROR"),
    "a window by nothing": (
        opened() + frame(frames.WINDOW_UPDATE, 0, 1, bytes(4)),
        "PROTOCOL_ERROR",
    ),
    "a window that overflows": (
        opened() + frame(frames.WINDOW_UPDATE, 0, 1, number(2**31 - 1)),
        "FLOW_CONTROL_ERROR",
    ),
}


@pytest.mark.parametrize(("sent", "code"), RESET.values(), ids=RESET)
def test_a_stream_that_is_wrong_is_reset_and_the_others_go_on(sent, code):
    after = opened(5, "/once") + frame(frames.DATA, 1, 5, message(b"hello"))

    answered, closed = served(OPEN + sent + after)

    got = read(answered)
    assert (frames.RST_STREAM, 0, 1, number(ErrorCode[code])) in got
    assert (frames.DATA, 0, 5, message(b"hello")) in got
    assert not closed


IGNORED = {
    "an unknown frame": frame(77, 0xFF, 9, b"what"),
    "an unknown setting": frame(frames.SETTINGS, 0, 0, settings({99: 1})),
    "a priority": frame(frames.PRIORITY, 0, 7, bytes(5)),
    "a goodbye": frame(frames.GOAWAY, 0, 0, bytes(8)),
    "data of a closed stream": frame(frames.DATA, 0, 1, b"late"),
    "a reset of a closed stream": frame(frames.RST_STREAM, 0, 1, bytes(4)),
    "a window of a closed stream": frame(frames.WINDOW_UPDATE, 0, 1, number(5)),
    "trailers of a closed stream": opened(1, flags=5),
    "a second acknowledgement": ACKED * 2,
    "the reserved bit of a stream": frame(frames.WINDOW_UPDATE, 0, 2**31 + 1, number(5)),
}


@pytest.mark.parametrize("sent", IGNORED.values(), ids=IGNORED)
def test_what_comes_late_or_is_unknown_is_ignored(sent):
    closed_stream = opened() + frame(frames.DATA, 1, 1, message(b"x"))
    no_table = frame(frames.HEADERS, 4, 3, b"\x20" + block("/once"))

    answered, closed = served(
        OPEN + closed_stream + sent + no_table + frame(frames.DATA, 1, 3, message(b"y"))
    )

    got = read(answered)
    assert (frames.DATA, 0, 3, message(b"y")) in got
    assert len([one for one in got if one[2] == 1]) == 3, "headers, data and trailers of the first"
    assert not closed


def test_a_peer_that_never_stops_opening_streams_is_refused():
    answered, closed = served(OPEN + b"".join(opened(number) for number in range(1, 40_001, 2)))

    refused = frame(frames.RST_STREAM, 0, 32_769, number(ErrorCode.REFUSED_STREAM))
    assert refused in answered
    assert frame(frames.RST_STREAM, 0, 32_767, number(ErrorCode.REFUSED_STREAM)) not in answered
    assert not closed


_FLAGS = st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D, 255])
_NUMBERS = st.sampled_from([0, 1, 1, 1, 2, 3, 5, 2**31 - 1])
_PAYLOADS = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [block(), block("/later"), block("/once"), message(b"boom"), message(b"last"), number(9)]
    ),
)
_ANY_FRAME = st.builds(frame, st.integers(0, 10), _FLAGS, _NUMBERS, _PAYLOADS)


def _sound(answered, closed):
    got = read(answered)
    goodbyes = [one for one in got if one[0] == frames.GOAWAY]
    assert closed == bool(goodbyes), "closed with a goodbye, and only then"
    assert not goodbyes or got[-1] == goodbyes[0]
    assert b"secret" not in answered


@given(st.lists(st.binary(max_size=60)))
def test_garbage_ends_a_connection_or_nothing(chunks):
    _sound(*served(*chunks))
    _sound(*served(OPEN, *chunks))


@given(st.lists(_ANY_FRAME, max_size=30))
def test_frames_at_random_end_a_connection_or_nothing(sent):
    _sound(*served(OPEN, *sent))


_VALID = st.one_of(
    st.builds(
        opened, st.sampled_from([1, 3, 5]), st.sampled_from(["/echo", "/once", "/none", "/later"])
    ),
    st.builds(
        lambda stream, flags, sent: frame(frames.DATA, flags, stream, b"".join(map(message, sent))),
        st.sampled_from([1, 3, 5]),
        st.sampled_from([0, 0, 1]),
        st.lists(st.binary(max_size=20), max_size=3),
    ),
    st.builds(lambda: frame(frames.PING, 0, 0, b"12345678")),
    st.builds(lambda more: frame(frames.WINDOW_UPDATE, 0, 0, number(more)), st.integers(1, 99)),
    st.builds(lambda size: frame(frames.SETTINGS, 0, 0, settings({4: size})), st.integers(0, 99)),
    st.builds(
        lambda stream: frame(frames.RST_STREAM, 0, stream, bytes(4)), st.sampled_from([1, 3])
    ),
)


@given(st.lists(_VALID | _ANY_FRAME, max_size=20), st.data())
def test_the_answer_is_the_same_however_the_bytes_are_cut(sent, data):
    whole = OPEN + opened() + opened(3) + b"".join(sent)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=30).map(sorted))
    chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    assert served(*chunks) == served(whole) == served(*(bytes([byte]) for byte in whole))

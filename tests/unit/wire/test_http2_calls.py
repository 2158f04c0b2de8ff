"""gRPC's calls: messages in, replies and a status out."""

import hpack
import pytest

from sidecar.wire.http2 import frames, headers
from sidecar.wire.http2.calls import Room
from sidecar.wire.http2.frames import frame
from sidecar.wire.http2.headers import HeaderReader
from tests.unit.wire.http2_peer import Peer, Server, block, message, opened


def test_messages_of_one_frame_are_answered_in_order():
    peer = Peer()
    stream = peer.open()

    peer.say(stream, message(b"a") + message(b"") + message(b"last") + message(b"never"))

    sent = message(b"a") + message(b"") + message(b"last")
    assert peer.got(stream)[:2] == (sent, {"grpc-status": "0"})


def test_the_end_of_the_client_is_the_end_of_the_call():
    peer = Peer()
    stream = peer.open()
    peer.say(stream, message(b"a"), end=True)

    assert peer.got(stream) == (message(b"a"), {"grpc-status": "0"}, None)
    assert peer.status(peer.open(end=True)) == 0


def test_no_answer_is_a_status_alone():
    peer = Peer()

    stream = peer.ask("/silent", b"a")

    data, trailers, _ = peer.got(stream)
    assert data == b""
    assert trailers == {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-status": "0",
    }


@pytest.mark.parametrize(
    ("path", "sent", "end", "status", "text"),
    [
        ("/none", b"", False, 12, "unknown method"),
        ("/echo", message(b"a", compressed=1), False, 12, "compressed messages are not understood"),
        ("/echo", b"\x00\xff\xff\xff\xff", False, 8, "the message is too long"),
        ("/echo", message(b"abc")[:-1], True, 13, "the message is cut off"),
        ("/echo", message(b"boom"), False, 13, "the call failed"),
        ("/echo", message(b"a") + message(b"boom"), False, 13, "the call failed"),
    ],
)
def test_what_cannot_be_answered_has_a_status(path, sent, end, status, text):
    peer = Peer()
    stream = peer.open(path)
    if sent:
        peer.say(stream, sent, end=end)

    _, trailers, _ = peer.got(stream)
    assert (trailers["grpc-status"], trailers["grpc-message"]) == (str(status), text)
    assert peer.status(peer.ask("/once", b"next")) == 0


def test_an_answer_that_comes_later_ends_the_call():
    peer = Peer()
    stream = peer.ask("/later", b"last")
    assert peer.got(stream) == (b"", None, None)

    peer.later.landed(b"there", None)
    peer.pump()

    assert peer.got(stream)[:2] == (message(b"there"), {"grpc-status": "0"})


def test_messages_wait_for_the_answers_before_them():
    peer = Peer()
    stream = peer.ask("/later", b"a")
    first = peer.later.landed
    peer.later.landed = None
    peer.say(stream, message(b"b"), end=True)
    assert peer.later.landed is None

    first(b"A", None)
    peer.pump()
    assert peer.got(stream)[:2] == (message(b"A"), None)
    peer.later.landed(b"B", None)
    peer.pump()

    assert peer.got(stream) == (message(b"A") + message(b"B"), {"grpc-status": "0"}, None)


def test_an_answer_that_fails_later_says_no_more_than_that():
    peer = Peer()
    stream = peer.ask("/later", b"last")

    peer.later.landed(None, RuntimeError("secret"))
    peer.pump()

    assert peer.got(stream)[1]["grpc-message"] == "the call failed"


def test_a_cancelled_call_gives_up_its_answer():
    server = Server()
    server.tell(opened(1, "/later"), frame(frames.DATA, 0, 1, message(b"last")))

    server.tell(frame(frames.RST_STREAM, 0, 1, bytes(4)))
    server.later.landed(b"late", None)

    assert server.later.cancelled
    assert server.tell() == []


def test_a_lost_peer_gives_up_its_answers():
    peer = Peer()
    peer.ask("/later", b"last")

    peer.http.lose()

    assert peer.later.cancelled


def test_too_many_messages_behind_a_late_answer_are_refused():
    peer = Peer()
    stream = peer.ask("/later", b"a")

    peer.say(stream, message(b"") * 101)

    assert peer.status(stream) == 8
    assert peer.later.cancelled


def test_a_connection_holds_so_much_and_no_more():
    peer = Peer(room=Room(message=1000, held=2500))
    streams = [peer.open() for _ in range(3)]
    for stream in streams:
        peer.say(stream, message(b"x" * 995)[:-1])

    assert [peer.status(stream) for stream in streams] == [None, None, 8]
    peer.say(streams[0], b"x")
    after = peer.open()
    peer.say(after, message(b"x" * 995)[:-1])
    assert peer.status(after) is None, "what is answered is not held"


def test_a_peer_that_takes_no_answers_gets_no_more():
    peer = Peer(room=Room(message=50_000, held=100_000))

    streams = [peer.ask("/once", b"x" * 50_000) for _ in range(5)]

    errors = [peer.got(stream)[2] for stream in streams]
    assert errors == [0, None, None, 11, 11]
    assert peer.http.unsent <= 100_000


def test_the_same_block_is_decoded_once_when_no_table_is_allowed():
    reader, decoded = HeaderReader(), []
    decode = reader._decoder.decode
    reader._decoder.decode = lambda *given, **named: decoded.append(1) or decode(*given, **named)

    for _ in range(2):
        assert reader.path(block()) == b"/echo"
    reader.forbid_table()
    for _ in range(3):
        assert reader.path(b"\x20" + block()) == b"/echo"

    assert len(decoded) == 3


def test_blocks_that_refer_to_a_table_mean_what_it_holds():
    reader, encoder = HeaderReader(), hpack.Encoder()
    newest = b"\xbe"
    for path in ("/a", "/b"):
        assert reader.path(encoder.encode([(":path", path)])) == path.encode()
        assert reader.path(newest) == path.encode()


def test_no_more_blocks_are_kept_than_some():
    reader = HeaderReader()
    reader.forbid_table()
    for at in range(1000):
        path = f"/{at}"
        assert reader.path(b"\x20" + block(path)) == path.encode()
    assert reader.path(b"\x20" + block("/" + "x" * 2000)) == b"/" + b"x" * 2000

    assert len(reader._kept) <= headers._MOST_KEPT
    assert max(map(len, reader._kept)) <= headers._LONGEST_KEPT

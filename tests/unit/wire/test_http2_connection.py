"""Streams, windows and settings, against the `h2` library as a client."""

import h2.events
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from sidecar.wire.http2 import frames
from sidecar.wire.http2.calls import Room
from sidecar.wire.http2.frames import frame, number, settings
from tests.unit.wire.http2_peer import OPEN, Peer, Server, block, message, opened, read, served


def window_of(size):
    return frame(frames.SETTINGS, 0, 0, settings({frames.INITIAL_WINDOW_SIZE: size}))


def sent_data(answered):
    return b"".join(payload for kind, _, _, payload in answered if kind == frames.DATA)


def resize(peer, **settings):
    peer.client.update_settings(
        {getattr(SettingCodes, name.upper()): value for name, value in settings.items()}
    )
    peer.pump()


def test_settings_say_what_a_peer_may_do():
    settings = Peer().client.remote_settings

    assert settings.header_table_size == 0
    assert settings.max_concurrent_streams == 16_384
    assert settings.initial_window_size == 1_000_000 + 65_536
    assert settings.max_frame_size == 16_384


def test_settings_and_pings_are_acknowledged():
    peer = Peer()
    peer.client.ping(b"whatever")
    peer.pump()

    assert peer.all(h2.events.SettingsAcknowledged)
    assert [event.ping_data for event in peer.all(h2.events.PingAckReceived)] == [b"whatever"]


def test_an_answer_is_headers_data_trailers_and_the_end_of_a_client_that_goes_on():
    peer = Peer()

    stream = peer.ask("/once", b"hello")

    (response,) = peer.all(h2.events.ResponseReceived)
    assert dict(response.headers) == {":status": "200", "content-type": "application/grpc"}
    data, trailers, error = peer.got(stream)
    assert (data, trailers) == (message(b"hello"), {"grpc-status": "0"})
    assert error is ErrorCodes.NO_ERROR


def test_a_client_that_has_said_all_is_not_reset():
    peer = Peer()
    stream = peer.open("/once")

    peer.say(stream, message(b"hello"), end=True)

    assert peer.got(stream) == (message(b"hello"), {"grpc-status": "0"}, None)


def test_an_answer_waits_for_the_streams_window():
    peer = Peer(settings={SettingCodes.INITIAL_WINDOW_SIZE: 10})
    stream = peer.ask("/once", b"x" * 20)
    first = peer.got(stream)

    peer.client.increment_flow_control_window(14, stream)
    peer.pump()
    second = peer.got(stream)
    peer.client.increment_flow_control_window(1, stream)
    peer.pump()

    answer = message(b"x" * 20)
    assert first == (answer[:10], None, None)
    assert second == (answer[:24], None, None)
    assert peer.got(stream)[:2] == (answer, {"grpc-status": "0"})
    assert peer.http.unsent == 0


def test_answers_wait_for_the_connections_window_without_holding_up_the_rest():
    peer = Peer()
    streams = [peer.ask("/once", b"x" * 40_000) for _ in range(4)]
    small = peer.open("/none")
    got = [len(peer.got(stream)[0]) for stream in streams]

    peer.client.increment_flow_control_window(200_000)
    peer.pump()

    assert got == [40_005, 65_535 - 40_005, 0, 0]
    assert peer.status(small) == 12
    assert [peer.got(stream)[0] for stream in streams] == [message(b"x" * 40_000)] * 4


def test_a_window_that_shrinks_below_nothing_is_filled_up_first():
    server, answer = Server(), message(b"x" * 995)
    server.tell(window_of(600), opened(path="/once"))
    first = server.tell(frame(frames.DATA, 1, 1, answer))

    shrunk = server.tell(window_of(100))  # 500 below nothing
    nearly = server.tell(frame(frames.WINDOW_UPDATE, 0, 1, number(500)))
    some = server.tell(frame(frames.WINDOW_UPDATE, 0, 1, number(1)))
    rest = server.tell(window_of(1000))

    assert sent_data(first) == answer[:600]
    assert sent_data(shrunk) == sent_data(nearly) == b""
    assert sent_data(some) == answer[600:601]
    assert sent_data(rest) == answer[601:]
    assert rest[-2][:3] == (frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1)


def test_frames_are_no_longer_than_the_peer_takes():
    peer = Peer(settings={SettingCodes.INITIAL_WINDOW_SIZE: 60_000})
    peer.ask("/once", b"x" * 40_000)
    short = [len(event.data) for event in peer.all(h2.events.DataReceived)]
    peer.events.clear()

    resize(peer, max_frame_size=20_000)
    peer.client.increment_flow_control_window(60_000)
    peer.ask("/once", b"x" * 40_000)

    assert max(short) == 16_384
    assert [len(event.data) for event in peer.all(h2.events.DataReceived)] == [20_000, 20_000, 5]


def test_a_reset_stream_gives_back_what_waited():
    peer = Peer(settings={SettingCodes.INITIAL_WINDOW_SIZE: 10})
    stream = peer.ask("/once", b"x" * 20)
    waiting = peer.http.unsent

    peer.client.reset_stream(stream)
    peer.pump()
    resize(peer, initial_window_size=1000)

    assert (waiting, peer.http.unsent) == (15, 0)
    assert len(peer.got(stream)[0]) == 10


@pytest.mark.parametrize("size", [0, 20_000, 60_000], ids=["one", "two", "four"])
def test_headers_of_several_frames_are_one_block(size):
    peer = Peer()
    peer.client.remote_settings[SettingCodes.MAX_HEADER_LIST_SIZE] = 2**20

    stream = peer.ask("/once", b"hello", **{"x-long": "x" * size})

    assert peer.got(stream)[0] == message(b"hello")


@pytest.mark.parametrize("pad", [0, 1, 255])
def test_padding_is_not_data(pad):
    peer = Peer()
    stream = peer.open("/once")

    peer.say(stream, message(b"x" * 50_000), pad=pad)

    assert peer.got(stream)[0] == message(b"x" * 50_000)


def test_padded_headers_with_a_priority_are_headers():
    payload = b"\x02" + bytes(5) + block("/once") + bytes(2)
    sent = frame(
        frames.HEADERS, frames.END_HEADERS | frames.PADDED | frames.WITH_PRIORITY, 1, payload
    )

    answered, _ = served(OPEN + sent + frame(frames.DATA, 0, 1, message(b"y")))

    assert (frames.DATA, 0, 1, message(b"y")) in read(answered)


def test_the_peers_windows_are_widened_as_it_sends():
    peer = Peer(room=Room(message=100_000, held=10**9))
    stream = peer.open("/echo")
    peer.client.increment_flow_control_window(2**30)
    peer.client.increment_flow_control_window(2**30, stream)

    for _ in range(50):
        peer.say(stream, message(b"x" * 90_000))

    assert len(peer.got(stream)[0]) == 50 * 90_005


def test_the_connections_window_is_widened_before_it_is_used_up():
    server = Server()
    server.http._streams._credit = 2**30 + 5
    server.tell(opened(1, "/later"))

    assert server.tell(frame(frames.DATA, 0, 1, bytes(5) + b"\x00")) == []
    widened = server.tell(frame(frames.DATA, 0, 1, bytes(1)))

    assert widened == [(frames.WINDOW_UPDATE, 0, 0, number(2**30 + 1))]


def test_data_behind_a_finished_answer_is_dropped():
    server = Server()
    server.tell(window_of(10), opened(path="/once"), frame(frames.DATA, 0, 1, message(b"x" * 20)))

    assert server.tell(frame(frames.DATA, 1, 1, message(b"more"))) == []
    rest = server.tell(frame(frames.WINDOW_UPDATE, 0, 1, number(100)))

    assert [one[0] for one in rest] == [frames.DATA, frames.HEADERS]


def test_our_encoder_keeps_no_table_whatever_the_peer_allows():
    peer = Peer(settings={SettingCodes.HEADER_TABLE_SIZE: 0})
    first = peer.ask("/once", b"a")
    resize(peer, header_table_size=4096)
    second = peer.ask("/once", b"b")
    resize(peer, header_table_size=100)
    third = peer.open("/none")

    assert [peer.status(stream) for stream in (first, second, third)] == [0, 0, 12]


def test_a_peer_that_is_asked_to_leave_is_served_until_it_knows():
    server = Server()
    server.tell(opened(1, "/echo"))
    server.http.leave()
    asked, ping = server.tell()
    late = server.tell(opened(3, "/once"), frame(frames.DATA, 0, 3, message(b"late")))
    final = server.tell(frame(frames.PING, frames.ACK, 0, ping[3]))

    assert asked == (frames.GOAWAY, 0, 0, number(2**31 - 1) + bytes(4))
    assert sent_data(late) == message(b"late")
    assert final == [(frames.GOAWAY, 0, 0, number(3) + bytes(4))]
    assert not server.http.closed, "a call still runs"
    refused = server.tell(opened(5))
    assert refused == [(frames.RST_STREAM, 0, 5, number(7))]
    bye = server.tell(frame(frames.DATA, 1, 1, message(b"bye")))
    assert sent_data(bye) == message(b"bye")
    assert server.http.closed


def test_an_idle_peer_that_is_asked_to_leave_is_gone_when_it_knows():
    server = Server()
    server.http.leave()
    server.http.leave()
    _, ping = server.tell()
    server.tell(frame(frames.PING, frames.ACK, 0, b"whatever"))
    assert not server.http.closed

    final = server.tell(frame(frames.PING, frames.ACK, 0, ping[3]) + opened())

    assert final == [(frames.GOAWAY, 0, 0, bytes(8))]
    assert server.http.closed
    assert server.tell(opened()) == []

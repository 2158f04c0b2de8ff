"""Our gRPC server on a socket, against gRPC's own client and against peers that misbehave."""

import asyncio
import socket

import grpc
import pytest

from sidecar.wire.exchange import Reply
from sidecar.wire.http2 import frames
from sidecar.wire.http2.calls import Room
from sidecar.wire.http2.frames import FrameReader, frame
from sidecar.wire.http2.protocol import GrpcProtocol
from tests.unit.wire.http2_peer import OPEN, message, opened

MESSAGE = 33 * 1024 * 1024


class Server:
    """A server whose slow calls say when they begin and when they are given up."""

    def __init__(self, path):
        self.path = path
        self.began, self.cancelled, self.go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.connections = []
        self.services = {
            b"/t/Once": lambda: lambda message: Reply(message, last=True),
            b"/t/Echo": lambda: lambda message: Reply(message, last=message == b"last"),
            b"/t/Slow": lambda: lambda message: Reply(None, last=True, later=self.slow(message)),
            b"/t/Broken": lambda: self.broken,
        }

    @staticmethod
    def broken(message):
        raise RuntimeError("secret")

    async def slow(self, message):
        self.began.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return message

    def connect(self):
        self.connections.append(GrpcProtocol(self.services, Room(MESSAGE, 4 * MESSAGE)))
        return self.connections[-1]

    async def gone(self):
        _, left = await asyncio.wait([one.gone for one in self.connections], timeout=10)
        assert not left


@pytest.fixture
async def server(tmp_path):
    made = Server(tmp_path / "test.sock")
    listening = await asyncio.get_running_loop().create_unix_server(made.connect, made.path)
    yield made
    listening.close()
    for connection in made.connections:
        connection.abort()
    if made.connections:
        await made.gone()


@pytest.fixture
async def channel(server):
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"unix:{server.path}", options=options) as made:
        yield made


async def test_a_unary_call_is_answered(channel):
    assert await channel.unary_unary("/t/Once")(b"hello") == b"hello"


async def test_a_stream_is_answered_message_by_message(channel):
    call = channel.stream_stream("/t/Echo")()

    for number in range(50):
        await call.write(b"%d" % number)
        assert await call.read() == b"%d" % number
    await call.write(b"last")

    assert await call.read() == b"last"
    assert await call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 70_000, 32 * 1024 * 1024])
async def test_messages_of_any_size_go_both_ways(channel, size):
    sent = bytes(range(256)) * (size // 256) + bytes(size % 256)

    assert await channel.unary_unary("/t/Once")(sent, timeout=60) == sent


async def test_many_calls_run_at_once(channel):
    async def ask(number):
        return await channel.unary_unary("/t/Once")(b"%d" % number * 1000)

    answers = await asyncio.gather(*map(ask, range(300)))

    assert answers == [b"%d" % number * 1000 for number in range(300)]


@pytest.mark.parametrize(
    ("path", "sent", "code"),
    [
        ("/t/None", b"", grpc.StatusCode.UNIMPLEMENTED),
        ("/t/Broken", b"", grpc.StatusCode.INTERNAL),
        ("/t/Once", bytes(MESSAGE + 1), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
async def test_a_failed_call_has_a_status_and_the_next_one_is_answered(channel, path, sent, code):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await channel.unary_unary(path)(sent)

    assert failed.value.code() is code
    assert "secret" not in failed.value.details()
    assert await channel.unary_unary("/t/Once")(b"hello") == b"hello"


async def test_compressed_messages_are_refused(channel):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await channel.unary_unary("/t/Once")(bytes(10_000), compression=grpc.Compression.Gzip)

    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_cancelled_call_gives_up_its_answer(server, channel):
    call = channel.unary_unary("/t/Slow")(b"hello")
    await server.began.wait()

    call.cancel()

    await asyncio.wait_for(server.cancelled.wait(), 10)
    assert await channel.unary_unary("/t/Once")(b"hello") == b"hello"


async def test_a_call_past_its_deadline_gives_up_its_answer(server, channel):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await channel.unary_unary("/t/Slow")(b"hello", timeout=0.2)

    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(server.cancelled.wait(), 10)


async def test_a_slow_answer_does_not_hold_up_others(server, channel):
    slow = asyncio.ensure_future(channel.unary_unary("/t/Slow")(b"slow"))
    await server.began.wait()

    assert await channel.unary_unary("/t/Once")(b"hello") == b"hello"
    server.go_on.set()
    assert await slow == b"slow"


async def test_a_connection_that_leaves_finishes_its_calls(server, channel):
    slow = asyncio.ensure_future(channel.unary_unary("/t/Slow")(b"slow"))
    await server.began.wait()
    (connection,) = server.connections

    connection.leave()
    assert await channel.unary_unary("/t/Once")(b"hello") == b"hello"
    assert not connection.gone.done()
    server.go_on.set()

    assert await slow == b"slow"
    await asyncio.wait_for(asyncio.shield(connection.gone), 10)


async def until_closed(reader):
    """All frames of a server, until it closes."""
    got = FrameReader()
    assert not list(got.feed(frames.PREFACE))
    return list(got.feed(await asyncio.wait_for(reader.read(), 10)))


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", OPEN + b"\xff" * 100], ids=["1.1", "ff"]
)
async def test_a_wrong_peer_is_told_and_closed(server, channel, sent):
    reader, writer = await asyncio.open_unix_connection(server.path)
    writer.write(sent)

    assert (await until_closed(reader))[-1][0] == frames.GOAWAY

    writer.close()
    await writer.wait_closed()
    assert await channel.unary_unary("/t/Once")(b"hello") == b"hello"


async def test_an_error_of_ours_costs_one_connection(server, channel, monkeypatch):
    reader, writer = await asyncio.open_unix_connection(server.path)
    monkeypatch.setattr(FrameReader, "feed", Server.broken)
    writer.write(OPEN)
    await asyncio.sleep(0.1)
    monkeypatch.undo()

    *_, (kind, _, _, payload) = await until_closed(reader)

    assert (kind, payload) == (frames.GOAWAY, bytes(7) + b"\x02")
    writer.close()
    await writer.wait_closed()
    assert await channel.unary_unary("/t/Once")(b"hello") == b"hello"


async def test_a_peer_that_goes_away_gives_up_its_answers(server):
    _, writer = await asyncio.open_unix_connection(server.path)
    writer.write(OPEN + opened(1, "/t/Slow") + frame(frames.DATA, 0, 1, message(b"hello")))
    await server.began.wait()

    writer.close()
    await writer.wait_closed()

    await asyncio.wait_for(server.cancelled.wait(), 10)
    await server.gone()


async def test_a_peer_that_does_not_read_is_not_read_either(server):
    """Pings are answered without any window, so only the socket can hold them up."""
    peer = socket.socket(socket.AF_UNIX)
    peer.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(peer, str(server.path))
    await loop.sock_sendall(peer, OPEN)
    pings = frame(frames.PING, 0, 0, b"12345678") * 10_000
    sent = 0

    async def flood():
        nonlocal sent
        while sent < 50_000_000:
            await loop.sock_sendall(peer, pings)
            sent += len(pings)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flood(), 2)
    got = 0
    while got < sent:
        got += len(await asyncio.wait_for(loop.sock_recv(peer, 2**20), 10))
    peer.close()

    assert sent < 10_000_000
    await server.gone()

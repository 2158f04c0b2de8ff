"""The other end of a connection, in memory: the `h2` library as a client, or frames by hand."""

import h2.config
import h2.connection
import h2.events
import hpack

from sidecar.wire.exchange import Reply
from sidecar.wire.http2 import frames
from sidecar.wire.http2.calls import Calls, Room
from sidecar.wire.http2.frames import FrameReader, frame

ROOM = Room(message=1_000_000, held=3_000_000)
OPEN = frames.PREFACE + frame(frames.SETTINGS, 0, 0)


def message(payload, compressed=0):
    return bytes((compressed,)) + len(payload).to_bytes(4, "big") + payload


def echo(payload):
    """Answer with the message; `last` ends the call, `boom` is a fault of ours."""
    if payload == b"boom":
        raise RuntimeError("secret")
    return Reply(payload, last=payload == b"last")


class Later:
    """Answers that are not known before `land` is called."""

    def __init__(self):
        self.landed = self.cancelled = None

    def __call__(self, _awaitable, landed):
        self.landed = landed
        self.cancelled = False
        return self

    def cancel(self):
        self.cancelled = True


SERVICES = {
    b"/echo": lambda: echo,
    b"/once": lambda: lambda payload: Reply(payload, last=True),
    b"/silent": lambda: lambda _payload: Reply(None, last=True),
    b"/later": lambda: lambda payload: Reply(None, last=payload == b"last", later=payload),
}


def headers(path, **more):
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "worker"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *more.items(),
    ]


def block(path="/echo", **more):
    """A header block that leaves no trace in the table."""
    fields = [hpack.NeverIndexedHeaderTuple(*field) for field in headers(path, **more)]
    return hpack.Encoder().encode(fields, huffman=False)


def opened(stream=1, path="/echo", flags=frames.END_HEADERS):
    return frame(frames.HEADERS, flags, stream, block(path))


def served(*chunks):
    """What a connection answers to these chunks, and whether it is closed then."""
    http = Calls(SERVICES, ROOM, Later()).connection
    for chunk in chunks:
        http.receive(chunk)
    return http.take(), http.closed


def read(sent):
    """The frames in what a server has sent."""
    reader = FrameReader()
    assert not list(reader.feed(frames.PREFACE))
    return list(reader.feed(sent))


class Server:
    """A connection that is told frames by hand."""

    def __init__(self, room=ROOM):
        self.later = Later()
        self.http = Calls(SERVICES, room, self.later).connection
        self.tell(OPEN)

    def tell(self, *sent):
        """Return the frames that these are answered with."""
        for one in sent:
            self.http.receive(one)
        return read(self.http.take())


class Peer:
    """A client of the `h2` library that is wired to a connection: all that it asks is served."""

    def __init__(self, room=ROOM, settings=None):
        self.later = Later()
        self.http = Calls(SERVICES, room, self.later).connection
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.client = h2.connection.H2Connection(config)
        if settings:
            self.client.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.client.initiate_connection()
        self.events = []
        self.pump()

    def pump(self):
        """Pass bytes both ways until there are none."""
        while True:
            there, back = self.client.data_to_send(), self.http.take()
            if not there and not back:
                return
            self.http.receive(there)
            self.events += self.client.receive_data(back)

    def open(self, path="/echo", end=False, **more):
        stream = self.client.get_next_available_stream_id()
        self.client.send_headers(stream, headers(path, **more), end_stream=end)
        self.pump()
        return stream

    def say(self, stream, data, end=False, pad=None):
        """Send data in as many frames as windows and settings demand."""
        while data:
            room = self.client.local_flow_control_window(stream)
            size = min(len(data), room, self.client.max_outbound_frame_size - (pad or 0) - 1)
            assert size > 0, "a window that is not widened"
            piece, data = data[:size], data[size:]
            self.client.send_data(stream, piece, end_stream=end and not data, pad_length=pad)
            self.pump()

    def ask(self, path, payload, **more):
        stream = self.open(path, **more)
        self.say(stream, message(payload))
        return stream

    def got(self, stream):
        """The data, the trailers and the error that a stream has got."""
        data, trailers, error = b"", None, None
        for event in self.events:
            if getattr(event, "stream_id", None) != stream:
                continue
            if isinstance(event, h2.events.DataReceived):
                data += event.data
            elif isinstance(event, h2.events.TrailersReceived):
                trailers = dict(event.headers)
            elif isinstance(event, h2.events.ResponseReceived) and trailers is None:
                fields = dict(event.headers)
                trailers = fields if "grpc-status" in fields else None
            elif isinstance(event, h2.events.StreamReset):
                error = event.error_code
        return data, trailers, error

    def status(self, stream):
        _, trailers, _ = self.got(stream)
        return trailers and int(trailers["grpc-status"])

    def all(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

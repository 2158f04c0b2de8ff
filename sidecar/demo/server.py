"""A simulated model's HTTP server: the model's paths, and the control endpoint for faults."""

import asyncio
import itertools
import os
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncIterator

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sidecar.demo.ask import Ask, Refusal
from sidecar.demo.behaviour import Behaviour, Dial
from sidecar.demo.seen import KEPT_REQUESTS, Seen
from sidecar.demo.shapes import SHAPES, Reply, embeddings, error
from sidecar.model import OPERATIONS, Operation

ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Model:
    """One simulated model behind HTTP.

    ``any_model`` answers for every model name; else a name that is not its own gets 404.
    """

    def __init__(self, name: str, behaviour: Behaviour, *, any_model: bool = False) -> None:
        self.name = name
        self.any_model = any_model
        self.dial = Dial(behaviour)
        self.seen: deque[Seen] = deque(maxlen=KEPT_REQUESTS)
        self._numbers = itertools.count(1)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/_control", self.control, methods=["GET", "PUT", "PATCH", "DELETE"]),
                Route("/_control/requests", self.requests, methods=["GET", "DELETE"]),
                Route("/{path:path}", self.serve, methods=ANY),
            ]
        )

    async def health(self, _: Request) -> Response:
        """Answer a health check, which takes part in no fault and is not recorded."""
        return as_json({"status": "ok", "model": self.name})

    async def control(self, request: Request) -> Response:
        """Show or change the behaviour."""
        if request.method == "DELETE":
            self.dial.reset()
        elif request.method != "GET":
            try:
                self.dial.merge(await request.body())
            except msgspec.DecodeError as fault:
                return as_json(error(None, Refusal(400, str(fault))), 400)
        return as_json({"model": self.name, **msgspec.structs.asdict(self.dial.now)})

    async def requests(self, request: Request) -> Response:
        """Show or forget the requests as they were received, oldest first."""
        if request.method == "DELETE":
            self.seen.clear()
        return as_json(list(self.seen))

    async def serve(self, request: Request) -> Response:
        """Answer a request to the model, or fail as told."""
        body = await request.body()
        self.seen.append(Seen.of(request.scope, body))
        operation = OPERATIONS.get(request.url.path)
        behaviour = self.dial.take()
        if behaviour.reset:
            return await _reset(request)
        if behaviour.hang:
            return await _hang(request)
        await asyncio.sleep(behaviour.latency_ms / 1000)
        try:
            return await self._answer(request, operation, body, behaviour)
        except Refusal as refusal:
            wait = behaviour.retry_after
            headers = {} if wait is None else {"retry-after": str(wait)}
            return as_json(error(operation, refusal), refusal.status, headers)

    async def _answer(
        self, request: Request, operation: Operation | None, body: bytes, behaviour: Behaviour
    ) -> Response:
        if behaviour.error_status is not None:
            raise Refusal(behaviour.error_status, f"{self.name} was told to fail.")
        if request.method == "GET" and request.url.path == "/v1/models":
            return as_json({"object": "list", "data": [self._card()]})
        if operation is None or request.method != "POST":
            url = f"{request.method} {request.url.path}"
            raise Refusal(404, f"Invalid URL ({url})", code="unknown_url")
        ask = Ask.read(operation, body)
        self._check_name(ask.model)
        if operation == "embeddings":
            return as_json(embeddings(ask))
        tokens = ask.answer(self.name, behaviour.answer_tokens)
        reply = Reply(ask, tokens, next(self._numbers), int(time.time()))
        answer = _stream if ask.stream else _whole
        return await answer(request, reply, behaviour)

    def _card(self) -> dict[str, object]:
        return {"id": self.name, "object": "model", "created": 0, "owned_by": "pointsman-demo"}

    def _check_name(self, asked: str) -> None:
        if asked != self.name and not self.any_model:
            message = f"The model `{asked}` does not exist or you do not have access to it."
            raise Refusal(404, message, "model", "model_not_found")


def as_json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


async def _stream(request: Request, reply: Reply, behaviour: Behaviour) -> Response:
    return StreamingResponse(
        _events(request, reply, behaviour),
        headers={"cache-control": "no-cache"},
        media_type="text/event-stream",
    )


async def _events(request: Request, reply: Reply, behaviour: Behaviour) -> AsyncIterator[bytes]:
    """Yield the events of a stream, each at its time."""
    shape = SHAPES[reply.ask.operation]
    loop = asyncio.get_running_loop()
    start = loop.time()
    await asyncio.sleep(behaviour.first_token_seconds)
    pending = shape.opening(reply)
    for index in range(len(reply.tokens)):
        if index == behaviour.cut_after_tokens:
            yield pending
            await _hang_up(request)
            return
        await asyncio.sleep(start + behaviour.seconds_until(index) - loop.time())
        yield pending + shape.delta(reply, index)
        pending = b""
    yield shape.closing(reply)


async def _whole(request: Request, reply: Reply, behaviour: Behaviour) -> Response:
    """Return the answer when its last token is due."""
    await asyncio.sleep(behaviour.seconds_until(len(reply.tokens)))
    response = as_json(SHAPES[reply.ask.operation].whole(reply))
    if behaviour.cut_after_tokens is None:
        return response
    headers = {"content-length": response.headers["content-length"]}
    half = _first_half(request, bytes(response.body))
    return StreamingResponse(half, headers=headers, media_type="application/json")


async def _first_half(request: Request, body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    await _hang_up(request)


async def _hang_up(request: Request) -> None:
    """Close the socket when what was written is out; what the app still sends is dropped."""
    request.state.transport.close()
    await request.receive()


async def _reset(request: Request) -> Response:
    """Answer with a TCP reset, as a process that crashed does."""
    transport: asyncio.Transport = request.state.transport
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await request.receive()
    return Response()


async def _hang(request: Request) -> Response:
    """Wait until the client gives up."""
    await request.receive()
    return Response()

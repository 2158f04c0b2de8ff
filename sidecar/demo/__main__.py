"""`python -m sidecar.demo`: one simulated model as a process.

Prints one JSON line when it listens: ``{"listening": "127.0.0.1:54321"}``, or
``{"error": "…"}`` and exits with 3. argparse, because typer would double the time to start.
"""

import argparse
import asyncio
import contextlib
import functools
import signal
import socket
import sys
from collections.abc import Iterator

import msgspec
import uvicorn
import uvloop
from setproctitle import setproctitle
from uvicorn.protocols.http.h11_impl import H11Protocol

from sidecar.demo.behaviour import Behaviour, Pace
from sidecar.demo.fast import Fast, completion
from sidecar.demo.server import Model

KEEP_ALIVE_SECONDS = 600
"""Longer than a proxy keeps an idle connection, so that the proxy is the one to close it."""
GRACE_SECONDS = 1


class Connection(H11Protocol):
    """Hands the transport to the application, which has to break connections when told."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport as request state."""
        super().connection_made(transport)
        self.app_state = self.app_state | {"transport": transport}


class Server(uvicorn.Server):
    """Leaves signals to us: uvicorn would raise them again at its end, and exit by signal."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


async def run(options: argparse.Namespace, behaviour: Behaviour, listener: socket.socket) -> None:
    """Serve on ``listener`` until SIGTERM, SIGINT, or the end of standard input if asked."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    announce(listening=address_of(listener))
    if options.fast:
        await serve_fast(options.model, listener, stop)
    else:
        model = Model(options.model, behaviour, any_model=options.any_model)
        await serve(model, listener, stop)


async def serve(model: Model, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve the full API until ``stop``; what runs then has a second to end."""
    config = uvicorn.Config(
        model.app(),
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    serving.add_done_callback(lambda _: stop.set())
    await stop.wait()
    server.should_exit = True
    await serving


async def serve_fast(name: str, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve one fixed completion until ``stop``."""
    factory = functools.partial(Fast, completion(name))
    await asyncio.get_running_loop().create_server(factory, sock=listener)
    await stop.wait()


def announce(**facts: str) -> None:
    """Tell the parent process, in one line."""
    sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    sys.stdout.flush()


def listen(address: str) -> socket.socket:
    """Return a socket that listens on ``HOST:PORT``. Raises OSError, or ValueError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family, backlog=2048)


def address_of(listener: socket.socket) -> str:
    """Return the address that ``listener`` got."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parser() -> argparse.ArgumentParser:
    """Return the parser; the fields of `Pace` are its options of the same names."""
    made = argparse.ArgumentParser("python -m sidecar.demo", description="A simulated model.")
    made.add_argument("--model", required=True, help="its name; other names get 404")
    made.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT; port 0: a free one")
    made.add_argument("--any-model", action="store_true", help="answer for every model name")
    made.add_argument("--fast", action="store_true", help="one fixed completion, for load tests")
    made.add_argument("--until-stdin-closes", action="store_true", help="end with the parent")
    for field in msgspec.structs.fields(Pace):
        flag = "--" + field.name.replace("_", "-")
        made.add_argument(flag, default=field.default, help=f"default {field.default}")
    return made


def main() -> int:
    """Run one simulated model. Returns the exit code."""
    options = parser().parse_args()
    pace = {name: getattr(options, name) for name in Pace.__struct_fields__}
    try:
        behaviour = msgspec.convert(pace, Behaviour, strict=False)
        listener = listen(options.listen)
    except (OSError, ValueError) as error:
        announce(error=f"cannot serve {options.model} on {options.listen}: {error}")
        return 3
    setproctitle(f"pointsman: model {options.model}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(options, behaviour, listener))
    return 0


if __name__ == "__main__":
    sys.exit(main())

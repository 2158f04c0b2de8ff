"""uvicorn inside the control process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from sidecar.settings import Address


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: control decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def server(app: FastAPI, where: Address | Path) -> Server:
    """Return a server of ``app`` at an address, or at a Unix socket."""
    if isinstance(where, Path):
        where.unlink(missing_ok=True)
        place = uvicorn.Config(app, uds=str(where), log_config=None, lifespan="off")
    else:
        place = uvicorn.Config(
            app, host=where.host, port=where.port, log_config=None, lifespan="off"
        )
    place.access_log = False
    return Server(place)

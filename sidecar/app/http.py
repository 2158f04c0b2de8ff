"""uvicorn inside the control process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
        place: dict[str, Any] = {"uds": str(where)}
    else:
        place = {"host": where.host, "port": where.port}
    return Server(
        uvicorn.Config(
            app,
            **place,
            log_config=None,
            lifespan="off",
            access_log=False,
            # Who calls is who is connected: what a header says of that anybody can write.
            proxy_headers=False,
            server_header=False,
        )
    )

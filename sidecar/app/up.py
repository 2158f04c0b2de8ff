"""`pointsman up`: everything on this machine, until Ctrl-C."""

import asyncio
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from rich.console import Console

from sidecar.app import banner
from sidecar.app.access import access_of
from sidecar.app.local import Local
from sidecar.app.ports import check_ports
from sidecar.app.rules import open_store
from sidecar.config import files
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.demo import DemoModel, spawn
from sidecar.demo.examples import MODELS, example_documents
from sidecar.settings import EMBEDDED_REDIS, Address, Settings

_console = Console(stderr=True, highlight=False)


def run(settings: Settings, *, config: Path | None, demo: bool) -> None:
    """Start everything, say how to use it, and watch over it until SIGINT or SIGTERM.

    Raises ConfigError for a wrong ``config`` before anything is started, PortInUse, StartFailed.
    """
    access_of(settings)  # says what is wrong with it before anything is started
    documents = files.load(config) if config else None
    if documents is not None:
        compile_snapshot(documents, version=0)
    stop = _stop_on_signal()
    with Local(settings) as local, _Demo() as models:
        settings = local.settings
        check_ports(_ports(settings))
        if not settings.redis_url:
            local.start_redis()
        if demo and documents is None and asyncio.run(_is_empty(settings)):
            documents = Documents.of(example_documents(models.start()))
        if documents is not None:
            asyncio.run(_fill_if_empty(settings, documents))
        local.start_sidecar()
        local.start_envoy()
        local.await_decisions()
        banner.show(settings, pids=local.pids() | models.pids())
        while not stop.wait(0.5):
            local.restart_dead(stop)
            models.report_dead()


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


class _Demo:
    """The simulated models. One that is killed stays dead: that is worth seeing."""

    def __init__(self) -> None:
        self._models: dict[str, DemoModel] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for model in self._models.values():
            model.stop()

    def start(self) -> dict[str, str]:
        """Start all models; return the address of each backend's."""
        documents = example_documents({})["backends"]
        for backend, behaviour in MODELS.items():
            self._models[backend] = spawn(documents[backend]["model"], **behaviour)
        return {backend: model.address for backend, model in self._models.items()}

    def pids(self) -> dict[str, int]:
        """Return the process id of each backend's model."""
        return {backend: model.process.pid for backend, model in self._models.items()}

    def report_dead(self) -> None:
        """Say which models have ended since the last time."""
        for backend, model in list(self._models.items()):
            if model.process.poll() is not None:
                self._models.pop(backend).stop()
                _console.print(f"[red]model {backend} ended[/]; requests for it fall back")


def _ports(settings: Settings) -> Mapping[str, Address]:
    ports = {
        "POINTSMAN_LISTEN": settings.listen,
        "POINTSMAN_ADMIN": settings.admin,
        "POINTSMAN_ENVOY_ADMIN": settings.envoy_admin,
    }
    return ports if settings.redis_url else ports | {"POINTSMAN_REDIS_URL": EMBEDDED_REDIS}


async def _is_empty(settings: Settings) -> bool:
    async with open_store(settings) as store:
        return (await store.load()).documents.empty


async def _fill_if_empty(settings: Settings, documents: Documents) -> None:
    """Put ``documents`` into a store that holds none; leave any other as it is."""
    async with open_store(settings) as store:
        stored = await store.load()
        if stored.documents.empty:
            await store.apply(documents, based_on=stored, who="pointsman up", what="first rules")

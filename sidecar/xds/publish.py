"""Snapshot → files that Envoy watches, and what Envoy made of them."""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from sidecar.model import BASE_HEADERS, Snapshot
from sidecar.xds.attempt import SCRIPT, SCRIPT_FILE, secret_file
from sidecar.xds.clusters import clusters, credential_headers, usable
from sidecar.xds.envoy_admin import AdminUnreachable, EnvoyAdmin
from sidecar.xds.ext_proc import DECISION_SECONDS, decision_seconds, filter_resource
from sidecar.xds.files import ResourceFolder
from sidecar.xds.resources import (
    CLUSTERS_FILE,
    EXT_PROC,
    FILTERS_FILE,
    RESOURCES_FOLDER,
    ROUTES,
    ROUTES_FILE,
    SECRETS_FOLDER,
    EnvoySettings,
    digest,
    encode,
)
from sidecar.xds.routes import first_routes, routes
from sidecar.xds.secrets import SecretMissing, read_secret, secret_text

SETTLE_SECONDS = 0.1
"""How long a publication waits for Envoy to take new clusters before the routes follow."""

FAST_SECONDS = 0.05
FAST_FOR_SECONDS = 5.0
SLOW_SECONDS = 1.0
"""How often Envoy is asked: fast for a while after a change, as long as a cluster is missing."""

_VERSION_STATS = {
    CLUSTERS_FILE: "cluster_manager.cds.version_text",
    ROUTES_FILE: f"http.front.rds.{ROUTES}.version_text",
    FILTERS_FILE: f"extension_config_discovery.http_filter.{EXT_PROC}.version_text",
}


class Publisher:
    """Keeps Envoy's resource files in step with the live snapshot.

    ``missing``: clusters that Envoy does not have (yet); no plan should name them, since an
    unknown cluster ends a request with 503. While Envoy's admin cannot be reached nothing is
    known, and then all clusters count as there. ``ready``: the others, those on their way out
    included, as far as Envoy was asked. ``on_missing`` is called when what is missing changes.

    ``rejection``: why Envoy did not take a file, or ``None``. ``warnings``: credentials that
    cannot be had. Run `run` as a task next to it.
    """

    def __init__(
        self,
        settings: EnvoySettings,
        on_missing: Callable[[frozenset[str]], None],
        *,
        linger_seconds: float = 30.0,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.missing: frozenset[str] = frozenset()
        self.ready: frozenset[str] = frozenset()
        self.rejection: str | None = None
        self.warnings: tuple[str, ...] = ()
        self._settings = settings
        self._on_missing = on_missing
        self._linger = linger_seconds
        self._environ = environ
        self._admin = EnvoyAdmin(settings.admin_host, settings.admin_port)
        self._files = ResourceFolder(Path(settings.run_dir) / RESOURCES_FOLDER)
        self._secrets = ResourceFolder(Path(settings.run_dir) / SECRETS_FOLDER)
        self._snapshot: Snapshot | None = None
        self._clusters: dict[str, dict[str, Any]] = {}
        self._leaving: dict[str, float] = {}
        self._active: frozenset[str] = frozenset()
        self._secret_headers: frozenset[str] = frozenset()
        self._versions: dict[str, str] = {}
        self._refused: frozenset[str] = frozenset()
        self._published = 0.0
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._write_first_files()

    async def publish(self, snapshot: Snapshot) -> None:
        """Write what changed: secrets and clusters first, then the routes that name them.

        Waits up to 0.1 s for Envoy to take new clusters; those that take longer (a DNS name, a
        health check) are `missing` until `run` finds them.
        """
        async with self._lock:
            self._snapshot = snapshot
            self._published = time.monotonic()
            self._write_clusters()
            await self._settle()
            self._write_routes()
            self._write_filters(snapshot.headers, decision_seconds(snapshot.guards.values()))
        self._changed.set()

    async def run(self) -> None:
        """Follow secrets as they are rotated, and Envoy as it takes or refuses what it got."""
        while True:
            recent = time.monotonic() - self._published < FAST_FOR_SECONDS
            delay = FAST_SECONDS if self.missing and recent else SLOW_SECONDS
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                async with self._lock:
                    await self._follow_safely()
            self._changed.clear()

    async def _follow_safely(self) -> None:
        """Follow; a full disk must not end the task."""
        try:
            await self._follow()
        except OSError as error:
            self.rejection = f"Envoy's resources cannot be written: {error}"

    async def _follow(self) -> None:
        if self._snapshot is None:
            return
        self._write_secrets()
        if any(until <= time.monotonic() for until in self._leaving.values()):
            self._write_clusters()
        if await self._look():
            self._write_routes()
        await self._compare_versions()

    async def _settle(self) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        await self._look()
        while self.missing and time.monotonic() < deadline:
            await asyncio.sleep(0.003)
            await self._look()

    async def _look(self) -> bool:
        """Ask Envoy for clusters that it may not have yet; return whether `missing` changed."""
        unknown = self._clusters.keys() - self._leaving.keys() - self._active
        if unknown:
            try:
                self._active |= await self._found(unknown)
                unknown -= self._active
            except AdminUnreachable:
                unknown = set()
        missing = frozenset(unknown)
        self.ready = frozenset(self._clusters.keys() - missing)
        changed = missing != self.missing
        if changed:
            self.missing = missing
            self._on_missing(missing)
        return changed

    async def _found(self, names: Collection[str]) -> frozenset[str]:
        """Return which clusters can take requests.

        A cluster of DNS names counts only with a host: the endpoint that refuses is there at
        once, and Envoy does not wait for the names.
        """
        active = await self._admin.active_clusters(names)
        if all(self._clusters[name]["type"] == "STATIC" for name in active):
            return active
        hosts = await self._admin.backends()
        return frozenset(
            name
            for name in active
            if self._clusters[name]["type"] == "STATIC" or (name in hosts and hosts[name].hosts)
        )

    async def _compare_versions(self) -> None:
        """Report a file that Envoy has not taken at two looks in a row."""
        try:
            taken = await self._admin.versions()
        except AdminUnreachable:
            return
        differing = frozenset(
            file
            for file, version in self._versions.items()
            # An Envoy without such a file, one of the operator's own, says nothing about it.
            if taken.get(_VERSION_STATS[file], version) != version
        )
        lasting, self._refused = differing & self._refused, differing
        self.rejection = self._reason(lasting) if lasting else None

    def _reason(self, files: frozenset[str]) -> str:
        missing = f"; it does not have {', '.join(sorted(self.missing))}" if self.missing else ""
        return f"Envoy did not take {', '.join(sorted(files))}{missing}; its log says why"

    def _write_clusters(self) -> None:
        """Write secrets and clusters. A cluster that is gone stays for a while.

        Decisions that name it are still under way. The headers of old credentials are never
        forgotten, for the same reason.
        """
        backends = usable(self._live())
        self._secret_headers |= credential_headers(backends)
        live = clusters(self._live(), self._settings, self._secret_headers)
        wanted = {cluster["name"]: cluster for cluster in live}
        self._clusters = wanted | self._lingering(wanted)
        self._write_secrets()
        self._write(CLUSTERS_FILE, list(self._clusters.values()))

    def _lingering(self, wanted: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        now = time.monotonic()
        # What Envoy never took, it may refuse: lingering, it would keep all others out as well.
        gone = self._clusters.keys() - wanted.keys() - self.missing
        leaving = {name: self._leaving.get(name, now + self._linger) for name in gone}
        self._leaving = {name: until for name, until in leaving.items() if until > now}
        self._active -= gone - self._leaving.keys()
        self.ready -= gone - self._leaving.keys()
        return {name: self._clusters[name] for name in self._clusters if name in self._leaving}

    def _write_secrets(self) -> None:
        warnings = []
        for backend in usable(self._live()):
            if not backend.credential:
                continue
            try:
                text = read_secret(backend.credential, self._environ)
            except SecretMissing as error:
                text = ""
                warnings.append(f"backends.{backend.name}.credential: {error}")
            self._secrets.write(secret_file(backend.name), secret_text(backend.name, text))
        self.warnings = tuple(warnings)
        self._secrets.keep_only({secret_file(name) for name in self._clusters})

    def _write_first_files(self) -> None:
        """Write what is not there: Envoy does not start without its files.

        Those of an earlier life stay until the first snapshot, and Envoy serves on with them.
        """
        first = {
            CLUSTERS_FILE: [],
            ROUTES_FILE: [first_routes(self._settings)],
            FILTERS_FILE: [self._filter(BASE_HEADERS, DECISION_SECONDS)],
        }
        self._files.write(SCRIPT_FILE, SCRIPT.encode())
        for name, resources in first.items():
            if not self._files.has(name):
                self._write(name, resources)

    def _write_routes(self) -> None:
        self._write(ROUTES_FILE, [routes(self._live(), self._settings, self.missing)])

    def _write_filters(self, headers: Iterable[str], waits: float) -> None:
        self._write(FILTERS_FILE, [self._filter(headers, waits)])

    def _filter(self, headers: Iterable[str], waits: float) -> dict[str, Any]:
        settings = self._settings
        return filter_resource(headers, waits, explain=settings.explain, trace=settings.trace)

    def _write(self, name: str, resources: list[dict[str, Any]]) -> None:
        version = digest(resources)
        if self._versions.get(name) != version:
            self._files.write(name, encode(resources, version))
            self._versions[name] = version

    def _live(self) -> Snapshot:
        if self._snapshot is None:
            raise RuntimeError("publish() comes first")
        return self._snapshot

"""What this node's Envoy tells, asked for once a second: health, and requests under way."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from sidecar.model import Out
from sidecar.xds.envoy_admin import AdminUnreachable, BackendHealth, EnvoyAdmin
from sidecar.xds.publish import Publisher

SECONDS = 1.0
_log = structlog.get_logger()


class EnvoyWatch:
    """Keeps it in view. ``note``: shows a rejection where rejected documents are shown.

    ``out``: backends that are out on all nodes, whatever this node's Envoy thinks of them.
    """

    def __init__(
        self,
        envoy: EnvoyAdmin,
        publisher: Publisher,
        note: Callable[[str, str | None], None],
        out: Callable[[], Mapping[str, Out]] = dict,
    ) -> None:
        self._told: Mapping[str, BackendHealth] = {}
        self._out = out
        self.reachable = False
        self.refusals = 0
        """How often Envoy refused resources."""
        self._envoy = envoy
        self._publisher = publisher
        self._note = note
        self._refused: str | None = None

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                self._told, self.reachable = await self._envoy.backends(), True
            except AdminUnreachable:
                self._told, self.reachable = {}, False
            self._notice(self._publisher.rejection)
            await asyncio.sleep(SECONDS)

    @property
    def health(self) -> dict[str, BackendHealth]:
        """By backend; empty while Envoy does not answer."""
        out = self._out()
        return {
            name: one._replace(healthy=False, reason=out[name].reason)
            if name in out and not out[name].trial
            else one
            for name, one in self._told.items()
        }

    def in_flight(self) -> dict[str, int]:
        """Return the requests of this node that are under way, by backend."""
        return {name: one.in_flight for name, one in self._told.items()}

    def healthy(self) -> dict[str, bool]:
        """Return which backends take traffic."""
        return {name: one.healthy for name, one in self.health.items()}

    def report(self) -> dict[str, Any]:
        """Return what readiness says about Envoy."""
        return {
            "reachable": self.reachable,
            "rejection": self._publisher.rejection,
            "missing": sorted(self._publisher.missing),
            "warnings": self._publisher.warnings,
        }

    def _notice(self, rejection: str | None) -> None:
        if rejection == self._refused:
            return
        self._refused = rejection
        self._note("envoy_rejection", rejection)
        if rejection is not None:
            self.refusals += 1
            _log.error("resources_rejected", reason=rejection)

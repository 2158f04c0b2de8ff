"""Backends, and what they did lately."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from sidecar.model.calendar import Calendar

Window = Literal["1m", "15m", "1h", "total"]

LIMITED = "~limited"
"""Suffix of a backend's second cluster, which enforces its own shorter time to first byte."""


class Endpoint(msgspec.Struct, frozen=True):
    """One address of a backend."""

    url: str
    weight: int = 1
    zone: str | None = None


class Price(msgspec.Struct, frozen=True):
    """US dollars per token."""

    per_input_token: float = 0.0
    per_output_token: float = 0.0
    per_cached_input_token: float | None = None


class PricePeriod(NamedTuple):
    """What a backend costs while the calendar is on."""

    calendar: Calendar
    price: Price


class Health(msgspec.Struct, frozen=True):
    """Active health check: GET ``path`` every ``interval_seconds``."""

    path: str
    interval_seconds: float = 10.0


class Ejection(msgspec.Struct, frozen=True):
    """When a backend is taken out on all nodes: so many failures in a row, or so large a share of
    at least ``min_requests`` in the last minute. First for ``base_seconds``, then ever longer.
    """

    consecutive_failures: int = 5
    error_rate: float = 0.5
    min_requests: int = 20
    base_seconds: float = 10.0
    max_seconds: float = 300.0


class Backend(msgspec.Struct, frozen=True):
    """A model at a provider. Its name is also the name of its Envoy cluster."""

    name: str
    model: str
    provider: str
    type: str = "openai"
    endpoints: tuple[Endpoint, ...] = ()
    enabled: bool = True
    priority: int = 100
    defaults: Mapping[str, Any] = {}
    timeout_seconds: float = 60.0
    price: Price = Price()
    """Outside of all ``price_periods``."""
    price_periods: tuple[PricePeriod, ...] = ()
    max_context_size: int | None = None
    capabilities: frozenset[str] | None = None
    """``None``: not declared, so nothing is kept from it."""
    region: str | None = None
    credential: str | None = None
    credential_header: str = "authorization"
    health: Health | None = None
    ejection: Ejection | None = Ejection()
    description: str = ""
    tags: Mapping[str, str] = {}

    @property
    def choosy(self) -> bool:
        """Whether there can be requests that it cannot take."""
        return self.max_context_size is not None or self.capabilities is not None

    def price_at(self, now: float) -> Price:
        """Return the price of the first period that is on at ``now`` (Unix seconds)."""
        for calendar, price in self.price_periods:
            if calendar.covers(now):
                return price
        return self.price


class WindowStats(msgspec.Struct, frozen=True):
    """What one backend did in one window, over all nodes. Means are ``None`` without samples."""

    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def error_rate(self) -> float | None:
        """Errors by requests, or ``None`` when there were no requests."""
        return self.errors / self.requests if self.requests else None


class BackendStats(msgspec.Struct, frozen=True):
    """The windows of one backend; a window that is absent has no samples."""

    windows: Mapping[Window, WindowStats] = {}
    in_flight: int = 0


class Out(NamedTuple):
    """A backend that is out, and why. ``trial``: a few requests may try it now; each such round
    has a name of its own.
    """

    reason: str
    trial: str = ""


class Odds(NamedTuple):
    """How a bandit draws, by the places of its targets.

    ``samples``: from how many rewards that was learned, forgotten ones left out.
    """

    probabilities: tuple[float, ...]
    samples: tuple[float, ...]


class Stats(msgspec.Struct, frozen=True):
    """Frozen view of all backends.

    ``unready``: those that Envoy does not have (yet). ``unlimited``: those that it has, but not
    yet with their own time limit. ``bandits``: bandit → bucket → how it draws. ``out``: those
    that fail, and are tried after all others.
    """

    backends: Mapping[str, BackendStats] = {}
    unready: frozenset[str] = frozenset()
    bandits: Mapping[str, Mapping[str, Odds]] = {}
    unlimited: frozenset[str] = frozenset()
    out: Mapping[str, Out] = {}

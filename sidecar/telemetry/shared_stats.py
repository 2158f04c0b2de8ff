"""Statistics over all nodes, through one hash in Redis: field = node, value = that node's sums.

A node sends its sums when they change, at most every ``INTERVAL``, and every ``HEARTBEAT`` in any
case, and reads what others sent since it read last. Redis itself stamps the values and says what
time it is, so the clocks of the nodes need not agree. A node that falls silent stops counting in
a window when its last word is older than that window; its total counts until it is removed, a day
later, by whoever comes by. Its requests in flight are forgotten after ``IN_FLIGHT_SECONDS``.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

import msgspec
import structlog

from sidecar.model import Window
from sidecar.telemetry.windows import SPANS, Sums, Totals, Windows, merge

INTERVAL = 0.25
HEARTBEAT = 2.0
IN_FLIGHT_SECONDS = 2.5 * HEARTBEAT
TIMEOUT = 0.5
"""Longest wait for Redis; meanwhile this node's own statistics wait as well. All in seconds."""
DAY = 86400

_SCRIPT = """
local time = redis.call('TIME')
local now = string.format('%d.%06d', time[1], time[2])
local node, sums, since = ARGV[1], ARGV[2], tonumber(ARGV[3])
if sums ~= '' then
  redis.call('HSET', KEYS[1], node, '{"updated":' .. now .. ',' .. string.sub(sums, 2))
end
local answer = {now}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local updated = tonumber(string.match(all[i + 1], '^{"updated":([%d.]+)'))
  if updated and updated < now - ARGV[4] then
    redis.call('HDEL', KEYS[1], all[i])
  elseif updated and updated >= since and (all[i] ~= node or sums == '') then
    answer[#answer + 1] = all[i]
    answer[#answer + 1] = all[i + 1]
  end
end
return answer
"""
"""Stamp and store the node's sums, if any; return the time and what changed since."""

_log = structlog.get_logger()


class Scripting(Protocol):
    """What is needed of redis.asyncio's clients, single or cluster."""

    def register_script(self, script: str, /) -> Any:
        """Return a callable that runs ``script`` by its hash."""


class _Entry(msgspec.Struct):
    """A node's value. ``updated``: Unix time of Redis; absent in what is sent."""

    backends: dict[str, dict[Window, Sums]]
    in_flight: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    updated: float = 0.0


_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(_Entry)
_SECONDS: dict[Window, float] = {window: width * count for window, (width, count) in SPANS.items()}


class SharedStats:
    """This node's windows and those of the others. Without Redis the own ones go on alone.

    ``node`` must be different for each node: two of one name overwrite each other. A node that
    starts again under its name goes on with the total that it had. ``in_flight`` tells this
    node's requests that are not answered yet, by backend.
    """

    def __init__(
        self,
        redis: Scripting,
        windows: Windows,
        *,
        prefix: str,
        node: str,
        in_flight: Callable[[], Mapping[str, int]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.up = False
        """Whether the last exchange with Redis went well."""
        self._exchange = redis.register_script(_SCRIPT)
        self._key = f"{prefix}stats"
        self._windows = windows
        self._node = node
        self._in_flight = in_flight
        self._clock = clock
        self._others: dict[str, _Entry] = {}
        self._before: Totals | None = None
        self._sent: tuple[int, Mapping[str, int], float] = (-1, {}, 0.0)
        self._redis_time: tuple[str, float] = ("0", 0.0)

    async def run(self, publish: Callable[[Totals], None]) -> None:
        """Exchange and hand the merged sums to ``publish``, every ``INTERVAL``, until cancelled."""
        while True:
            await self.tick()
            publish(self.merged())
            await asyncio.sleep(INTERVAL)

    async def tick(self) -> None:
        """Exchange once with Redis. Nothing is raised; ``up`` says how it went."""
        revision, busy = self._windows.revision, dict(self._in_flight())
        sums = self._to_send(revision, busy)
        arguments = [self._node, sums, self._redis_time[0], DAY]
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._exchange(keys=[self._key], args=arguments)
        except Exception as error:  # noqa: BLE001
            # Whatever a client raises: requests go on, and so must their statistics.
            self._set_up(up=False, why=repr(error))
            return
        if sums:
            self._sent = (revision, busy, self._clock())
        self._take(answer)
        self._set_up(up=True)

    def merged(self) -> dict[str, dict[Window, Sums]]:
        """Return the sums of all nodes as of now."""
        now = self._now()
        others = (_still_counting(entry, now) for entry in self._others.values())
        return merge((self._own(), *others))

    def in_flight(self) -> dict[str, int]:
        """Return the requests of all nodes that are not answered yet, by backend."""
        busy, oldest = Counter(self._in_flight()), self._now() - IN_FLIGHT_SECONDS
        for entry in self._others.values():
            if entry.updated >= oldest:
                busy.update(entry.in_flight)
        return dict(busy)

    def _now(self) -> float:
        """Return the time that Redis has now, as far as this node can tell."""
        at, here = self._redis_time
        return float(at) + self._clock() - here

    def _own(self) -> dict[str, dict[Window, Sums]]:
        return merge((self._windows.totals(self._clock()), self._before or {}))

    def _to_send(self, revision: int, busy: Mapping[str, int]) -> bytes:
        """Return this node's sums; nothing as long as its earlier total is not known."""
        old_revision, old_busy, sent = self._sent
        due = (revision, busy) != (old_revision, old_busy) or self._clock() - sent >= HEARTBEAT
        if self._before is None or not due:
            return b""
        return _ENCODER.encode({"backends": self._own(), "in_flight": busy})

    def _take(self, answer: list[bytes | str]) -> None:
        self._redis_time = (_text(answer[0]), self._clock())
        for field, value in zip(answer[1::2], answer[2::2], strict=True):
            node = _text(field)
            try:
                entry = _DECODER.decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                _log.debug("stats_entry_ignored", node=node)
                continue
            if node != self._node:
                self._others[node] = entry
            elif self._before is None:
                self._before = _only_totals(entry)
        if self._before is None:
            self._before = {}
        oldest = float(self._redis_time[0]) - DAY
        self._others = {n: each for n, each in self._others.items() if each.updated > oldest}

    def _set_up(self, *, up: bool, why: str = "") -> None:
        if up and not self.up:
            _log.info("stats_shared", node=self._node)
        if self.up and not up:
            _log.warning("stats_not_shared", node=self._node, why=why)
        self.up = up


def _text(answer: bytes | str) -> str:
    """Return text, whether the client decodes answers or not."""
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _only_totals(entry: _Entry) -> dict[str, dict[Window, Sums]]:
    return {
        name: {"total": windows["total"]}
        for name, windows in entry.backends.items()
        if "total" in windows
    }


def _still_counting(entry: _Entry, now: float) -> Totals:
    """Return the windows of another node that its silence has not outlasted."""
    age = now - entry.updated
    return {
        name: {
            window: sums
            for window, sums in windows.items()
            if window == "total" or age <= _SECONDS[window]
        }
        for name, windows in entry.backends.items()
    }

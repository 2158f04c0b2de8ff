"""Outcomes → the counters of budgets for tokens and dollars, each added once.

Cached input has a price of its own (`usage.cost_usd`); reasoning is a part of the output, as every
provider reports and charges it. An answer whose tokens are not known is charged nothing.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from math import isfinite

from sidecar.model import COUNT_KEYS, COUNTS_CHANNEL, KEPT_SECONDS, Backend, Charge
from sidecar.telemetry.outbox import Call, Stamp
from sidecar.telemetry.outcome import Outcome
from sidecar.telemetry.usage import cost_usd

MOST_KEYS = 100_000
"""While Redis is away, charges to further counters are lost."""
BATCH = 500
"""Counters in one call, so that Redis is never busy with one for long."""
_STAMP_SECONDS = 7 * 86400

_ADD = """
local seen = redis.call('GET', KEYS[1])
local life, number = string.match(seen or '', '^(.*):(%d+)$')
if life == ARGV[1] and tonumber(number) >= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 'EX', ARGV[3])
local news = {}
for i = 2, #KEYS do
  local key, amount, seconds = KEYS[i], tonumber(ARGV[i * 2 + 2]), ARGV[i * 2 + 3]
  local before = redis.pcall('GET', key)
  if type(before) ~= 'table' then
    local total = string.format('%.17g', (tonumber(before or '0') or 0) + amount)
    redis.call('SET', key, total)
    redis.call('EXPIRE', key, seconds)
    local left = redis.call('PTTL', key)
    if left > 0 then
      news[#news + 1] = {string.sub(key, tonumber(ARGV[5]) + 1), total, left}
    end
  end
end
if #news > 0 then redis.call('PUBLISH', ARGV[4], cjson.encode(news)) end
return 1
"""
"""Add once, and publish; KEYS: the node's stamp, then counters. ARGV: life, number and the stamp's
seconds; channel; length of the keys' prefix; for each counter amount and seconds to live. Not
by INCRBYFLOAT, which corrupts the heap of Redis 6.2 when a script calls it."""


class Charges:
    """A source of the outbox: adds up until it is asked."""

    def __init__(self, prefix: str) -> None:
        self.lost = 0
        """Charges that could not be kept."""
        self._prefix = prefix
        self._sums: dict[str, float] = {}
        self._expires: dict[str, int] = {}
        self._sending: defaultdict[str, float] = defaultdict(float)

    def add(self, outcome: Outcome, backend: Backend | None) -> None:
        """Charge one request. ``backend``: the one that answered, for its price."""
        for charge in outcome.charges:
            amount = _amount(charge, outcome, backend)
            if amount is None or charge.only not in {"", outcome.backend}:
                continue
            key = charge.key + outcome.backend if charge.key.endswith(":") else charge.key
            if key not in self._sums and len(self._sums) >= MOST_KEYS:
                self.lost += 1
                continue
            self._sums[key] = self._sums.get(key, 0.0) + amount
            self._expires[key] = charge.end + int(KEPT_SECONDS)

    def waiting(self) -> dict[str, float]:
        """Return by counter what Redis does not have yet, as far as is known."""
        found = dict(self._sending)
        for key, amount in self._sums.items():
            found[key] = found.get(key, 0.0) + amount
        return found

    def take(self, stamp: Callable[[], Stamp]) -> list[Call]:
        """Hand over the sums."""
        sums, self._sums = [*self._sums.items()], {}
        expires, self._expires = self._expires, {}
        for key, amount in sums:
            self._sending[key] += amount
        return [
            self._call(dict(sums[at : at + BATCH]), expires, stamp())
            for at in range(0, len(sums), BATCH)
        ]

    def _call(self, sums: Mapping[str, float], expires: Mapping[str, int], stamp: Stamp) -> Call:
        counters = [f"{self._prefix}{COUNT_KEYS}{key}" for key in sums]
        skipped = len(f"{self._prefix}{COUNT_KEYS}".encode())
        arguments = [stamp.life, stamp.number, _STAMP_SECONDS]
        arguments += [f"{self._prefix}{COUNTS_CHANNEL}", skipped]
        for key, amount in sums.items():
            arguments += [repr(amount), max(1, expires[key] - int(time.time()))]

        def done(kept: bool) -> None:
            for key in sums:
                self._sending.pop(key, None)
            if not kept:
                self.lost += len(sums)

        keys = (f"{self._prefix}charged:{stamp.node}", *counters)
        return Call(_ADD, keys, arguments, done)


def _amount(charge: Charge, outcome: Outcome, backend: Backend | None) -> float | None:
    tokens = outcome.tokens
    if charge.unit == "tokens":
        amount = float((tokens.input or 0) + (tokens.output or 0))
    elif backend is not None:
        amount = cost_usd(tokens, backend.price_at(outcome.started))
    else:
        return None
    return amount if isfinite(amount) and amount > 0 else None

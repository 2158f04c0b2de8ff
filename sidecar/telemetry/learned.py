"""What is known of one bandit: in Redis, and on this node.

One hash per bandit and version, ``{prefix}bandit:{name}:{version}``. Field ``bucket:{bucket}`` has
an `Earned` as JSON, ``buckets`` is how many there are, ``rev`` the time of the last change, and
``node:{node}`` the number of the last addition of a node.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from sidecar.choose.bandit import ByOdds, Learning
from sidecar.model import Odds
from sidecar.telemetry.odds import Earned, odds_of

INTERVAL = 1.0
"""How often odds are read and computed."""
BUDGET = 0.3
"""Of each INTERVAL for computing odds; both in seconds."""
_BUCKET = "bucket:"

ADD = """
local before = redis.call('HGET', KEYS[1], ARGV[1])
local life, number = string.match(before or '', '^(.*):(%d+)$')
if life == ARGV[2] and tonumber(number) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ':' .. ARGV[3])
local how, length, slots, most = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local present = how == 'window' and math.floor(now / (length / slots)) or 0

local function read(bucket)
  local text = redis.call('HGET', KEYS[1], 'bucket:' .. bucket)
  local fine, found = pcall(cjson.decode, text or '')
  if fine and type(found) == 'table' and type(found.slots) == 'table'
    and type(found.at) == 'number' then return found, true end
  return {at = now, slots = {}}, text ~= false
end

local function forget(earned, added)
  for slot in pairs(earned.slots) do
    local age = present - (tonumber(slot) or -1)
    if age < 0 or age >= slots or (age > 0 and how ~= 'window') then earned.slots[slot] = nil end
  end
  local halves = 0
  if how == 'seconds' then halves = math.max(now - earned.at, 0) / length end
  if how == 'requests' then halves = added / length end
  for _, sums in pairs(halves > 0 and earned.slots['0'] or {}) do
    for i = 1, 3 do sums[i] = sums[i] * 0.5 ^ halves end
  end
end

for i = 10, #ARGV, 2 do
  local bucket, arms, added = ARGV[i], cjson.decode(ARGV[i + 1]), 0
  local earned, known = read(bucket)
  if not known and (tonumber(redis.call('HGET', KEYS[1], 'buckets')) or 0) >= most then
    bucket = ARGV[8]
    earned, known = read(bucket)
  end
  if not known then redis.call('HINCRBY', KEYS[1], 'buckets', 1) end
  for _, sums in pairs(arms) do added = added + sums[1] end
  forget(earned, added)
  local slot = string.format('%d', present)
  local mine = earned.slots[slot] or {}
  for arm, sums in pairs(arms) do
    local old = mine[arm] or {0, 0, 0}
    mine[arm] = {math.max(old[1] + sums[1], 0), old[2] + sums[2], old[3] + sums[3]}
  end
  earned.slots[slot], earned.at = mine, now
  redis.call('HSET', KEYS[1], 'bucket:' .. bucket, cjson.encode(earned))
end
redis.call('HSET', KEYS[1], 'rev', string.format('%d.%06d', time[1], time[2]))
redis.call('EXPIRE', KEYS[1], ARGV[9])
return 1
"""
"""Let the sums fade, and add once."""

READ = """
local time, revision = redis.call('TIME'), redis.call('HGET', KEYS[1], 'rev') or ''
local now = string.format('%d.%06d', time[1], time[2])
if revision == ARGV[1] then return {now, revision} end
return {now, revision, redis.call('HGETALL', KEYS[1])}
"""
"""Return the time, the revision, and all fields when it is another one than was seen."""

_decoder = msgspec.json.Decoder(Earned)


class _Bucket(NamedTuple):
    """What a bucket's field had, and what was made of it; ``made``: Redis' time."""

    text: bytes | str
    odds: Odds
    made: float


class Learned:
    """What this node knows of one bandit."""

    __slots__ = ("bandit", "buckets", "fields", "revision")

    def __init__(self, bandit: ByOdds) -> None:
        self.bandit = bandit
        self.revision = "?"
        self.fields: dict[str, bytes | str] = {}
        self.buckets: dict[str, _Bucket] = {}

    def due(self, now: float) -> list[tuple[float, str]]:
        """Return the buckets whose odds are to be computed, and since when they wait."""
        learning, found = self.bandit.learning, []
        length = learning.half_life_seconds or learning.window_seconds
        fresh = max(INTERVAL, length / 50) if length else float("inf")
        for bucket, text in self.fields.items():
            known = self.buckets.get(bucket)
            if known is None:
                found.append((0.0, bucket))
            elif known.text is not text or now - known.made > fresh:
                found.append((known.made, bucket))
        return found

    def take(self, answer: Sequence[Any]) -> float:
        """Take what READ returned; return the time in Redis."""
        now, self.revision = float(_text(answer[0])), _text(answer[1])
        if len(answer) > 2:
            pairs = zip(answer[2][::2], answer[2][1::2], strict=True)
            fields = {_text(field): value for field, value in pairs}
            found = {
                name.removeprefix(_BUCKET): text
                for name, text in fields.items()
                if name.startswith(_BUCKET)
            }
            # The same text stays the same object, so that only what has changed is computed anew.
            old = self.fields
            self.fields = {n: old[n] if old.get(n) == text else text for n, text in found.items()}
            self.buckets = {n: one for n, one in self.buckets.items() if n in found}
        return now


def compute(
    work: Iterable[tuple[Learned, str, bytes | str]], now: float
) -> list[tuple[Learned, str, _Bucket]]:
    """Compute for BUDGET seconds, at least one. Runs on a thread; changes nothing."""
    until, made = time.monotonic() + BUDGET, []
    for learned, bucket, text in work:
        bandit = learned.bandit
        odds = odds_of(bandit.learning, bandit.arms, _earned(text, now), now)
        made.append((learned, bucket, _Bucket(text, odds, now)))
        if time.monotonic() > until:
            break
    return made


def _earned(text: bytes | str, now: float) -> Earned:
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Earned(now)


def forgetting(learning: Learning) -> tuple[str, float]:
    """Return how sums are forgotten, and over what length."""
    if learning.half_life_requests is not None:
        return "requests", learning.half_life_requests
    if learning.half_life_seconds is not None:
        return "seconds", learning.half_life_seconds
    if learning.window_seconds is not None:
        return "window", learning.window_seconds
    return "never", 1.0


def _text(answer: Any) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)

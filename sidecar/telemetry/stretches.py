"""An experiment's stretches of time with the same shares, and what each of them has shown.

Sums go on over an experiment's whole life, but its shares change. Arms may be compared only within
a stretch in which the shares stayed the same: an hour in which every model was slow, and in which
the canary had more of the traffic than before, would count against the canary (Simpson's paradox;
`evidence.pairing` puts stretches together). So for each stretch the sums at its beginning are kept,
in one JSON text ``{prefix}rollout:{name}:{version}``.

Requests are counted when they are over. What was decided under earlier shares still comes in when a
stretch has begun, so after each change there is first one that is not ``settled``; the split of
traffic is tested, and exposures are counted, only in those that are.
"""

import statistics
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from sidecar.evidence import Assigned, Srm, srm_over
from sidecar.telemetry.experiments import PARTS, ArmStats, Measured

KEPT_SECONDS = 90 * 86400
"""As long as the sums themselves."""
MOST_STRETCHES = 60
"""Beyond this the two oldest become one."""
LEAST_SETTLING, MOST_SETTLING = 3.0, 900.0
"""Seconds: what the way of an outcome to Redis takes, and an answer that nobody waits for."""
_SLOWEST = 0.999

Arms = Mapping[str, ArmStats]


class Stretch(msgspec.Struct, frozen=True):
    """Since ``since`` (Unix time, of Redis) the arms have these ``shares``; ``before``: sums then.

    In ``before`` there is only what is compared: by assignment, and errors as served.
    """

    since: float
    shares: dict[str, float]
    settled: bool
    before: dict[str, ArmStats] = {}


class Record(msgspec.Struct, frozen=True):
    """The stretches of one version of an experiment, oldest first; there is at least one."""

    stretches: tuple[Stretch, ...]

    @property
    def last(self) -> Stretch:
        """The present stretch."""
        return self.stretches[-1]

    @property
    def since(self) -> float:
        """When the present shares began."""
        return self.stretches[self.began].since

    @property
    def began(self) -> int:
        """The place of the stretch with which the present shares began."""
        place = len(self.stretches) - 1
        while place and self.stretches[place - 1].shares == self.last.shares:
            place -= 1
        return place

    @property
    def changes(self) -> int:
        """How often the shares changed."""
        pairs = zip(self.stretches, self.stretches[1:], strict=False)
        return sum(one.shares != following.shares for one, following in pairs)

    def parts(self, stats: Arms) -> list[dict[str, ArmStats]]:
        """Return what came in each stretch, given the sums of now."""
        ends = [*(stretch.before for stretch in self.stretches[1:]), stats]
        return [
            {arm: end[arm].since(stretch.before.get(arm, _NOTHING)) for arm in end}
            for stretch, end in zip(self.stretches, ends, strict=True)
        ]


_NOTHING = ArmStats()


def followed(
    record: Record | None, shares: Mapping[str, float], stats: Arms, clean: Arms, now: float
) -> Record:
    """Return the record as of now: the same one unless a stretch ends here.

    ``clean``: the last sums that were read while the shares of the record were still live.
    """
    if record is None or _is_reset(record, stats):
        return Record((Stretch(now, dict(shares), settled=True),))
    if record.last.shares != shares:
        fresh = Stretch(now, dict(shares), settled=False, before=_kept(clean))
    elif not record.last.settled and now - record.last.since >= settling_seconds(stats):
        fresh = Stretch(now, dict(shares), settled=True, before=_kept(stats))
    else:
        return record
    return Record((*_shortened(record.stretches), fresh))


def settling_seconds(stats: Arms) -> float:
    """Return how long answers take to come in: all but a thousandth, by what was measured."""
    slowest = [
        arm.metrics["latency_ms"].histogram.quantile(_SLOWEST) / 1e3
        for arm in stats.values()
        if "latency_ms" in arm.metrics and arm.metrics["latency_ms"].histogram.counts
    ]
    return min(LEAST_SETTLING + max(slowest, default=0.0), MOST_SETTLING)


def srm_of(record: Record, stats: Arms) -> Srm:
    """Return whether traffic was split as the shares said, over all settled stretches."""
    crowd = crowding(stats)
    stretches = zip(record.stretches, record.parts(stats), strict=True)
    return srm_over([_assigned(one, part, crowd) for one, part in stretches if one.settled])


def crowding(stats: Arms) -> float:
    """Return how many requests come at once, as it were: 1 when each is by a unit of its own.

    Arms get units (users), but requests are counted, and a heavy user's requests all go to one
    arm. A hash splits the units into `PARTS`; the variance of the parts' counts by their mean is
    1 when requests are independent (the index of dispersion), and counts divided by it are honest.
    """
    found = [_dispersion(arm.metrics.get("error_rate")) for arm in stats.values()]
    return max(1.0, *found) if found else 1.0


def record_key(prefix: str, experiment: str, version: int) -> str:
    """Return the key of the record of one version of an experiment."""
    return f"{prefix}rollout:{experiment}:{version}"


class Texts(Protocol):
    """What is needed of redis.asyncio's clients."""

    def get(self, name: str, /) -> Awaitable[Any]:
        """Return a text."""


async def load(redis: Texts, prefix: str, experiment: str, version: int) -> Record | None:
    """Return the record; ``None`` when there is none yet. Raises what the client raises."""
    return decode(await redis.get(record_key(prefix, experiment, version)))


def decode(text: str | bytes | None) -> Record | None:
    """Return the record in a text; ``None`` also of one that somebody spoiled."""
    if text is None:
        return None
    try:
        record = msgspec.json.decode(text, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return record if record.stretches else None


def _is_reset(record: Record, stats: Arms) -> bool:
    """Whether the sums are fewer than they were: Redis lost them, so the record is void."""
    return any(
        arm not in stats or stats[arm].assigned < before.assigned
        for arm, before in record.last.before.items()
    )


def _kept(stats: Arms) -> dict[str, ArmStats]:
    return {
        name: ArmStats(
            arm.assigned,
            arm.served,
            {metric: _without_parts(one) for metric, one in arm.metrics.items()},
            {
                metric: _without_parts(one)
                for metric, one in arm.as_served.items()
                if metric == "error_rate"
            },
        )
        for name, arm in stats.items()
    }


def _without_parts(measured: Measured) -> Measured:
    return Measured(measured.moments, measured.histogram, measured.ratio)


def _shortened(stretches: Sequence[Stretch]) -> Sequence[Stretch]:
    if len(stretches) < MOST_STRETCHES:
        return stretches
    first, _, *rest = stretches
    return [msgspec.structs.replace(first, settled=False), *rest]


def _assigned(stretch: Stretch, part: Arms, crowd: float) -> Assigned:
    """Leave out arms without a share: what they still get was decided before."""
    shares = {arm: share for arm, share in stretch.shares.items() if share > 0}
    counts = {arm: part[arm].assigned / crowd for arm in shares if arm in part}
    return Assigned(counts, shares)


def _dispersion(measured: Measured | None) -> float:
    counts = [part.n for part in measured.parts.values()] if measured else []
    mean = sum(counts) / PARTS
    if mean <= 0:
        return 1.0
    return statistics.variance([*counts, *[0.0] * (PARTS - len(counts))], mean) / mean

"""`schedule`: targets by the clock and the calendar of a time zone."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from sidecar.choose.definition import Arm, Definition, Site
from sidecar.choose.fields import part
from sidecar.errors import ConfigError, Fault
from sidecar.model import (
    Calendar,
    CalendarFields,
    Candidate,
    Context,
    Leaf,
    Ranking,
    Router,
    Strategy,
    Trail,
    compile_calendar,
    load_zone,
    local_time,
)

_MOST_LISTED = 1000

_Built = TypeVar("_Built")


class Scheduled(msgspec.Struct, frozen=True):
    """Ranks the periods that are on, then the targets that are for any time."""

    periods: tuple[tuple[str, Calendar], ...]
    """Name and calendar; their places come before those of the targets."""
    zone: ZoneInfo

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return what may be tried now, in the order of the places; it may be nothing."""
        now, count = context.now, len(self.periods)
        order = [
            candidate
            for candidate in candidates
            if candidate.place >= count or self.periods[candidate.place][1].covers(now)
        ]
        if context.trail is not None:
            self._note(candidates, now, context.trail)
        return Ranking(order)

    def _note(self, candidates: Sequence[Candidate], now: float, trail: Trail) -> None:
        on = [calendar.covers(now) for _, calendar in self.periods]
        names = [name for (name, _), is_on in zip(self.periods, on, strict=True) if is_on]
        trail.note("local_time", local_time(now, self.zone))
        trail.note("periods_on", names)
        for candidate in candidates:
            if candidate.place < len(on) and not on[candidate.place]:
                name, calendar = self.periods[candidate.place]
                trail.exclude(candidate, f"{name} is off: {local_time(now, calendar.zone)}")


class Period(CalendarFields, frozen=True, kw_only=True):
    """A target and its calendar; `name` is for people."""

    target: Any
    name: str | None = None


class Schedule(Definition, frozen=True, kw_only=True):
    """The document of a `schedule` router. `timezone`: that of periods that name none."""

    names: ClassVar = ("schedule",)
    lazy: ClassVar = True

    periods: Annotated[tuple[Any, ...], msgspec.Meta(min_length=1, max_length=1000)] = ()
    timezone: str = "UTC"

    def arms(self, site: Site) -> list[Arm]:
        """Return the targets of the periods, then those for any time."""
        if "periods" not in site.document:
            site.fault(".periods", "missing")
        if not site.strict:
            _count(self.periods, site)
        zone = _tried(site, lambda: load_zone(self.timezone, f"{site.path}.timezone"))
        timezone = zone.key if zone else "UTC"
        found = [_arm(place, one, site, timezone) for place, one in enumerate(self.periods)]
        always = [Arm(f".targets[{place}]", one) for place, one in enumerate(self.targets)]
        return [arm for arm in found if arm is not None] + always

    def strategy(
        self, _site: Site, arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the ranking by the time."""
        periods = [arm.rule for arm in arms[: len(self.periods)]]
        return Scheduled(tuple(periods), load_zone(self.timezone, ""))


def _count(periods: Sequence[Any], site: Site) -> None:
    """Count what the calendars of a request list as targets; too many end the work at once.

    Others wait while they are compiled.
    """
    for period in periods:
        lists = period.values() if isinstance(period, dict) else ()
        site.findings.targets += sum([len(one) for one in lists if isinstance(one, list)])
    if site.findings.targets > _MOST_LISTED:
        message = f"more than {_MOST_LISTED} hours, days and targets in all"
        raise ConfigError([*site.findings.faults, Fault(f"{site.path}.periods", message)])


def _arm(place: int, document: Any, site: Site, timezone: str) -> Arm | None:
    """Return the target of a period with its name and calendar; faults go to ``site``."""
    where = f".periods[{place}]"
    period = part(document, Period, site, where)
    if period is None:
        return None
    calendar = _tried(site, lambda: compile_calendar(period, site.path + where, timezone))
    name = period.name or f"period {place + 1}"
    return Arm(f"{where}.target", period.target, rule=(name, calendar))


def _tried(site: Site, build: Callable[[], _Built]) -> _Built | None:
    """Return what ``build`` returns; what is wrong is noted as a fault."""
    if site.findings.faults and not site.strict:
        # A client is told of the first fault; to look for more of them would take time here.
        return None
    try:
        return build()
    except ConfigError as error:
        site.findings.faults.extend(error.faults)
        return None

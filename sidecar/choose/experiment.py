"""`experiment`: a request goes to the arm that its key is in, the same one on every node."""

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, ClassVar, Literal

import msgspec

from sidecar.choose.definition import Arm, Definition, Site
from sidecar.choose.fallback import AsListed
from sidecar.choose.rendezvous import Rendezvous, key_text, short
from sidecar.choose.stretches import LINE, Stretch, stretches
from sidecar.errors import ConfigError
from sidecar.model import (
    Assignment,
    Candidate,
    Context,
    Experiment,
    Leaf,
    Predicate,
    Ranking,
    Router,
    Strategy,
    Trial,
)

VARIANT = "x-pointsman-variant"
PINNED = "variant_pinned"
"""Warning of decisions whose arm the request named: they say nothing about the experiment."""

_NOBODY = Ranking(())
_UNIT = 2.0**-64 * LINE


class Line(msgspec.Struct, frozen=True):
    """The line from 0 to 100 with the arms on it, ready to be looked up."""

    starts: tuple[float, ...]
    owners: tuple[int | None, ...]

    @classmethod
    def of(cls, found: Sequence[Stretch]) -> "Line":
        """Prepare stretches, which are ascending; what lies between them is nobody's."""
        places: dict[float, int | None] = {0.0: None}
        at = 0.0
        for start, end, arm in found:
            # Rounded, a stretch may begin a hair before the one in front of it ends.
            places[max(start, at)], places[end] = arm, None
            at = end
        return cls(tuple(places), tuple(places.values()))

    def arm(self, place: float) -> int | None:
        """Return the arm at ``place``, which is from 0 to below 100."""
        return self.owners[bisect_right(self.starts, place) - 1]


class Assigner(msgspec.Struct, frozen=True):
    """Finds the arm of a request, if it is in the experiment at all.

    ``effects`` and ``chances`` are per arm; the effects lack the unit.
    """

    experiment: Experiment
    running: bool
    matches: Predicate | None
    read: Callable[[Context], str | None]
    draws: bool
    pins: bool
    group: Rendezvous | None
    seat: int
    rivals: tuple[str, ...]
    hasher: Any
    line: Line
    effects: tuple[Assignment, ...]

    @classmethod
    def of(cls, trial: Trial) -> "Assigner":
        """Prepare ``trial``.

        The place on the line is BLAKE2b (8 bytes, big-endian) of the JSON array ``[salt]`` and the
        key in UTF-8, by 2**64 and times 100. Of a group, the experiment is in charge of a key that
        wins a rendezvous of equals by their names.
        """
        made, rivals, key = trial.experiment, trial.rivals, trial.key
        salt = json.dumps([made.salt], ensure_ascii=False).encode("utf-8", "surrogatepass")
        part = 1 / len(rivals) if rivals else 1.0
        return cls(
            experiment=made,
            running=made.state == "running",
            matches=trial.matches,
            read=lambda context: short(key_text(key(context))),
            draws=trial.draws,
            pins=trial.pins,
            group=Rendezvous.of(f"group {made.group}", rivals, [1.0] * len(rivals))
            if len(rivals) > 1
            else None,
            seat=rivals.index(made.name) if rivals else 0,
            rivals=rivals,
            hasher=blake2b(salt, digest_size=8),
            line=Line.of(stretches([arm.share for arm in made.arms])),
            effects=tuple(
                Assignment(made.name, made.version, arm.name, arm.share / LINE * part)
                for arm in made.arms
            ),
        )

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the request's arm, and nobody when it has none.

        Probability: the share of all keys (or draws) that this arm gets.
        """
        if self.pins and (named := context.request.headers.get(VARIANT)):
            pinned = self._pinned(named)
            if pinned is not None:
                context.warn(PINNED)
                self._note(context, "pinned", self.effects[pinned].arm)
                return Ranking([candidates[pinned]])
        if not self.running:
            return self._out(context, f"it is in state {self.experiment.state}")
        if self.matches is not None and not self.matches(context):
            return self._out(context, "its match does not hold")
        return self._by_key(candidates, context)

    def _by_key(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        key, unit = self.read(context), ""
        if key is not None:
            if self.group is not None and (winner := self.group.find(key)) != self.seat:
                return self._out(context, f"the key is with {self.rivals[winner]} of its group")
            hasher = self.hasher.copy()
            hasher.update(key.encode("utf-8", "surrogatepass"))
            unit = hasher.hexdigest()
            # 53 bits: more of them could round to 100.
            place = (int(unit, 16) >> 11 << 11) * _UNIT
        elif self.draws:
            place = context.entropy.uniform() * LINE
        else:
            return self._out(context, f"the request has no {self.experiment.key}")
        if context.trail is not None:
            self._explain(context, place, unit)
        arm = self.line.arm(place)
        if arm is None:
            return self._out(context, "its place is left over")
        effect = self.effects[arm]
        return Ranking([candidates[arm]], effect.propensity, (effect._replace(unit=unit),))

    def _pinned(self, named: str) -> int | None:
        """Return the arm that ``ARM``, or one of ``EXPERIMENT=ARM, …``, names."""
        for one in named.split(","):
            experiment, equals, arm = one.strip().rpartition("=")
            if equals and experiment.strip() != self.experiment.name:
                continue
            for place, effect in enumerate(self.effects):
                if effect.arm == arm.strip():
                    return place
        return None

    def _out(self, context: Context, reason: str) -> Ranking:
        self._note(context, "out", reason)
        return _NOBODY

    def _note(self, context: Context, key: str, value: object) -> None:
        if context.trail is not None:
            context.trail.note("experiment", self.experiment.name)
            context.trail.note(key, value)

    def _explain(self, context: Context, place: float, unit: str) -> None:
        self._note(context, "place", round(place, 6))
        self._note(context, "unit", unit or "drawn")
        arms: dict[str, list[list[float]]] = {arm.name: [] for arm in self.experiment.arms}
        for start, end, arm in stretches([arm.share for arm in self.experiment.arms]):
            arms[self.effects[arm].arm].append([round(start, 6), round(end, 6)])
        self._note(context, "arms", arms)
        if self.group is not None:
            self._note(context, "group", self.rivals)


class ExperimentRouter(Definition, frozen=True, kw_only=True):
    """The document of an `experiment` router, which names an experiment: its arms are the targets.

    Who is in an arm stays in it: when all of the arm fails the request fails, unless there is a
    router around this one.
    """

    names: ClassVar = ("experiment",)
    lazy: ClassVar = True
    selective: ClassVar = True

    experiment: str = ""
    on_error: Literal["fail"] = "fail"

    def arms(self, site: Site) -> list[Arm]:
        """Return the routers of the experiment's arms."""
        if self.targets:
            site.fault(".targets", "the arms of the experiment are the targets")
        if not self.experiment:
            site.fault(".experiment", "needs the name of an experiment")
            return []
        trial = self._trial(site)
        return [Arm(".experiment", router) for router in trial.routers] if trial else []

    def strategy(
        self, site: Site, _arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return what finds the arm."""
        trial = self._trial(site)
        return AsListed() if trial is None else Assigner.of(trial)

    def _trial(self, site: Site) -> Trial | None:
        try:
            return site.compilers.experiment(self.experiment, f"{site.path}.experiment")
        except ConfigError as error:
            site.findings.faults.extend(error.faults)
            return None

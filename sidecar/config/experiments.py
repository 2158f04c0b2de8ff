"""Experiment documents: what they hold, what is wrong with them, and what must not change."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from sidecar.config.documents import Documents
from sidecar.config.experiment_metrics import MetricDocument
from sidecar.config.faults import decode, decode_object, nearest
from sidecar.errors import ConfigError, Fault
from sidecar.model import Rollout, RolloutGuard, State

MOST_ARMS = 20
SEATED = frozenset({"running", "paused"})
"""States in which an experiment has its place in its group."""
_ARM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_WHOLE = 100 + 1e-9
_LIMITS = ("max_increase", "max_decrease", "max_ratio", "min_ratio")

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ArmDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``router``: the name of a router or a target, a router, or a target with parameters."""

    name: str
    router: str | dict[str, Any]
    share: float


class ExperimentDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``missing``: what becomes of a request without the key; `random` draws it an arm."""

    arms: tuple[ArmDocument, ...]
    key: str = "user.id"
    salt: Text | None = None
    match: dict[str, Any] | None = None
    missing: Literal["out", "random"] = "out"
    group: Text | None = None
    state: State = "draft"
    metrics: tuple[MetricDocument, ...] = ()
    rollout: Rollout | None = None
    version: Annotated[int, msgspec.Meta(ge=1, lt=2**53)] = 1
    description: str = ""

    @property
    def seated(self) -> bool:
        """Whether it has a place in a group."""
        return self.group is not None and self.state in SEATED


def decode_experiment(name: str, text: bytes) -> ExperimentDocument:
    """Decode an experiment; raises ConfigError."""
    return decode(text, ExperimentDocument, f"experiments.{name}")


def check_experiment(document: ExperimentDocument, path: str) -> Iterator[Fault]:
    """Yield what is wrong with arms and rollout, as far as no other document matters."""
    arms = document.arms
    if not 1 <= len(arms) <= MOST_ARMS:
        yield Fault(f"{path}.arms", f"needs 1 to {MOST_ARMS} arms, not {len(arms)}")
    for place, arm in enumerate(arms):
        where = f"{path}.arms[{place}]"
        if not _ARM.match(arm.name):
            yield Fault(
                f"{where}.name",
                "needs a letter or a digit, then at most 63 letters, digits or any of . _ -",
            )
        elif arm.name in [one.name for one in arms[:place]]:
            yield Fault(f"{where}.name", f'"{arm.name}" is there already')
        if not 0 <= arm.share <= 100:
            yield Fault(f"{where}.share", f"{arm.share:g} is no percentage from 0 to 100")
    total = sum(arm.share for arm in arms)
    if total > _WHOLE:
        yield Fault(f"{path}.arms", f"their shares are {total:g} % together; at most 100")
    if document.group is not None and document.missing == "random":
        yield Fault(f"{path}.missing", "a group goes by keys: what is drawn has no place in it")
    if document.rollout is not None:
        yield from _check_rollout(document.rollout, document, f"{path}.rollout")


def _check_rollout(rollout: Rollout, document: ExperimentDocument, path: str) -> Iterator[Fault]:
    names = [arm.name for arm in document.arms]
    if len(names) < 2:
        yield Fault(path, "compares a candidate with a control: it needs two arms")
        return
    for field in ("candidate", "control"):
        given = getattr(rollout, field)
        if given and given not in names:
            yield Fault(f"{path}.{field}", f'unknown arm "{given}"; {nearest(given, names)}')
    control, candidate = rollout.control or names[0], rollout.candidate or names[-1]
    if control == candidate:
        yield Fault(path, f"compares {control} with itself")
    if rollout.hold_seconds < 0:
        yield Fault(f"{path}.hold_seconds", f"{rollout.hold_seconds:g} is less than 0")
    others = sum(arm.share for arm in document.arms if arm.name not in {control, candidate})
    yield from _check_steps(rollout.steps, others, f"{path}.steps")
    for place, guard in enumerate(rollout.guards):
        yield from _check_guard(guard, f"{path}.guards[{place}]")
    if not 0 < rollout.alpha < 0.5:
        yield Fault(f"{path}.alpha", f"{rollout.alpha:g} is not between 0 and 0.5")
    least, most = rollout.min_exposures, rollout.max_exposures
    if least < 0:
        yield Fault(f"{path}.min_exposures", f"{least} is less than 0")
    if most is not None and most < max(1, least):
        yield Fault(f"{path}.max_exposures", f"{most} is less than {max(1, least)}")


def _check_steps(steps: tuple[float, ...], others: float, path: str) -> Iterator[Fault]:
    if not steps:
        yield Fault(path, "needs at least one share in percent")
    for place, step in enumerate(steps):
        if not 0 < step <= 100:
            yield Fault(f"{path}[{place}]", f"{step:g} is no percentage over 0 and up to 100")
        elif place and step <= steps[place - 1]:
            yield Fault(f"{path}[{place}]", f"{step:g} is not more than the step before it")
    if others and steps and max(steps) + others > _WHOLE:
        yield Fault(path, f"other arms have {others:g} %: at most {100 - others:g} is left")


def _check_guard(guard: RolloutGuard, path: str) -> Iterator[Fault]:
    given = {name: getattr(guard, name) for name in _LIMITS if getattr(guard, name) is not None}
    if len(given) != 1:
        yield Fault(path, f"needs exactly one of {', '.join(_LIMITS)}")
    for name, limit in given.items():
        if limit < 0 or (limit == 0 and name.endswith("ratio")):
            yield Fault(f"{path}.{name}", f"{limit:g} is no limit")


def changes(old: Documents, new: Documents) -> list[Fault]:
    """Return what ``new`` changes of experiments that have begun, under the same version.

    What was measured before and after would be added up as if it were the same. Shares, match,
    rollout, metrics and the state may change. Documents that cannot be read are passed over.
    """
    return [
        fault
        for name, text in new.experiments.items()
        if text != old.experiments.get(name)
        for fault in _changed(name, _known(name, old), _known(name, new))
    ]


def restarted(old: Documents, new: Documents) -> dict[str, bytes]:
    """Return what `changes` complains about, by name, each with the next version."""
    texts = {}
    for name, text in new.experiments.items():
        before, after = _known(name, old), _known(name, new)
        if before is not None and any(_changed(name, before, after)):
            document = decode_object(text, f"experiments.{name}")
            texts[name] = msgspec.json.encode(document | {"version": before.version + 1})
    return texts


def consistent(before: Documents, after: Documents, *, force: bool) -> tuple[Documents, list[str]]:
    """Return documents under which no experiment mixes data, and a warning for each restarted.

    Raises ConfigError without ``force`` when one would have to restart.
    """
    faults = changes(before, after)
    if faults and not force:
        raise ConfigError(faults)
    again = restarted(before, after)
    told = [f"experiments.{name}: gets a new version, and its data restarts" for name in again]
    return msgspec.structs.replace(after, experiments={**after.experiments, **again}), told


class Mixtures:
    """Experiments whose data is of more than one design, because somebody edited them by hand."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, list[str]]] = {}

    def note(self, old: Documents, new: Documents) -> list[str]:
        """Note what is different in ``new``, which is live now; return what is wrong by now.

        An experiment is as new with another version.
        """
        found = {}
        for name in new.experiments:
            after = _known(name, new)
            version, told = self._found.get(name, (0, []))
            told = told if after is not None and after.version == version else []
            told = [*told, *map(str, _changed(name, _known(name, old), after))]
            if after is not None and told:
                found[name] = after.version, list(dict.fromkeys(told))
        self._found = found
        return [text for _, texts in found.values() for text in texts]


def _known(name: str, documents: Documents) -> ExperimentDocument | None:
    try:
        return decode_experiment(name, documents.experiments[name])
    except (ConfigError, KeyError):
        return None


def _changed(
    name: str, before: ExperimentDocument | None, after: ExperimentDocument | None
) -> Iterator[Fault]:
    if before is None or after is None or before.state == "draft":
        return
    path, again = f"experiments.{name}", f"has begun; raise version to {before.version + 1}"
    if after.version < before.version:
        yield Fault(
            f"{path}.version", f"is lower than before; the next one is {before.version + 1}"
        )
    if after.version != before.version:
        return
    if after.state == "draft":
        yield Fault(f"{path}.state", f"{again} for a new draft, or pause or stop it")
    if before.state == "stopped" and after.state in SEATED:
        yield Fault(f"{path}.state", f"is over; raise version to {before.version + 1} to run again")
    if after.state == "stopped":
        return
    for field in ("key", "salt", "group", "missing"):
        if getattr(after, field) != getattr(before, field):
            yield Fault(f"{path}.{field}", f"{again}, with which its data restarts, to change it")
    if [(arm.name, arm.router) for arm in after.arms] != [
        (arm.name, arm.router) for arm in before.arms
    ]:
        yield Fault(
            f"{path}.arms", f"{again}, with which its data restarts, to change names or routers"
        )

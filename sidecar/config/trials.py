"""From experiment documents to trials, which routers put requests into arms with."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from sidecar.config.documents import check_name
from sidecar.config.experiment_metrics import compile_metrics, find_metric
from sidecar.config.experiments import ExperimentDocument, check_experiment, decode_experiment
from sidecar.config.faults import nearest
from sidecar.errors import ConfigError, Fault
from sidecar.model import Arm, Compilers, Experiment, Metric, Router, Trial, no_subjects

BuildArm = Callable[[str | dict[str, Any], str, str], Router]
"""Builds the router of an arm by its document, its name, and its path for faults."""

T = TypeVar("T")


class Trials:
    """The experiments of a configuration, each compiled when somebody asks for it.

    Routers name experiments, and the arms of experiments name routers: ``build`` asks back.
    ``pins``: requests may name their arm.
    """

    def __init__(
        self,
        texts: Mapping[str, bytes],
        compilers: Compilers,
        build: BuildArm,
        *,
        pins: bool,
    ) -> None:
        self._documents = {name: _decoded(name, text) for name, text in texts.items()}
        self._compilers = compilers
        self._build = build
        self._pins = pins
        self._made: dict[str, Trial | ConfigError] = {}
        self._making: list[str] = []

    def find(self, name: str, path: str) -> Trial:
        """Return the experiment called ``name``, which a router at ``path`` asks for.

        Raises ConfigError when there is none, it is wrong, or it contains itself.
        """
        if name not in self._documents:
            known = nearest(name, sorted(self._documents)) if self._documents else "there is none"
            raise ConfigError([Fault(path, f'unknown experiment "{name[:100]}"; {known}')])
        if name not in self._made:
            self._made[name] = self._tried(name)
        made = self._made[name]
        if isinstance(made, ConfigError):
            raise ConfigError(made.faults)
        return made

    def compile(self, faults: list[Fault]) -> dict[str, Trial]:
        """Compile all; what is wrong goes to ``faults``."""
        found = {}
        for name in self._documents:
            faults.extend(check_name("experiments", name))
            trial = _attempt(faults, self.find, name, "")
            if trial is not None:
                found[name] = trial
        return found

    def _tried(self, name: str) -> Trial | ConfigError:
        if name in self._making:
            ring = [*self._making[self._making.index(name) :], name]
            return ConfigError([Fault(f"experiments.{name}", f"cycle {' -> '.join(ring)}")])
        self._making.append(name)
        try:
            return self._trial(name)
        except ConfigError as error:
            return error
        finally:
            self._making.pop()

    def _trial(self, name: str) -> Trial:
        document, path = self._documents[name], f"experiments.{name}"
        if isinstance(document, ConfigError):
            raise document
        compilers = self._compilers
        faults = [*check_experiment(document, path), *self._check_group(name, document)]
        metrics = _attempt(faults, _metrics, document, path)
        key = _attempt(faults, compilers.accessor, document.key, f"{path}.key")
        matches = None
        if document.match is not None:
            where = f"{path}.match"
            matches = _attempt(faults, compilers.condition, document.match, where, no_subjects)
        routers = [
            _attempt(
                faults, self._build, arm.router, f"{name}/{arm.name}", f"{path}.arms[{n}].router"
            )
            for n, arm in enumerate(document.arms)
        ]
        if faults or key is None or metrics is None:
            raise ConfigError(faults)
        return Trial(
            experiment=_experiment(name, document, metrics),
            routers=tuple(router for router in routers if router is not None),
            key=key,
            matches=matches,
            rivals=tuple(sorted(self._group(document))),
            draws=document.missing == "random",
            pins=self._pins and document.state != "stopped",
        )

    def _group(self, document: ExperimentDocument) -> dict[str, ExperimentDocument]:
        """Return those that have a place in the group of ``document``, if it has one itself."""
        return {
            name: one
            for name, one in self._documents.items()
            if isinstance(one, ExperimentDocument)
            and (document.seated and one.seated and one.group == document.group)
        }

    def _check_group(self, name: str, document: ExperimentDocument) -> Iterator[Fault]:
        """A key is with one experiment of a group only if all of them go by the same key."""
        for other, one in self._group(document).items():
            if other < name and one.key != document.key:
                message = f"is not that of {other}, which is in the same group: {one.key}"
                yield Fault(f"experiments.{name}.key", message)


def _attempt(faults: list[Fault], make: Callable[..., T], *arguments: Any) -> T | None:
    """Return what ``make`` makes; what is wrong goes to ``faults``."""
    try:
        return make(*arguments)
    except ConfigError as error:
        faults.extend(error.faults)
        return None


def _decoded(name: str, text: bytes) -> ExperimentDocument | ConfigError:
    try:
        return decode_experiment(name, text)
    except ConfigError as error:
        return error


def _metrics(document: ExperimentDocument, path: str) -> tuple[Metric, ...]:
    """Return the metrics that are described, then the others that the rollout asks for."""
    found = compile_metrics(document.metrics, f"{path}.metrics")
    faults = list[Fault]()
    asked = []
    if document.rollout is not None:
        guards, objective = document.rollout.guards, document.rollout.objective
        asked = [(one.metric, f".guards[{n}].metric") for n, one in enumerate(guards)]
        asked += [(objective, ".objective")] if objective is not None else []
    for name, where in asked:
        metric = _attempt(faults, find_metric, name, found, f"{path}.rollout{where}")
        if metric is not None:
            found[name] = metric
    if faults:
        raise ConfigError(faults)
    return tuple(found.values())


def _experiment(name: str, document: ExperimentDocument, metrics: tuple[Metric, ...]) -> Experiment:
    salt = document.salt
    return Experiment(
        name,
        arms=tuple(Arm(arm.name, arm.share) for arm in document.arms),
        version=document.version,
        state=document.state,
        key=document.key,
        salt=f"{name} {document.version}" if salt is None else salt,
        group=document.group,
        metrics=metrics,
        rollout=document.rollout,
        description=document.description,
    )

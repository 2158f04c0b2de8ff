"""Routers, plans and decisions: how a request becomes a list of attempts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import msgspec

from sidecar.errors import ConfigError, Fault
from sidecar.model.backends import Backend, Stats
from sidecar.model.experiments import Assignment, Experiment
from sidecar.model.guards import Guard, guard_finder
from sidecar.model.memory import FORGETFUL, Effect, Memory
from sidecar.model.request import BASE_HEADERS, InferenceRequest, KeyOwner
from sidecar.model.trail import Judged, Trail

if TYPE_CHECKING:
    from sidecar.model.budgets import Budgets, Charge

MAX_ATTEMPTS = 10
"""Longest plan, and deepest nesting of routers (LangDB's MAX_DEPTH counts both)."""


class Attempt(NamedTuple):
    """One step of a plan: this backend with these parameters over the request's own."""

    backend: Backend
    parameters: Mapping[str, Any]


class Plan(NamedTuple):
    """What to try, in order; ``probability`` is that of drawing this first attempt.

    ``strategy`` names the routers that were walked, outermost first (``fallback/optimized``), and
    ``effects`` is what those want to be remembered.
    """

    attempts: tuple[Attempt, ...]
    probability: float
    strategy: str
    effects: tuple[Effect, ...] = ()


class Entropy:
    """A deterministic source of uniforms: same seed, same numbers, so a decision can be replayed.

    SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    """

    __slots__ = ("_state", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = self._state = seed & 0xFFFFFFFFFFFFFFFF

    def uniform(self) -> float:
        """Return the next number in [0, 1), with 53 random bits."""
        self._state = z = (self._state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return ((z ^ (z >> 31)) >> 11) * 2.0**-53


class Context(NamedTuple):
    """All that a decision may depend on besides the snapshot. ``now``: Unix time in seconds.

    ``trail`` is there when somebody asked why. ``warnings`` takes codes of what went wrong,
    ``assigned`` the arms that the request is in although they have nothing to try: which arm it
    is in must not depend on what came of that.
    """

    request: InferenceRequest
    stats: Stats
    entropy: Entropy
    now: float
    memory: Memory = FORGETFUL
    trail: Trail | None = None
    warnings: list[str] | None = None
    assigned: list[Assignment] | None = None

    def warn(self, code: str) -> None:
        """Note something that went wrong and that the decision survives; ``code`` is counted."""
        if self.warnings is not None and code not in self.warnings:
            self.warnings.append(code)


Predicate = Callable[[Context], bool]
Accessor = Callable[[Context], Any]
"""Reads one subject; returns ``MISSING`` when there is none."""
Resolver = Callable[[str, str], Accessor | None]
"""Finds an accessor by (subject, path) where a condition knows more subjects than all do."""


def no_subjects(_subject: str, _path: str) -> None:
    """Know no further subjects."""


class Trial(NamedTuple):
    """An experiment, ready to put requests into its arms.

    ``routers``: one for each arm. ``rivals``: the experiments that share a group with it, itself
    among them, when it has a place there. ``draws``: a request without a key is put into an arm
    by chance. ``pins``: requests may name their arm.
    """

    experiment: Experiment
    routers: "tuple[Router, ...]"
    key: "Accessor"
    matches: "Predicate | None" = None
    rivals: tuple[str, ...] = ()
    draws: bool = False
    pins: bool = False


def trial_finder(trials: Mapping[str, Trial]) -> Callable[[str, str], Trial]:
    """Return what finds a trial by (name, path); it raises ConfigError when there is none."""

    def find(name: str, path: str) -> Trial:
        trial = trials.get(name)
        if trial is None:
            known = ", ".join(sorted(trials)) or "there is none"
            raise ConfigError([Fault(path, f'unknown experiment "{name[:100]}"; known: {known}')])
        return trial

    return find


class Compilers(NamedTuple):
    """What a router needs from other rooms when it is built; all raise ConfigError.

    ``accessor(subject, path)`` compiles a SUBJECT (`user.id`, `headers.x-a`, `body.a.b`);
    ``condition(document, path, subjects)`` compiles a CONDITION, which may ask about ``subjects``
    besides those that there are everywhere; ``guard(name, path)`` finds a guard and
    ``experiment(name, path)`` a trial. ``path`` is used in fault messages.
    """

    accessor: Callable[[str, str], Accessor]
    condition: Callable[[Any, str, Resolver], Predicate]
    guard: Callable[[str, str], Guard] = guard_finder({})
    experiment: Callable[[str, str], Trial] = trial_finder({})


class Candidate(NamedTuple):
    """A target that can be tried now: its place in the router, its name, and its own plan."""

    place: int
    label: str
    plan: Plan

    @property
    def backend(self) -> Backend:
        """The backend that this candidate would try first."""
        return self.plan.attempts[0].backend


class Course(Protocol):
    """How a router of a lazy type goes through its ranking, one candidate after the other."""

    def admits(self, candidate: Judged, *, decided: bool) -> bool:
        """Tell whether ``candidate`` may be tried; ``decided``: one before it will be."""

    def effects(self, first: Candidate) -> tuple[Effect, ...]:
        """Return what to remember when ``first``, which has a plan, is what was chosen."""


class Ranking(NamedTuple):
    """Candidates in the order to try, and the probability of drawing the first of them.

    ``effects``: what to remember if this router's choice is the one that counts. ``course``: is
    asked about each candidate when its turn comes, which for most of them is never.
    """

    order: Sequence[Candidate]
    probability: float = 1.0
    effects: tuple[Effect, ...] = ()
    course: Course | None = None


class Strategy(Protocol):
    """Puts candidates into order. Pure: time, statistics and chance come from the context."""

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the candidates that fit, best first; ``candidates`` is never empty.

        Those that the router of a lazy type gets may be without a plan: only ``place`` and
        ``label`` may be read.
        """


class Leaf(msgspec.Struct, frozen=True):
    """A target that names backends: one, or all of `provider/*` or of a bare model name."""

    label: str
    backends: tuple[Backend, ...]
    parameters: Mapping[str, Any] = {}


class Router(msgspec.Struct, frozen=True):
    """A strategy over targets. ``keep_rest``: the rest of the ranking stays as fallback."""

    name: str
    type: str
    strategy: Strategy
    targets: "tuple[Leaf | Router, ...]"
    keep_rest: bool = True
    parameters: Mapping[str, Any] = {}


class Route(msgspec.Struct, frozen=True):
    """An ordered rule: when ``matches`` says yes, ``router`` decides. ``None``: always."""

    name: str
    order: float
    router: Router
    matches: Predicate | None = None
    models: frozenset[str] | None = None
    """The only model names that can match, if the condition pins them; for the index."""


class RouteIndex(Protocol):
    """Finds the routes that match."""

    def first(self, context: Context) -> Route | None:
        """Return the first route that matches, or ``None``."""

    def possible(self, model: str | None) -> Iterator[Route]:
        """Yield the routes that requests for ``model`` can match, in the order of asking."""


class Policy(msgspec.Struct, frozen=True):
    """Process settings that a decision depends on."""

    inline_routers: bool = True
    inline_scripts: bool = False
    unknown_model: Literal["default", "reject"] = "default"
    variant_pins: bool = False


class Catalog(Protocol):
    """Resolves target names to backends and stored routers."""

    def leaf(self, name: str, parameters: Mapping[str, Any]) -> Leaf | None:
        """Return the backends called ``name`` (`name`, `provider/model`, `provider/*`, model)."""

    def router(self, name: str) -> Router | None:
        """Return the stored router called ``name``."""

    def backends(self) -> Sequence[Backend]:
        """Return all backends, enabled or not, in the order of preference."""

    def known(self) -> Sequence[str]:
        """Return what a target can be called (`name`, `router/<name>`), for fault messages."""


class Snapshot(msgspec.Struct, frozen=True):
    """The live configuration, compiled. ``headers``: request headers that it reads, sorted."""

    version: int
    digest: str
    backends: Mapping[str, Backend]
    routers: Mapping[str, Router]
    routes: RouteIndex
    catalog: Catalog
    default: Router | None
    headers: tuple[str, ...] = BASE_HEADERS
    policy: Policy = Policy()
    route_list: tuple[Route, ...] = ()
    """The same routes, in any order, for those who list them: ``routes`` only finds."""
    keys: Mapping[str, KeyOwner] = {}
    """Whom API keys stand for, by `InferenceRequest.api_key`."""
    guards: Mapping[str, Guard] = {}
    flags: Mapping[str, Predicate] = {}
    experiments: Mapping[str, Experiment] = {}
    trials: Mapping[str, Trial] = {}
    """The same experiments, for routers in requests that name them."""
    route_texts: Mapping[str, bytes] = {}
    """The documents of all routes, switched off ones too: an explanation reads conditions there."""
    budgets: "Budgets | None" = None


class Splice(NamedTuple):
    """Replace ``length`` bytes at ``offset`` of the original body by ``text`` (UTF-8)."""

    offset: int
    length: int
    text: str


class Decision(NamedTuple):
    """What was decided, and enough to decide it again: seed and time are in the id."""

    id: str
    route: str
    plan: Plan
    splices: tuple[tuple[Splice, ...], ...]
    """For each attempt the splices that turn the client's body into what it gets, ascending."""
    config_version: int
    model: str | None
    warnings: tuple[str, ...] = ()
    hide_usage: bool = False
    """Whether the stream's usage chunk is for us only, because the client did not ask for it."""
    charges: "tuple[Charge, ...]" = ()

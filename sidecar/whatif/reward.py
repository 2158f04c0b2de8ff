"""What a candidate configuration would earn, estimated from the decisions of another one.

Needs no replay of outcomes: decisions that were drawn are weighted by how much likelier the
candidate takes them (`evidence.offpolicy`). The action is the first backend; what is earned is that
of the whole request, fallbacks of then included.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from sidecar.evidence import Estimate, Logged, doubly_robust, ips, snips
from sidecar.model import Snapshot, Stats
from sidecar.whatif.actions import Actions, GridEntropy, action_probabilities
from sidecar.whatif.propensity import is_exact
from sidecar.whatif.records import Decided, Outcome, Record
from sidecar.whatif.replay import CannotTell, Choice, Simulated, replay

BUILT_IN: Mapping[str, Callable[[Outcome], float | None]] = {
    "success": lambda came: float(not came.error),
    "error_rate": lambda came: float(came.error),
    "latency_ms": lambda came: came.latency_ms,
    "ttft_ms": lambda came: came.ttft_ms,
    "input_tokens": lambda came: came.input_tokens,
    "output_tokens": lambda came: came.output_tokens,
    "cost_usd": lambda came: came.cost_usd,
}
"""Metrics of every request; any other name is that of feedback."""

LEAST_KEYS = 30
"""Different keys below which nothing is said, where choices stick to keys."""
_SUM_TOLERANCE = 1e-6


class Estimates(msgspec.Struct, frozen=True, kw_only=True):
    """``logged``: the mean over the ``n`` decisions used, as they were; then the candidate's.

    ``excluded``: why other decisions could not be used. ``exact``: the share of the decisions in
    which the candidate's probability is its own statement, not counted on a grid.
    """

    metric: str
    n: int
    excluded: dict[str, int]
    exact: float | None
    logged: float | None
    candidate: list[Estimate]


class _Case(NamedTuple):
    """A decision that can be used, and what the candidate would do with it."""

    record: Record
    past: Decided
    propensity: float
    reward: float
    actions: Actions
    key: str
    """Whose decision it was, if the choice stuck to that; else the decision's own id."""


def estimate(
    live: Snapshot,
    candidate: Snapshot,
    records: Sequence[Record],
    stats: Stats,
    metric: str,
    progress: Callable[[int], None] | None = None,
) -> Estimates:
    """Return the mean of ``metric`` per request under ``candidate``: IPS, SNIPS, doubly robust.

    ``live`` shows which probabilities stated then can be relied on. The model of the doubly robust
    estimate is the mean of each backend. For a choice that sticks to a key, the candidate's
    probability is the share of its arm, taken from all ``records`` together.
    """
    excluded: Counter[str] = Counter()
    cases: list[_Case] = []
    memory = Simulated()
    for place, record in enumerate(records):
        case = _case(record, metric, live, candidate, stats, memory.at(record.now))
        if isinstance(case, _Case):
            cases.append(case)
        else:
            excluded.update(case)
        _remember(candidate, stats, record, memory)
        if progress is not None:
            progress(place + 1)
    used, unknown = _with_shares(cases)
    if unknown:
        excluded["the shares of a sticky choice are not all known"] += unknown
    return _estimates(metric, used, dict(excluded.most_common()))


def reward_of(past: Decided, metric: str) -> float | None:
    """Return what the request earned, ``None`` when that is not known."""
    read = BUILT_IN.get(metric)
    return past.feedback.get(metric) if read is None else read(past.outcome)


def _case(
    record: Record,
    metric: str,
    live: Snapshot,
    candidate: Snapshot,
    stats: Stats,
    memory: Simulated,
) -> _Case | tuple[str, ...]:
    """Return the case, or why there is none."""
    past = record.decided
    if past is None or not past.backends or not past.probability:
        return ("what was decided is not known",)
    reward = reward_of(past, metric)
    if reward is None:
        return (f"{metric} is not known",)
    if not is_exact(record, past, live):
        return ("the probability stated then is not that of the backend",)
    actions = action_probabilities(candidate, stats, record, memory)
    if isinstance(actions, CannotTell):
        return tuple(f"{fact} was not recorded" for fact in actions.facts)
    key = past.unit or _key(record, past.probability, live, stats)
    return _Case(record, past, min(past.probability, 1.0), reward, actions, key)


def _key(record: Record, probability: float, live: Snapshot, stats: Stats) -> str:
    """Return who asked, if the live rules choose among several without a draw: by a key."""
    entropy, facts = GridEntropy(0, 1, record.seed), record.facts
    if probability == 1 or isinstance(replay(live, stats, record, entropy=entropy), CannotTell):
        return record.id
    if entropy.drawn:
        return record.id
    return facts.user.id or facts.session or facts.api_key or record.id


def _remember(candidate: Snapshot, stats: Stats, record: Record, memory: Simulated) -> None:
    found = replay(candidate, stats, record, memory)
    if isinstance(found, Choice) and found.plan is not None and found.plan.effects:
        memory.apply(found.plan.effects)


def _with_shares(cases: Sequence[_Case]) -> tuple[list[_Case], int]:
    """Give sticky choices the probabilities of their arms; count those that cannot get them."""
    shares = _shares(one.actions.sticky for one in cases if one.actions.sticky)
    used, unknown = [], 0
    for one in cases:
        sticky = one.actions.sticky
        if sticky is None:
            used.append(one)
        elif sticky.route in shares:
            actions = Actions(shares[sticky.route], exact=True)
            used.append(one._replace(actions=actions))
        else:
            unknown += 1
    return used, unknown


def _shares(choices: Iterable[Choice]) -> dict[str, dict[str, float]]:
    """Return route → backend → share of keys, where the shares that were met add up to 1."""
    met: dict[str, set[tuple[str, str, float]]] = {}
    for one in choices:
        met.setdefault(one.route, set()).add((one.backend, one.strategy, one.probability))
    found = {}
    for route, arms in met.items():
        if abs(sum(arm[2] for arm in arms) - 1) < _SUM_TOLERANCE:
            found[route] = _by_backend(arms)
    return found


def _by_backend(arms: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for backend, _, share in sorted(arms):
        shares[backend] = shares.get(backend, 0.0) + share
    return shares


def _estimates(metric: str, cases: Sequence[_Case], excluded: dict[str, int]) -> Estimates:
    n = len(cases)
    logged = _logged(cases)
    return Estimates(
        metric=metric,
        n=n,
        excluded=excluded,
        exact=sum(one.actions.exact for one in cases) / n if n else None,
        logged=sum(one.reward for one in cases) / n if n else None,
        candidate=[_told(method(logged), cases) for method in (ips, snips, doubly_robust)],
    )


def _told(found: Estimate, cases: Sequence[_Case]) -> Estimate:
    """Take the figures away when too few keys made them: between keys they may vary at will."""
    keys = len({one.key for one in cases})
    if found.cannot_tell is not None or keys >= LEAST_KEYS:
        return found
    why = f"the choices stick to {keys} keys; {LEAST_KEYS} are needed"
    return msgspec.structs.replace(found, estimate=None, low=None, high=None, cannot_tell=why)


def _logged(cases: Sequence[_Case]) -> Logged:
    model, support = _model(cases), _support(cases)
    overall = sum(one.reward for one in cases) / len(cases) if cases else 0.0
    chances = [one.actions.probabilities for one in cases]
    firsts = [one.past.backends[0] for one in cases]
    return Logged(
        propensity=[one.propensity for one in cases],
        target=[min(p.get(name, 0.0), 1.0) for p, name in zip(chances, firsts, strict=True)],
        reward=[one.reward for one in cases],
        predicted=[model[name] for name in firsts],
        predicted_target=[
            sum(chance * model.get(name, overall) for name, chance in p.items()) for p in chances
        ],
        unsupported=[
            sum(chance for name, chance in p.items() if name not in support[_where(one.past)])
            for p, one in zip(chances, cases, strict=True)
        ],
        keys=[one.key for one in cases],
    )


def _model(cases: Sequence[_Case]) -> dict[str, float]:
    """Return the mean reward of each first backend."""
    earned: dict[str, list[float]] = {}
    for one in cases:
        earned.setdefault(one.past.backends[0], []).append(one.reward)
    return {name: sum(values) / len(values) for name, values in earned.items()}


def _support(cases: Sequence[_Case]) -> dict[tuple[str, int], set[str]]:
    """Return which backends were tried first at all, by route and version of the rules."""
    found: dict[tuple[str, int], set[str]] = {}
    for one in cases:
        found.setdefault(_where(one.past), set()).add(one.past.backends[0])
    return found


def _where(past: Decided) -> tuple[str, int]:
    return past.route, past.version

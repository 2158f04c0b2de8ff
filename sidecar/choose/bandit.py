"""`bandit`: draws a target by probabilities that follow from what the targets earned so far.

The probabilities come with the statistics, computed elsewhere, so the probability of each draw is
known exactly and a decision can be made again.
"""

import json
import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from sidecar.choose.buckets import BucketBy, Buckets, compile_buckets
from sidecar.choose.definition import Arm, Definition, Site, label
from sidecar.model import Assignment, Candidate, Context, Leaf, Odds, Ranking, Router, Strategy

PREFIX = "bandit:"
"""What the names of bandits begin with where experiments have theirs."""
OTHER = "(other)"
"""The bucket of requests whose own one found no room."""
MOST_ARMS = 50
FEEDBACK = "feedback:"
SCALES = {
    "latency_ms": 10_000.0,
    "ttft_ms": 2_000.0,
    "cost_usd": 0.01,
    "tokens_per_second": 100.0,
}
"""Terms of rewards besides `success`, and their usual scales."""
_FLOOR = 0.02

Algorithm = Literal["thompson", "ucb1", "epsilon_greedy"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Weight = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Amount = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class Reward(msgspec.Struct, frozen=True):
    """What a request earns for its arm: a metric of feedback, or a mean of terms."""

    feedback: str | None = None
    weights: tuple[tuple[str, float], ...] = ()
    scales: tuple[tuple[str, float], ...] = ()
    clipped: bool = True
    """Whether rewards are from 0 to 1."""


class Learning(msgspec.Struct, frozen=True):
    """How probabilities follow from rewards. At most one way of forgetting is set."""

    algorithm: Algorithm = "thompson"
    model: Literal["beta", "normal"] = "beta"
    epsilon: float = 0.1
    floor: float = _FLOOR
    min_samples: int = 0
    half_life_requests: float | None = None
    half_life_seconds: float | None = None
    window_seconds: float | None = None


class ByOdds(msgspec.Struct, frozen=True):
    """Draws among the arms that can be tried.

    ``version`` is another one when the arms, the reward or the context are: what was learned then
    says nothing now. ``learns``: whether it has a state at all; one in a request has none.
    """

    name: str
    version: int
    arms: tuple[str, ...]
    backends: tuple[frozenset[str], ...]
    """Those that can answer for an arm."""
    buckets: Buckets | None
    learning: Learning
    reward: Reward
    learns: bool

    @property
    def key(self) -> str:
        """What its odds are found by."""
        return f"{self.name}:{self.version}"

    @property
    def experiment(self) -> str:
        """Its name in assignments."""
        return PREFIX + self.name

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the drawn arm first, then the others by probability.

        Probability: the arm's share of what those that can be tried have together; all alike when
        nothing is known, or when they have nothing.
        """
        bucket = "" if self.buckets is None else self.buckets.of(context)
        odds = self._odds(bucket, context) if self.learns else None
        weights = [1.0] * len(candidates)
        if odds is not None:
            known = [odds.probabilities[each.place] for each in candidates]
            weights = known if any(known) else weights
        total = math.fsum(weights)
        first = _drawn(weights, context.entropy.uniform() * total)
        if context.trail is not None:
            self._note(candidates, [each / total for each in weights], bucket, odds, context)
        order = sorted(range(len(weights)), key=weights.__getitem__, reverse=True)
        order.remove(first)
        found = [candidates[first], *[candidates[place] for place in order]]
        share = weights[first] / total
        if not self.learns:
            return Ranking(found, share)
        arm = self.arms[found[0].place]
        effect = Assignment(self.experiment, self.version, arm, share, "", bucket)
        return Ranking(found, share, (effect,))

    def _odds(self, bucket: str, context: Context) -> Odds | None:
        table = context.stats.bandits.get(self.key)
        return None if table is None else table.get(bucket) or table.get(OTHER)

    def _note(
        self,
        candidates: Sequence[Candidate],
        shares: Sequence[float],
        bucket: str,
        odds: Odds | None,
        context: Context,
    ) -> None:
        trail = context.trail
        if trail is None:
            return
        trail.note("algorithm", self.learning.algorithm)
        trail.note("learned", odds is not None)
        if self.buckets is not None:
            trail.note("bucket", bucket)
        for candidate, share in zip(candidates, shares, strict=True):
            samples = odds.samples[candidate.place] if odds is not None else 0.0
            trail.score(candidate, share, samples=round(samples, 3))


def _drawn(weights: Sequence[float], point: float) -> int:
    """Return the place whose part of the line from 0 to the sum has ``point`` in it."""
    last = 0
    for place, weight in enumerate(weights):
        if weight > 0:
            if point < weight:
                return place
            last = place
        point -= weight
    return last


class Bandit(Definition, frozen=True, kw_only=True):
    """The document of a `bandit` router.

    `reward`: `feedback:METRIC`, or weights of `success` and the terms of SCALES. `scales`: other
    scales than the usual ones.
    """

    names: ClassVar = ("bandit",)

    algorithm: Algorithm = "thompson"
    model: Literal["beta", "normal"] = "beta"
    reward: str | dict[str, Weight] = msgspec.field(default_factory=lambda: {"success": 1.0})
    scales: dict[str, Amount] = msgspec.field(default_factory=dict)
    epsilon: Share = 0.1
    floor: Share | None = None
    min_samples: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 0
    half_life_requests: Amount | None = None
    half_life_seconds: Amount | None = None
    window_seconds: Amount | None = None
    context: BucketBy = ()

    def arms(self, site: Site) -> list[Arm]:
        """Return the targets; what is wrong with the parameters together is noted as well."""
        arms = super().arms(site)
        self._check_reward(site)
        if self.algorithm == "ucb1" and self.model == "normal":
            site.fault(".model", "ucb1 takes rewards from 0 to 1; normal is for the others")
        given = [name for name in _FORGETTING if getattr(self, name) is not None]
        if len(given) > 1:
            site.fault(f".{given[1]}", f"there is {given[0]} already; use one of them")
        if len(arms) > MOST_ARMS:
            site.fault(".targets", f"{len(arms)} arms; a bandit has {MOST_ARMS} at most")
        elif self.floor is not None and self.floor * len(arms) > 1:
            site.fault(".floor", f"{len(arms)} arms cannot have {self.floor:g} each")
        return arms

    def strategy(
        self, site: Site, _arms: Sequence[Arm], targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the draw; a context that does not compile is noted as a fault."""
        arms = _names(targets)
        floor = min(_FLOOR, 0.5 / len(arms)) if self.floor is None else self.floor
        return ByOdds(
            name=site.name,
            version=self._version(),
            arms=arms,
            backends=tuple([frozenset(_backends(target)) for target in targets]),
            buckets=compile_buckets(self.context, site),
            learning=Learning(
                algorithm=self.algorithm,
                model=self.model,
                epsilon=self.epsilon,
                floor=floor,
                min_samples=self.min_samples,
                half_life_requests=self.half_life_requests,
                half_life_seconds=self.half_life_seconds,
                window_seconds=self.window_seconds,
            ),
            reward=self._reward(),
            learns=site.strict,
        )

    def _check_reward(self, site: Site) -> None:
        known = ("success", *SCALES)
        if isinstance(self.reward, str):
            if not self.reward.removeprefix(FEEDBACK) or not self.reward.startswith(FEEDBACK):
                site.fault(".reward", f"expected {FEEDBACK}METRIC or weights of {', '.join(known)}")
            return
        for term in self.reward:
            if term not in known:
                site.fault(f".reward.{term}", f"unknown term; known: {', '.join(known)}")
        for term in self.scales:
            if term not in SCALES:
                site.fault(f".scales.{term}", f"unknown term; known: {', '.join(SCALES)}")
        if not any(self.reward.values()):
            site.fault(".reward", "the weights add up to 0; they need a sum above 0")

    def _reward(self) -> Reward:
        clipped = self.model == "beta"
        if isinstance(self.reward, str):
            return Reward(feedback=self.reward.removeprefix(FEEDBACK), clipped=clipped)
        scales = SCALES | self.scales
        weights = tuple((term, weight) for term, weight in self.reward.items() if weight)
        wanted = tuple((term, scales[term]) for term, _ in weights if term in scales)
        return Reward(weights=weights, scales=wanted, clipped=clipped)

    def _version(self) -> int:
        """Return a digest of that which makes what was learned worth nothing when it changes."""
        parts = [self.targets, self.reward, self.scales, self.model, self.context]
        text = json.dumps(parts, sort_keys=True).encode()
        return int.from_bytes(blake2b(text, digest_size=4).digest(), "big")


_FORGETTING = ("half_life_requests", "half_life_seconds", "window_seconds")


def _names(targets: Sequence[Leaf | Router]) -> tuple[str, ...]:
    """Return the arms' names: the targets' own, with a number where there is one already."""
    seen: dict[str, int] = {}
    names = []
    for target in targets:
        name = label(target)
        seen[name] = count = seen.get(name, 0) + 1
        names.append(name if count == 1 else f"{name} #{count}")
    return tuple(names)


def _backends(target: Leaf | Router) -> list[str]:
    if isinstance(target, Leaf):
        return [backend.name for backend in target.backends]
    return [name for inner in target.targets for name in _backends(inner)]


def bandits_in(router: Router) -> list[ByOdds]:
    """Return the bandits below ``router`` that learn, itself included."""
    strategy: Any = router.strategy
    own = [strategy] if isinstance(strategy, ByOdds) and strategy.learns else []
    inner = [target for target in router.targets if isinstance(target, Router)]
    return own + [each for one in inner for each in bandits_in(one)]

"""`cost`: the cheapest by price and expected tokens, or the fastest of those that may be used."""

import operator
from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec

from sidecar.choose.definition import Arm, Site
from sidecar.choose.measured import METRICS, Reading, read_metric, rows_of
from sidecar.choose.pricing import (
    Dollars,
    Priced,
    prices_of,
    rate_at,
    tokens_in,
    tokens_out,
)
from sidecar.model import (
    Candidate,
    Context,
    InferenceRequest,
    Leaf,
    Price,
    Ranking,
    Router,
    Strategy,
    Trail,
    Window,
)

_HEADER = "x-max-cost-per-token"


class ByCost(msgspec.Struct, frozen=True):
    """Ranks what no token of costs more than the ceiling; the others are not in the ranking."""

    ceiling: float | None
    fastest: bool
    windows: tuple[Window, ...]
    expected: int

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return those that qualify by their cost, or by their latency and then by their cost.

        Equal ones keep the order of the targets. There may be none.
        """
        request = context.request
        ceiling = self._ceiling(request)
        if ceiling is not None:
            candidates = _affordable(candidates, ceiling, context)
        prices = prices_of(candidates, context.now)
        expected = tokens_out(request, self.expected)
        order = _cheapest_first(prices, request, expected)
        reading = None
        if self.fastest:
            measure = METRICS["latency"]
            reading = read_metric(measure, rows_of(candidates, context.stats), self.windows)
            order = _fastest_first(order, reading.values)
        if context.trail is not None:
            context.trail.note("ceiling", ceiling)
            _note(candidates, prices, reading, (tokens_in(request), expected), context.trail)
        return Ranking([candidates[place] for place in order])

    def _ceiling(self, request: InferenceRequest) -> float | None:
        """Return the lowest of those that the rule, the body and the header state."""
        stated = (self.ceiling, request.max_cost_per_token, _number(request.headers.get(_HEADER)))
        return min((one for one in stated if one is not None), default=None)


class Cost(Priced, frozen=True, kw_only=True):
    """The document of a `cost` router. `max_cost_per_token`: US dollars, for any one token."""

    names: ClassVar = ("cost",)
    spread: ClassVar = True

    max_cost_per_token: Dollars | None = None
    prefer: Literal["cheapest", "fastest"] = "cheapest"

    def strategy(
        self, _site: Site, _arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the ranking by cost."""
        return ByCost(
            ceiling=self.max_cost_per_token,
            fastest=self.prefer == "fastest",
            windows=self.windows(),
            expected=self.expected_output_tokens,
        )


def _affordable(
    candidates: Sequence[Candidate], ceiling: float, context: Context
) -> list[Candidate]:
    """Return the candidates at or below the ceiling, of nested routers only such attempts."""
    request, now, found = context.request, context.now, []
    for candidate in candidates:
        attempts = candidate.plan.attempts
        kept = tuple(
            [
                attempt
                for attempt in attempts
                if max(rate_at(attempt.backend, request, now)) <= ceiling
            ]
        )
        if len(kept) == len(attempts):
            found.append(candidate)
        elif kept and kept[0] is attempts[0]:
            found.append(candidate._replace(plan=candidate.plan._replace(attempts=kept)))
        elif context.trail is not None:
            dear = max(rate_at(candidate.backend, request, now))
            reason = f"a token can cost {dear:g} US dollars, over the ceiling of {ceiling:g}"
            context.trail.exclude(candidate, reason)
    return found


def _cheapest_first(prices: Sequence[Price], request: InferenceRequest, expected: int) -> list[int]:
    """Return the places by expected cost."""
    by_input = sorted(
        [
            (p.per_input_token, p.per_output_token * expected, place)
            for place, p in enumerate(prices)
        ]
    )
    outputs = [output for _, output, _ in by_input]
    if all(map(operator.le, outputs, outputs[1:])):
        # Who asks less for input asks no more for output: the length of the prompt, for which
        # the body would have to be decoded, changes nothing.
        return [place for _, _, place in by_input]
    given = tokens_in(request)
    costs = [p.per_input_token * given + p.per_output_token * expected for p in prices]
    return sorted(range(len(costs)), key=costs.__getitem__)


def _fastest_first(order: list[int], latencies: Sequence[float | None]) -> list[int]:
    """Return the places by latency, those without one behind the others and in their order."""
    known = [(value, place) for place, value in enumerate(latencies) if value is not None]
    fast = [place for _, place in sorted(known)]
    return fast + [place for place in order if latencies[place] is None]


def _number(text: str | None) -> float | None:
    """Return a number from 0 on; any other text states nothing."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if number >= 0 else None


def _note(
    candidates: Sequence[Candidate],
    prices: Sequence[Price],
    reading: Reading | None,
    tokens: tuple[int, int],
    trail: Trail,
) -> None:
    given, expected = tokens
    trail.note("expected_input_tokens", given)
    trail.note("expected_output_tokens", expected)
    if reading is not None:
        trail.note("window", reading.window)
    for place, (candidate, price) in enumerate(zip(candidates, prices, strict=True)):
        cost = price.per_input_token * given + price.per_output_token * expected
        value = cost if reading is None else reading.values[place]
        trail.score(
            candidate,
            value,
            cost_usd=cost,
            per_input_token=price.per_input_token,
            per_output_token=price.per_output_token,
        )

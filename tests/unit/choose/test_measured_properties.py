"""What holds for routers by cost, score, load and time, whatever the numbers are."""

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.choose import plan
from sidecar.choose.score import normalised
from sidecar.model import CalendarFields, compile_calendar
from tests.unit.choose.market import Market, asked
from tests.unit.choose.world import BACKENDS, build

NAMES = sorted(name for name, backend in BACKENDS.items() if backend.enabled)

some = st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True)
prices = st.fixed_dictionaries(
    dict.fromkeys(NAMES, st.tuples(st.integers(0, 9), st.integers(0, 9)))
)
limits = st.none() | st.integers(0, 9).map(lambda micro: micro / 1e6)
metrics = st.fixed_dictionaries(
    {"requests": st.integers(0, 10)},
    optional={
        "errors": st.integers(0, 5),
        "latency_ms": st.floats(1, 1000),
        "ttft_ms": st.floats(1, 1000),
        "tokens_per_second": st.floats(1, 1000),
    },
)
stats = st.dictionaries(st.sampled_from(NAMES), st.fixed_dictionaries({"1m": metrics}))


def names(found):
    return [attempt.backend.name for attempt in found.attempts] if found else []


@given(st.lists(st.none() | st.floats(0, 1e9), min_size=1, max_size=8), st.data(), st.booleans())
def test_normalised_values_go_from_the_best_at_0_to_the_worst_at_1(values, data, more_is_better):
    subset = st.sets(st.sampled_from(range(len(values))), min_size=1).map(sorted)
    places = data.draw(subset)

    found = normalised(values, places, "tps" if more_is_better else "ttft")

    pairs = [(values[place], part) for place, part in zip(places, found, strict=True)]
    known = sorted(pair for pair in pairs if pair[0] is not None)
    parts = [part for _, part in (reversed(known) if more_is_better else known)]
    assert all(0 <= part <= 1 for part in found)
    assert parts == sorted(parts), "the order is kept"
    if known and known[0][0] < known[-1][0]:
        assert (parts[0], parts[-1]) == (0, 1)
        mean = pytest.approx(sum(parts) / len(parts))
        assert all(part == mean for value, part in pairs if value is None)
    else:
        assert set(found) == {0}


@given(some, prices, st.tuples(limits, limits, limits), st.booleans(), st.booleans(), stats)
@example(["gpt", "mini"], {"gpt": (1, 9), "mini": (1, 1)}, (3e-6, None, None), True, False, {})
def test_no_token_of_any_attempt_costs_more_than_the_lowest_ceiling(
    targets, prices, ceilings, nested, fastest, stats
):
    document = {"type": "cost", "targets": targets, "prefer": "fastest" if fastest else "cheapest"}
    if nested:
        inner = {"router": {"type": "fallback", "targets": targets[1:] or targets}}
        document["targets"] = [targets[0], inner]
    case = {"router": document, "stats": stats}
    rule, body, header = ceilings
    stated = [limit for limit in ceilings if limit is not None]
    if rule is not None:
        document["max_cost_per_token"] = rule
    if body is not None:
        case["body"] = f'{{"max_cost_per_token": {body}}}'
    if header is not None:
        case["headers"] = {"x-max-cost-per-token": str(header)}

    found = names(plan(build(document, shop=Market(prices)), asked(case)))

    fit = {name for name in targets if max(prices[name]) / 1e6 <= min(stated, default=1)}
    assert set(found) <= fit
    if not nested:
        assert set(found) == fit


@given(some, prices, st.integers(0, 400), st.integers(0, 60))
def test_the_cheapest_is_first_for_a_prompt_of_any_length(targets, prices, chars, answer):
    document = {"type": "cost", "targets": targets, "expected_output_tokens": answer}
    body = f'{{"prompt": "{"x" * chars}"}}'
    tokens = max(-(-chars // 4), 1)

    request = asked({"path": "/v1/completions", "body": body})
    found = names(plan(build(document, shop=Market(prices)), request))

    expected = sorted(
        targets,
        key=lambda name: (
            prices[name][0] * tokens + prices[name][1] * answer,
            targets.index(name),
        ),
    )
    costs, wanted = (
        [prices[name][0] * tokens + prices[name][1] * answer for name in order]
        for order in (found, expected)
    )
    assert costs == wanted


class Sealed:
    """A request whose prompt must not be read."""

    def __init__(self, request):
        self._request = request

    def __getattr__(self, name):
        assert name != "prompt", "the body was decoded"
        return getattr(self._request, name)


@pytest.mark.parametrize(
    ("document", "prices"),
    [
        ({"type": "cost"}, {"gpt": (3, 12), "mini": (1, 4), "deep": (2, 8)}),
        ({"type": "cost"}, {"gpt": (3, 12), "mini": (3, 4), "deep": (2, 4)}),
        ({"type": "cost", "expected_output_tokens": 0}, {"gpt": (3, 1), "mini": (1, 4)}),
        ({"type": "cost", "max_cost_per_token": 3e-6}, {"gpt": (3, 1), "mini": (1, 4)}),
        ({"type": "score"}, {"gpt": (3, 3), "mini": (1, 1)}),
        ({"type": "score", "max_latency_ms": 9}, {"gpt": (3, 1), "mini": (1, 4)}),
    ],
    ids=str,
)
def test_a_prompt_whose_length_changes_nothing_is_not_read(document, prices):
    router = build(document | {"targets": [*prices]}, shop=Market(prices))
    context = asked({})

    assert plan(router, context._replace(request=Sealed(context.request))) is not None


@given(
    some,
    stats,
    st.fixed_dictionaries(dict.fromkeys(NAMES, st.integers(0, 9))),
    st.fixed_dictionaries(
        {},
        optional={
            "max_latency_ms": st.integers(1, 1000),
            "max_ttft_ms": st.integers(1, 1000),
            "max_error_rate": st.floats(0, 1),
            "max_in_flight": st.integers(0, 9),
        },
    ),
    st.sampled_from(["best", "none"]),
)
def test_who_exceeds_a_ceiling_is_only_tried_when_all_do(targets, stats, busy, ceilings, when_none):
    document = {"type": "score", "targets": targets, "when_none": when_none, **ceilings}
    context = asked({"stats": stats, "in_flight": busy})

    found = names(plan(build(document), context))

    fit = [name for name in targets if keeps(ceilings, context.stats.backends[name])]
    expected = fit or (targets if when_none == "best" else [])
    assert sorted(found) == sorted(expected)
    assert context.warnings == (["none_qualified"] if found and not fit else [])


def keeps(ceilings, backend):
    """Whether a backend is at or below each ceiling, as far as its numbers are known."""
    window = backend.windows.get("1m")
    known = {"max_in_flight": backend.in_flight}
    if window is not None:
        known |= {
            "max_latency_ms": window.latency_ms,
            "max_ttft_ms": window.ttft_ms,
            "max_error_rate": window.error_rate,
        }
    return all(known.get(name) is None or known[name] <= most for name, most in ceilings.items())


busy = st.fixed_dictionaries(dict.fromkeys(NAMES, st.integers(0, 9)))
weights = st.lists(st.integers(0, 5), min_size=6, max_size=6).filter(lambda w: any(w[:1]))


@given(some, busy, weights, st.sampled_from([0, 30, 60, 300, 6000]))
def test_the_shares_of_a_load_are_drawn_as_stated_and_level_it(targets, busy, weights, requests):
    weights = dict(zip(targets, weights[: len(targets)], strict=True))
    document = {"type": "least_busy", "targets": targets, "weights": [*weights.values()]}
    router = build(document)
    case = {"stats": {targets[0]: {"1m": {"requests": requests}}}, "in_flight": busy}
    steps, arriving = 200, requests / 60

    drawn = Counter()
    for step in range(steps):
        context = asked(case | {"uniforms": [(step + 0.5) / steps]})
        found = plan(router, context)
        drawn[found.attempts[0].backend.name, found.probability] += 1

    shares = dict(drawn.keys())
    assert len(shares) == len(drawn), "one stated probability for each"
    assert sum(shares.values()) == pytest.approx(1, abs=2 / steps)
    for (name, stated), count in drawn.items():
        assert weights[name] > 0
        assert count / steps == pytest.approx(stated, abs=2 / steps)
    after = {
        name: (busy[name] + arriving * shares.get(name, 0)) / weight
        for name, weight in weights.items()
        if weight
    }
    levels = [after[name] for name in shares]
    assert max(levels) - min(levels) < 0.05 + arriving * 6 / steps
    assert min(after.values()) >= min(levels) - 0.05 - arriving * 6 / steps


calendars = st.fixed_dictionaries(
    {"timezone": st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"])},
    optional={
        "weekdays": st.sampled_from(["mon-fri", "sat-sun", "fri"]),
        "hours": st.sampled_from(["09:00-17:00", "22:00-06:00", "00:00-12:00"]),
    },
)


@given(
    st.lists(st.tuples(calendars, st.sampled_from(NAMES)), min_size=1, max_size=5),
    st.lists(st.sampled_from(NAMES), max_size=3, unique=True),
    st.sets(st.sampled_from(NAMES), max_size=3),
    st.integers(1_790_000_000, 1_800_000_000),
)
def test_a_schedule_tries_what_is_on_in_order_and_then_its_targets(periods, targets, out, now):
    document = {
        "type": "schedule",
        "periods": [{**calendar, "target": name} for calendar, name in periods],
        "targets": targets,
    }

    found = names(plan(build(document), asked({"unready": out})._replace(now=now)))

    on = [
        name
        for calendar, name in periods
        if compile_calendar(CalendarFields(**calendar), "c").covers(now)
    ]
    assert found == [name for name in dict.fromkeys(on + targets) if name not in out]

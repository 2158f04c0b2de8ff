import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.model import BackendStats, Price, Stats, WindowStats
from sidecar.telemetry.outcome import FailedAttempt, Outcome, Usage
from sidecar.telemetry.windows import Sums, Windows, merge, view
from tests.unit.telemetry.snapshots import backend

STREAM = {
    "backend": "small",
    "status": 200,
    "stream": True,
    "upstream_s": 0.5,
    "ttft_s": 0.1,
    "tokens": Usage(10, 20),
}
FAILED = FailedAttempt("small", "500", blamed=True)
REFUSED = FailedAttempt("small", "400", blamed=False)
T = 1_000_000.0


def sums(*things, at=T, now=T, window="total"):
    """Return the sums of backend `small` after adding outcomes and attempts at ``at``."""
    windows = Windows()
    for thing in things:
        if isinstance(thing, FailedAttempt):
            windows.add_attempt(thing, at)
        else:
            windows.add(Outcome(**STREAM | thing), at)
    return windows.totals(now).get("small", {}).get(window)


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (
            {},
            Sums(
                requests=1,
                latencies=1,
                latency_us=500_000,
                ttfts=1,
                ttft_us=100_000,
                generated=20,
                generating_us=400_000,
                input_tokens=10,
                output_tokens=20,
            ),
        ),
        (
            {"stream": False},
            Sums(
                requests=1,
                latencies=1,
                latency_us=500_000,
                generated=20,
                generating_us=500_000,
                input_tokens=10,
                output_tokens=20,
            ),
        ),
        (
            {"ttft_s": 0.4999},
            Sums(
                requests=1,
                latencies=1,
                latency_us=500_000,
                ttfts=1,
                ttft_us=499_900,
                generated=20,
                generating_us=500_000,
                input_tokens=10,
                output_tokens=20,
            ),
        ),
        (
            {"tokens": Usage(10, 20, partial=True)},
            Sums(
                requests=1,
                latencies=1,
                latency_us=500_000,
                ttfts=1,
                ttft_us=100_000,
                input_tokens=10,
                output_tokens=20,
            ),
        ),
        (
            {"client_gone": True, "upstream_s": None, "tokens": Usage()},
            Sums(requests=1, ttfts=1, ttft_us=100_000),
        ),
        ({"client_gone": True, "status": 0, "ttft_s": None, "tokens": Usage()}, Sums(requests=1)),
        ({"status": 500, "tokens": Usage()}, None),
        ({"failure": "reset", "tokens": Usage()}, None),
        ({"undecided": True}, None),
        (FAILED, Sums(requests=1, errors=1)),
        (REFUSED, Sums(requests=1)),
        (FAILED._replace(undecided=True), None),
    ],
    ids=[
        "a stream",
        "no stream: all its time is generation",
        "a stream in one piece: all its time is generation",
        "partial tokens give no speed",
        "a client that left gives no latency",
        "a client that left before an answer",
        "an error status is counted by its attempt",
        "a broken answer is counted by its attempt",
        "an undecided request",
        "a failed attempt",
        "an attempt whose request was wrong",
        "an undecided attempt",
    ],
)
def test_what_counts(thing, expected):
    assert sums(thing) == expected


@pytest.mark.parametrize(
    ("window", "span"), [("1m", 60), ("15m", 900), ("1h", 3600), ("total", float("inf"))]
)
@pytest.mark.parametrize("age", [0, 54, 61, 800, 901, 3200, 3601, 10**6])
def test_a_window_holds_what_is_no_older(window, span, age):
    found = sums({}, now=T + age, window=window)

    assert (found is not None) == (age <= span)


def test_buckets_leave_a_window_one_by_one():
    windows = Windows()
    for second in range(0, 120, 5):
        windows.add_attempt(FAILED, T + second)

    requests = [windows.totals(T + 115 + idle)["small"].get("1m") for idle in (0, 5, 50, 55, 60)]

    assert [found and found.requests for found in requests] == [12, 11, 2, 1, None]


def test_backends_that_are_gone_can_be_forgotten():
    windows = Windows()
    windows.add_attempt(FAILED, T)
    windows.add_attempt(FAILED._replace(backend="large"), T)

    windows.use(dict.fromkeys(("large", "new")))

    assert set(windows.totals(T)) == {"large"}


def test_the_revision_rises_with_what_counts_only():
    windows = Windows()
    windows.add(Outcome(undecided=True, backend="small", status=200), T)
    assert windows.revision == 0

    windows.add(Outcome(**STREAM), T)
    assert windows.revision == 1


def test_the_view_has_means():
    found = view(
        {
            "small": {
                "1m": Sums(
                    requests=4,
                    errors=1,
                    latencies=3,
                    latency_us=600_000,
                    ttfts=2,
                    ttft_us=50_000,
                    generated=90,
                    generating_us=450_000,
                    input_tokens=7,
                    output_tokens=90,
                ),
                "total": Sums(requests=1, errors=1),
            }
        },
        {"small": 2, "idle": 0},
        ["new"],
    )

    assert found == Stats(
        backends={
            "idle": BackendStats(),
            "small": BackendStats(
                windows={
                    "1m": WindowStats(4, 1, 200.0, 25.0, 200.0, 7, 90),
                    "total": WindowStats(1, 1),
                },
                in_flight=2,
            ),
        },
        unready=frozenset({"new"}),
    )


things = st.one_of(
    st.builds(
        FailedAttempt,
        st.sampled_from(["small", "large"]),
        st.just("500"),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        Outcome,
        backend=st.sampled_from(["small", "large", ""]),
        status=st.sampled_from([0, 200, 500]),
        stream=st.booleans(),
        client_gone=st.booleans(),
        upstream_s=st.none() | st.floats(0, 100),
        ttft_s=st.none() | st.floats(0, 100),
        tokens=st.builds(
            Usage, st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 10**6)
        ),
    ),
)


@given(
    st.lists(st.tuples(things, st.integers(0, 2), st.integers(0, 400)), max_size=30),
    st.integers(0, 4000),
)
def test_merging_nodes_is_what_one_node_would_have_seen(events, idle):
    alone, nodes, now = Windows(), [Windows() for _ in range(3)], T
    for thing, node, pause in events:
        now += pause
        for windows in (alone, nodes[node]):
            add = windows.add_attempt if isinstance(thing, FailedAttempt) else windows.add
            add(thing, now)

    merged = merge([node.totals(now + idle) for node in nodes])

    assert merged == alone.totals(now + idle)


@given(st.lists(st.tuples(things, st.integers(0, 400)), max_size=30), st.integers(0, 4000))
def test_a_window_is_the_sum_of_what_is_young_enough(events, idle):
    windows, now, times = Windows(), T, []
    for thing, pause in events:
        now += pause
        before = windows.revision
        add = windows.add_attempt if isinstance(thing, FailedAttempt) else windows.add
        add(thing, now)
        times += [now] * (windows.revision - before)
    end = now + idle
    requests = {
        window: sum(found.get(window, Sums()).requests for found in windows.totals(end).values())
        for window in ("1m", "15m", "1h")
    }
    for window, width, span in (("1m", 5, 60), ("15m", 60, 900), ("1h", 300, 3600)):
        assert requests[window] <= sum(end - at <= span for at in times)
        if all(end - at < span - width for at in times):
            everything = sum(found["total"].requests for found in windows.totals(end).values())
            assert requests[window] == everything


def test_sums_travel_as_short_lists():
    assert msgspec.json.encode(Sums(requests=2, errors=1)) == b"[2,1,0,0,0,0,0,0,0,0,0]"
    assert msgspec.json.decode(b"[2,1]", type=Sums) == Sums(2, 1)


def test_cost_is_by_the_price_of_the_backend_and_sums_up_in_whole_numbers():
    windows = Windows()
    windows.use({"small": backend("small", price=Price(1e-6, 4e-6, 0.5e-6))})
    for _ in range(3):
        windows.add(Outcome(**STREAM), T)

    assert windows.totals(T)["small"]["1m"].cost_nano_usd == 3 * (10 * 1000 + 20 * 4000)


def test_sums_of_a_node_of_an_earlier_version_have_no_cost():
    assert msgspec.json.decode(b"[1,0,1,5,1,5,1,5,1,1]", type=Sums).cost_nano_usd == 0

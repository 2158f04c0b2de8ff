"""Sums in Redis that somebody spoiled: a report says less, and never fails."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.telemetry.experiments import parse
from tests.unit.report.learned import CANARY, NOW, Learned, arm, build

SUMS = {
    **arm("control", 200, errors=4, thumbs=(5, 9)),
    **arm("canary", 150, errors=9, thumbs=(5, 9)),
    **{f"control|part{k}:error_rate|{part}": 10 for k in range(4) for part in ("n", "total")},
    **dict.fromkeys(
        (f"canary|metric:tokens_per_second|{c}" for c in ("n", "x", "y", "xx", "yy")), 50
    ),
    "canary|metric:tokens_per_second|xy": 40,
}
values = st.one_of(
    st.floats(),
    st.sampled_from(["", "x", "nan", "inf", "-1", "1e18", "1e300", "5" * 400]),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(SUMS)), values, max_size=4))
def test_whatever_the_sums_are_there_is_a_report(spoiled):
    fields = {name: str(value) for name, value in (SUMS | spoiled).items()}

    found = build(CANARY, Learned.of(CANARY, parse(fields), None), now=NOW)

    assert b"NaN" not in msgspec.json.encode(found)


def test_a_metric_with_impossible_sums_counts_as_not_measured():
    arms = parse(SUMS | {"control|metric:ttft_ms|squares": -1, "control|metric:x|b99999": 1})

    assert "ttft_ms" not in arms["control"].metrics
    assert arms["control"].metrics["x"].histogram.counts == {}
    assert arms["canary"].metrics.keys() == {"error_rate", "thumbs", "ttft_ms", "tokens_per_second"}

import re
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse

from sidecar.telemetry.gauges import Gauges
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.outcome import Outcome
from tests.unit.telemetry.rendered import (
    STREAM,
    value,
    values,
)
from tests.unit.telemetry.snapshots import usual


class TestGauges:
    def test_ask_when_they_are_rendered(self):
        up = [True]
        gauges = Gauges(
            config_version=lambda: 7,
            config_age_seconds=lambda: 2.5,
            config_rejections=lambda: {"invalid_config": 3},
            store_up=lambda: up[0],
            in_flight=lambda: {"small": 2, "ghost": 1, "ghost2": 4},
            healthy=lambda: {"small": True, "large": False},
        )
        metrics = Metrics("1.2.3", gauges)
        metrics.use(usual())

        assert value(metrics, "pointsman_config_version") == 7
        assert value(metrics, "pointsman_config_age_seconds") == 2.5
        assert value(metrics, "pointsman_config_rejections_total", code="invalid_config") == 3
        assert value(metrics, "pointsman_store_up") == 1
        assert values(metrics, "pointsman_requests_in_flight") == {("small",): 2, ("other",): 5}
        assert value(metrics, "pointsman_backend_healthy", backend="large") == 0
        assert value(metrics, "pointsman_build_info", version="1.2.3") == 1
        up[0] = False
        assert value(metrics, "pointsman_store_up") == 0

    def test_one_that_fails_costs_only_itself(self):
        def broken():
            raise OSError("gone")

        metrics = Metrics("1", Gauges(in_flight=broken, config_version=lambda: 7))

        assert value(metrics, "pointsman_config_version") == 7
        assert values(metrics, "pointsman_requests_in_flight") == {}


class TestRender:
    def test_is_openmetrics_when_asked_for(self, metrics):
        metrics.outcome(Outcome(**STREAM))
        accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

        body, content_type = metrics.render(accept)

        assert content_type.startswith("application/openmetrics-text; version=1.0.0")
        families = {family.name for family in parse_openmetrics(body.decode())}
        assert {"pointsman_decisions", "gen_ai_client_token_usage"} <= families

    @pytest.mark.parametrize("accept", ["", "*/*", "application/openmetrics-text;version=x"])
    def test_is_plain_text_otherwise(self, metrics, accept):
        body, content_type = metrics.render(accept)

        assert content_type.startswith("text/plain; version=0.0.4")
        assert body.endswith(b"\n")

    def test_every_metric_is_documented(self):
        gauges = Gauges(
            config_version=lambda: 1, config_age_seconds=lambda: 1, store_up=lambda: True
        )
        documented = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()

        text = Metrics("1", gauges).render()[0].decode()

        names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
        assert len(names) > 15
        assert [name for name in names if f"| `{name}` |" not in documented] == []

    def test_every_metric_has_help(self, metrics):
        metrics.outcome(Outcome(**STREAM))

        assert all(len(family.documentation) > 20 for family in parse(metrics.render()[0].decode()))

"""A real Prometheus watches a live system: every query of every dashboard, rules and alerts."""

import re
import threading
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.demo.examples import example_documents
from tests.e2e.dashboards import DASHBOARDS, mark, queries, variables
from tests.e2e.prometheus import PROGRAM, Prometheus
from tests.e2e.system import System
from tests.e2e.traffic import Traffic

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(PROGRAM is None, reason="Debian's package prometheus is not installed"),
]

DOCUMENT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """The demo under all kinds of traffic, and the Prometheus that scrapes it."""
    folder = tmp_path_factory.mktemp("watched")
    system = System(folder, node="one")
    admin, envoy = system.settings.admin, system.settings.envoy_admin
    # First, since it takes five seconds before it begins to scrape.
    prometheus = Prometheus(folder, {"pointsman": admin, "pointsman-envoy": envoy})
    others = Others(system)
    try:
        system.start()
        system.write(rules(system))
        system.until(lambda: tried(system).headers["x-pointsman-route"] == "canary", "the rules")
        with Traffic(system), others:
            well = 'pointsman_experiment_rollbacks_total{experiment="canary"} == 0'
            system.until(lambda: prometheus.series(well), "a scrape of a canary that is well")
            break_something(system)
            yield system, prometheus
    finally:
        prometheus.stop()
        system.stop()


def rules(system):
    """The demo's rules, a bandit, and a budget that is soon at its end."""
    addresses = {name: model.address for name, model in system.models.items()}
    documents = example_documents(addresses)
    for name in addresses:
        documents["backends"][name]["model"] = name  # what these models are called here
    documents["budgets"] = {
        "tight": {
            "limit": 1,
            "unit": "requests",
            "per": "month",
            "scope": "user.id",
            "match": {"user.id": {"eq": "spender"}},
            "then": "reject",
        }
    }
    documents["routers"]["learning"] = {"type": "bandit", "targets": ["small", "large"]}
    return documents


def tried(system):
    return system.chat(headers={"x-user-id": "somebody"})


class Others(threading.Thread):
    """Asks as `Traffic` does not: streams, a bandit, nonsense, too much. Says how answers were."""

    def __init__(self, system):
        super().__init__()
        self._system, self._left = system, threading.Event()

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self._left.set()
        self.join()

    def run(self):
        with httpx.Client(base_url=self._system.base, timeout=30) as http:
            while not self._left.wait(0.05):
                for model in ("smart", "router/learning"):
                    text = [{"role": "user", "content": "tell me a story"}]
                    body = {"model": model, "stream": True, "messages": text}
                    answer = http.post("/v1/chat/completions", json=body)
                http.post("/v1/chat/completions", json=body, headers={"x-user-id": "spender"})
                http.post("/v1/chat/completions", content=b"nonsense")
                decision = answer.headers.get("x-pointsman-decision", "")
                said = {"decision": decision, "metric": "thumbs", "value": True}
                http.post("/v1/feedback", json=said)


def break_something(system):
    """Let the canary fail until it is rolled back, and write what no node can take."""
    system.models["canary"].control(status=500)
    system.until(
        lambda: system.metric("pointsman_experiment_rollbacks_total", experiment="canary"),
        "the roll-back",
        30,
    )
    system.put("routes", "wrong", {"order": "first"})
    system.until(lambda: system.metric("pointsman_config_rejections_total"), "the rejection")
    system.drop("routes", "wrong")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_of_a_dashboard_has_data(watched, name):
    system, prometheus = watched
    asked = set(queries(DASHBOARDS[name]))
    silent = list(asked)

    def all_answer():
        silent[:] = [(title, expr) for title, expr in silent if not prometheus.series(expr)]
        return not silent

    assert len(asked) > 10
    try:
        system.until(all_answer, f"data for all panels of {name}", 20)
    finally:
        assert silent == []


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_of_a_dashboard_has_values(watched, name):
    system, prometheus = watched
    for variable, metric, label in variables(DASHBOARDS[name]):
        system.until(lambda m=metric, v=label: prometheus.values(m, v), variable, 20)


def test_a_change_of_the_rules_is_marked_with_its_version(watched):
    system, prometheus = watched
    (expr,) = {mark(dashboard) for dashboard in DASHBOARDS.values()}
    before = int(system.redis.get("pointsman:version"))
    system.put("flags", "canary", {"enabled": True, "description": "as it was"})
    system.until(lambda: int(system.redis.get("pointsman:version")) > before, "a new version")
    version = system.redis.get("pointsman:version")

    def marked():
        return [one["metric"]["version"] for one in prometheus.over_time(expr, 60)]

    system.until(lambda: version in marked(), f"a mark for version {version}", 10)


def test_all_rules_are_evaluated_without_an_error(watched):
    system, prometheus = watched
    loaded = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]

    def states():
        groups = prometheus.ask("rules")["groups"]
        return {rule["health"] for group in groups for rule in group["rules"]}

    system.until(lambda: states() == {"ok"}, "an evaluation of all rules", 10)
    assert {rule["type"] for rule in loaded} == {"alerting", "recording"}


def test_alerts_tell_of_the_roll_back_and_of_the_wrong_document(watched):
    system, prometheus = watched
    wanted = {"PointsmanRolledBack", "PointsmanConfigRejected"}

    def firing():
        alerts = prometheus.ask("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    system.until(lambda: firing() >= wanted, "the alerts", 10)
    assert "PointsmanDown" not in firing()
    assert "PointsmanStoreUnreachable" not in firing()


def test_what_is_exposed_is_documented_and_what_is_documented_is_exposed(watched):
    system, _ = watched

    def exposed():
        text = httpx.get(f"http://{system.settings.admin}/metrics").text
        families = [family for family in text_string_to_metric_families(text) if family.samples]
        endings = {"counter": "_total"}
        return {family.name + endings.get(family.type, "") for family in families}

    documented = set()
    for cell in re.findall(r"^\| (`(?:pointsman|gen_ai)_[^|]*)\|", DOCUMENT, re.MULTILINE):
        documented.update(re.findall(r"`(\w+)`", cell))
    system.until(lambda: exposed() >= documented, f"all of {documented - exposed()}", 20)
    assert exposed() == documented


def test_every_documented_metric_has_a_query_and_prometheus_understands_all(watched):
    _, prometheus = watched
    blocks = re.findall(r"```promql\n(.*?)```", DOCUMENT, re.DOTALL)
    asked = [one for block in blocks for one in statements(block)]
    assert len(asked) > 20
    for expr in asked:
        prometheus.series(expr)


def statements(block):
    """Split a block where a line is neither a comment nor a continuation of the line before."""
    text = re.sub(r"^#.*\n", "\n", block, flags=re.MULTILINE)
    return [one for one in re.split(r"\n(?=\S)|\n\n", text) if one.strip()]

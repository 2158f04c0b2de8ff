"""The users of Redis that the documentation gives out may do what they need, and nothing else."""

import json
import re
from pathlib import Path

import httpx
import pytest
import redis
from typer.testing import CliRunner

from sidecar.cli import app
from tests.e2e.test_many_nodes import TRIAL
from tests.e2e.traffic import Traffic

pytestmark = pytest.mark.e2e

DOCUMENT = Path(__file__).parents[2] / "docs" / "deploying.md"
LINE = re.compile(r"^    ACL SETUSER (\S+) (.*(?:\n      .*)*)", re.MULTILINE)
SECRET = "hush"
ROLLOUT = {
    "arms": TRIAL["arms"],
    "state": "running",
    "rollout": {"steps": [50, 100], "guards": [], "min_exposures": 1, "hold_seconds": 0},
    "metrics": [{"name": "thumbs", "kind": "proportion", "direction": "increase"}],
}
LIMIT = {
    "type": "conditional",
    "pre_request": [
        {
            "name": "rl",
            "type": "rate_limiter",
            "limit": 1000,
            "period": "hour",
            "target": "requests",
            "entity": "user_id",
        }
    ],
    "routes": [
        {"name": "few", "conditions": {"pre_request.rl.allowed": {"eq": True}}, "targets": "small"}
    ],
}

BACKEND = {"endpoints": ["http://127.0.0.1:1"]}


def users(client):
    """Make the users of the documentation, and return their names."""
    found = [(name, rules.split()) for name, rules in LINE.findall(DOCUMENT.read_text())]
    for name, rules in found:
        secret = [f">{SECRET}" if rule.startswith(">") else rule for rule in rules]
        client.execute_command("ACL SETUSER", name, *secret)
    return [name for name, _ in found]


def url(server, user):
    return f"redis://{user}:{SECRET}@127.0.0.1:{server.port}/0"


def denied(client):
    """Return what was refused, as (user, why, what)."""
    return {(each["username"], each["reason"], each["object"]) for each in client.acl_log()}


@pytest.fixture
def admin(redis_server):
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        made = users(client)
        assert made == ["pointsman", "pointsman-operator", "pointsman-viewer"]
        client.config_set("acllog-max-len", 1000)
        yield client


def documents(system):
    rules = system.base_documents()
    routers = {
        "session": {"type": "session", "targets": ["small", "large"]},
        "limited": LIMIT,
        "bandit": {"type": "bandit", "targets": ["small", "large"]},
    }
    rules["routers"] |= routers
    for place, name in enumerate(routers):
        rules["routes"][name] = {"order": place, "match": {"model": name}, "router": name}
    trial = {"type": "experiment", "experiment": "trial"}
    rules["routes"]["trial"] = {"order": 9, "router": trial}
    rules["experiments"] = {"trial": ROLLOUT}
    rules["backends"]["large"] = system.backend("large", priority=1)
    rules["budgets"] = {"all": {"limit": 1e6, "unit": "requests", "per": "day", "then": "warn"}}
    return rules


def command(server, user, *arguments, text=""):
    """Run a command as this user of Redis; return its exit code."""
    environment = {"POINTSMAN_REDIS_URL": url(server, user), "NO_COLOR": "1"}
    ran = CliRunner().invoke(app, arguments, env=environment, input=text)
    print(arguments, ran.exit_code, ran.stderr)
    return ran.exit_code


def test_the_sidecar_is_denied_nothing_that_it_does(own_system, redis_server, admin):
    system = own_system(redis_url=url(redis_server, "pointsman"), decision_facts=1.0)
    system.redis.close()
    system.redis = redis.Redis(port=redis_server.port, decode_responses=True)
    system.start(with_redis=False)
    system.write(documents(system))
    ann = {"x-user-id": "ann", "x-session-id": "s"}
    system.until(
        lambda: system.chat(headers=ann).headers["x-pointsman-route"] == "trial", "rules", 30
    )
    with Traffic(system, threads=1):
        for name in ("session", "limited", "bandit"):
            assert system.chat(model=name, headers=ann).headers["x-pointsman-route"] == name
        rated = system.chat(headers=ann).headers["x-pointsman-decision"]
        body = {"decision": rated, "metric": "thumbs", "value": 1}
        system.until(lambda: system.http.post("/v1/feedback", json=body).is_success, "feedback")
        api = httpx.Client(base_url=f"http://{system.settings.admin}/api/v1", timeout=30)
        flag = {"enabled": True, "share": 10}
        assert api.put("/flags/new", json=flag, headers={"if-none-match": "*"}).status_code == 201
        assert api.get("/config/versions").is_success
        assert api.get("/stats").is_success
        system.until(lambda: api.get("/decisions").json()["decisions"], "decisions")
        assert api.get(f"/decisions/{rated}").status_code in {200, 404}
        assert api.get("/experiments/trial/report").is_success
        assert api.post("/config/rollback", json={"version": 1}).is_success
        system.models["large"].control(status=500)
        wanted = {"lease:rollout", "stats", "decisions", "facts", "history", "experiment:trial:1"}
        wanted |= {"health", "health:events"}
        system.until(
            lambda: wanted <= {key.removeprefix("pointsman:") for key in admin.keys()},  # noqa: SIM118
            "what the sidecar writes",
        )
        system.until(lambda: admin.keys("pointsman:pin:*"), "pins")
        system.until(lambda: admin.keys("pointsman:count:*"), "counts")
    api.close()

    assert denied(admin) == set()


def test_commands_run_as_the_operator_and_as_the_viewer(redis_server, admin, tmp_path):
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"backends": dict.fromkeys("ab", BACKEND)}))
    trial = {"arms": [{"name": "one", "router": "a", "share": 100}], "state": "running"}
    reads = (
        ("export",),
        ("history",),
        ("experiments", "list"),
        ("experiments", "report", "trial"),
    )
    writes = (
        ("apply", str(rules), "--yes"),
        ("experiments", "put", "trial", "-"),
        ("backends", "disable", "a"),
        ("backends", "enable", "a"),
        ("rollback", "2", "--yes"),
    )
    for arguments in writes:
        text = json.dumps(trial) if "put" in arguments else ""
        assert command(redis_server, "pointsman-operator", *arguments, text=text) == 0
    for arguments in reads:
        assert command(redis_server, "pointsman-operator", *arguments) == 0
        assert command(redis_server, "pointsman-viewer", *arguments) == 0
    assert denied(admin) == set()

    assert command(redis_server, "pointsman-viewer", "backends", "rm", "b", "--yes") == 3
    assert ("pointsman-viewer", "command") in {each[:2] for each in denied(admin)}


@pytest.mark.parametrize("user", ["pointsman", "pointsman-operator", "pointsman-viewer"])
def test_no_user_reaches_beyond_its_keys_or_commands(redis_server, admin, user):
    with redis.Redis(port=redis_server.port, username=user, password=SECRET) as client:
        for words in (
            "GET other:key",
            "SET other:key 1",
            "FLUSHALL",
            "FLUSHDB",
            "KEYS *",
            "CONFIG GET *",
            "ACL LIST",
            "CLIENT LIST",
            "CLIENT KILL TYPE normal",
            "SHUTDOWN",
            "REPLICAOF NO ONE",
            "MONITOR",
            "SUBSCRIBE other",
            "PUBLISH other x",
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*words.split())
        if user != "pointsman":
            return
        with pytest.raises(redis.exceptions.ResponseError, match=r"permissions|NOPERM|access"):
            client.eval("return redis.call('GET', 'other:key')", 0)

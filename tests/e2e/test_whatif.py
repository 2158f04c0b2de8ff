"""Traffic through a real Envoy, then: what if other rules had been live? And its export."""

import json
import os
import subprocess
import sys

import httpx
import pyarrow.parquet
import pytest

pytestmark = pytest.mark.e2e

REQUESTS = 40


@pytest.fixture(scope="module")
def past_traffic(tmp_path_factory):
    """A system whose every request is recorded, after some requests of two tiers."""
    from tests.e2e.system import System

    system = System(tmp_path_factory.mktemp("whatif"), decision_facts=1.0, workers=1)
    try:
        system.start()
        system.write(rules(system))
        system.until(lambda: system.chat().headers["x-pointsman-route"] == "all", "the rules")
        for place in range(REQUESTS):
            tier = {"x-user-tier": "gold"} if place % 4 == 0 else {}
            assert system.chat(model="counted", headers=tier).status_code == 200
        system.until(lambda: recorded(system) >= REQUESTS, "facts and decisions in the logs")
        yield system
    finally:
        system.stop()


def rules(system, **premium):
    """One route over two models, and maybe one for those of tier gold."""
    backends = {
        name: system.backend(name, price={"per_input_token": price, "per_output_token": price})
        for name, price in (("small", 1e-6), ("large", 1e-5))
    }
    router = {
        "type": "percentage",
        "targets": ["small", "large"],
        "targets_percentages": [50, 50],
    }
    return {"backends": backends, "routes": {"all": {"order": 9, "router": router}, **premium}}


def gold(system):
    router = {"type": "fallback", "targets": ["large"]}
    return rules(system, gold={"order": 1, "match": {"user.tier": "gold"}, "router": router})


def recorded(system):
    both = [system.redis.xrange(f"pointsman:{name}") for name in ("facts", "decisions")]
    facts = {fields["i"] for _, fields in both[0] if '"counted"' in fields["f"]}
    decided = {json.loads(fields["d"])["id"] for _, fields in both[1]}
    return len(facts & decided)


def pointsman(system, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "sidecar.cli", *map(str, arguments)],
        env=os.environ | system.settings.environment() | {"NO_COLOR": "1", "COLUMNS": "160"},
        capture_output=True,
        timeout=60,
        check=False,
    )


def moved(comparison):
    return sum(move["n"] for move in comparison["routes"] if move["before"] != move["after"])


def test_a_changed_file_shows_the_changed_share(past_traffic, tmp_path):
    file = tmp_path / "candidate.json"
    file.write_text(json.dumps(gold(past_traffic)))

    told = pointsman(past_traffic, "whatif", "--config", file, "--since", "1h")
    scripted = pointsman(past_traffic, "whatif", "--config", file, "--json", "--metric", "success")

    assert told.returncode == 0, told.stderr
    assert "would be decided otherwise" in told.stdout.decode()
    answer = json.loads(scripted.stdout)
    found = answer["comparison"]
    assert moved(found) == REQUESTS // 4
    assert (found["changed"], found["cannot_tell"]) == (REQUESTS // 4, {})
    assert found["changed_share"] == found["changed"] / found["compared"]
    assert found["cost_usd"]["n"] >= REQUESTS
    assert found["cost_usd"]["difference"] > 0
    assert found["latency_ms"]["n"] > 0
    assert answer["estimates"]["n"] >= REQUESTS


def test_the_rules_that_are_live_change_nothing(past_traffic, tmp_path):
    file = tmp_path / "same.json"
    file.write_text(json.dumps(rules(past_traffic)))

    found = json.loads(pointsman(past_traffic, "whatif", "--config", file, "--json").stdout)

    assert found["comparison"]["changed_share"] == 0
    assert found["comparison"]["reproduced"] >= REQUESTS


def test_the_api_says_the_same_while_control_stays_responsive(past_traffic):
    admin = f"http://{past_traffic.settings.admin}"
    question = {"config": gold(past_traffic), "since": 3600}

    answer = httpx.post(f"{admin}/api/v1/whatif", json=question, timeout=60)

    assert answer.status_code == 200, answer.text
    assert moved(answer.json()["comparison"]) == REQUESTS // 4
    assert httpx.get(f"{admin}/healthz").status_code == 200
    assert httpx.post(f"{admin}/api/v1/whatif", json={"config": 1}).status_code == 422


def test_decisions_are_exported_with_what_came_of_them(past_traffic, tmp_path):
    file = tmp_path / "decisions.parquet"

    told = pointsman(past_traffic, "decisions", "export", "--output", file, "--since", "1h")

    assert told.returncode == 0, told.stderr
    rows = [
        row for row in pyarrow.parquet.read_table(file).to_pylist() if row["model"] == "counted"
    ]
    assert len(rows) == REQUESTS
    assert {row["served_by"] for row in rows} == {"small", "large"}
    assert sum(row["tier"] == "gold" for row in rows) == REQUESTS // 4
    for row in rows:
        assert (row["status"], row["answered"], row["probability"]) == (200, True, 0.5)
        assert row["output_tokens"] > 0
        assert row["latency_ms"] > 0


def test_no_word_of_a_prompt_and_no_key_is_in_redis(past_traffic):
    secret = "extraordinary-secret"
    headers = {"authorization": f"Bearer {secret}"}
    past_traffic.chat(text=f"{secret} words", model="marked", headers=headers, user="ann")
    past_traffic.until(
        lambda: any(
            '"marked"' in fields["f"] for _, fields in past_traffic.redis.xrange("pointsman:facts")
        ),
        "its facts",
    )

    for stream in ("facts", "decisions"):
        assert secret not in str(past_traffic.redis.xrange(f"pointsman:{stream}"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["whatif", "--config", "missing.json"], 1),
        (["whatif"], 2),
        (["whatif", "--config", "x.json", "--since", "yesterday"], 2),
        (["decisions", "export", "--output", "x.xls"], 2),
    ],
)
def test_exit_codes_tell_what_is_wrong(past_traffic, arguments, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.json").write_text("{}")

    assert pointsman(past_traffic, *arguments).returncode == code

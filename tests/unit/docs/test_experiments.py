"""What docs/experiments.md shows can be pasted."""

import json
import re
from pathlib import Path

from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents

TEXT = (Path(__file__).parents[3] / "docs" / "experiments.md").read_text()
BACKENDS = {name: {"endpoints": ["http://127.0.0.1"]} for name in ("small", "canary")}


def test_the_experiment_and_its_route_are_live():
    experiment = json.loads(re.search(r"<<'END'\n(.*?)END", TEXT, re.DOTALL)[1])
    route = json.loads(re.search(r"HSET pointsman:routes checkout '(.*?)'", TEXT, re.DOTALL)[1])

    rules = {
        "backends": BACKENDS,
        "experiments": {"checkout": experiment},
        "routes": {"checkout": route},
    }

    live = compile_snapshot(Documents.of(rules), version=1).experiments["checkout"]
    assert [arm.name for arm in live.arms] == ["control", "candidate"]
    assert live.rollout.steps[0] == live.arms[1].share

"""What control does with outcomes: from Envoy's access log to metrics, arms and Redis.

Fed with entries as Envoy writes them, without the wire, as fast as one core goes.
"""

import random
import resource
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.env import Env
from bench.table import Row, shown
from sidecar import __version__
from sidecar.app.local import Local
from sidecar.app.outcomes import Outcomes
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.model import Snapshot
from sidecar.pb.access_log_entry_pb2 import HTTPAccessLogEntry
from sidecar.pb.access_log_pb2 import StreamAccessLogsMessage
from sidecar.pb.token_usage_pb2 import TokenUsage
from sidecar.settings import Address, Settings
from sidecar.telemetry.access_log import REQUESTS, Reader
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.recorder import Recorder
from sidecar.telemetry.windows import Windows

REACH = 5000
"""Outcomes a second that one core keeps up with."""
BATCH, FLUSH = 50, 2500
"""Entries per message (Envoy sends 64 KiB at once), and per flush: half a second at that rate."""
USERS = 20_000


async def bench_outcomes(env: Env) -> list[Row]:
    """Measure requests outside of experiments, in one experiment, and spread over 100 of them."""
    rows = []
    for count, reach in ((0, None), (1, REACH), (100, REACH)):
        what = f"outcomes, {count} experiments" if count != 1 else "outcomes, one experiment"
        env.say(what)
        rate, longest = await _rate(env, count)
        note = f"longest flush {longest * 1e3:.0f} ms"
        rows.append(
            Row.at_least(what, rate, reach, "/s and core", note=note)
            if reach
            else Row(what, shown(rate, "/s and core", note))
        )
    return rows


async def _rate(env: Env, experiments: int) -> tuple[float, float]:
    """Return outcomes per second of this process's CPU, and the seconds of the longest flush."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        address = Address("127.0.0.1", _free_port())
        settings = Settings(
            run_dir=Path(folder), redis_url=f"redis://{address}/0", log_level="error"
        ).with_run_dir()
        with Local(settings) as local:
            local.start_redis(address)
            return await _measure(env, settings, _rules(experiments))


async def _measure(env: Env, settings: Settings, rules: Snapshot) -> tuple[float, float]:
    metrics = Metrics(__version__)
    outcomes = Outcomes(settings, metrics, lambda: rules)
    metrics.use(rules)
    outcomes.use(rules)
    reader = Reader(Recorder(metrics, Windows(), listeners=[outcomes.outcome]))
    draw, names = random.Random(1), list(rules.experiments)
    count, spent, longest = 0, 0.0, 0.0
    end = time.monotonic() + max(env.seconds, 1.0)
    while time.monotonic() < end:
        messages = list(_messages(draw, names, count))
        start = _cpu()
        for message in messages:
            reader.feed(message)
        clock = time.perf_counter()
        await outcomes.close()
        longest = max(longest, time.perf_counter() - clock)
        spent += _cpu() - start
        count += FLUSH
    return count / spent, longest


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _rules(experiments: int) -> Snapshot:
    arms = [
        {"name": "control", "router": "small", "share": 80},
        {"name": "canary", "router": "large", "share": 20},
    ]
    price = {"per_input_token": 1e-6, "per_output_token": 4e-6}
    backend = {"model": "m", "provider": "p", "endpoints": ["http://127.0.0.1:9"], "price": price}
    documents: dict[str, Any] = {
        "backends": {"small": backend, "large": backend},
        "routes": {"all": {"order": 1, "router": "small"}},
        "experiments": {
            f"experiment-{number}": {"arms": arms, "state": "running"}
            for number in range(experiments)
        },
    }
    return compile_snapshot(Documents.of(documents), version=1)


def _messages(draw: random.Random, experiments: list[str], begun: int) -> Iterator[bytes]:
    """Yield as many messages as one flush has entries for."""
    for start in range(begun, begun + FLUSH, BATCH):
        message = StreamAccessLogsMessage()
        message.identifier.log_name = REQUESTS
        for number in range(start, start + BATCH):
            _fill(message.http_logs.log_entry.add(), draw, experiments, number)
        yield message.SerializeToString()


def _fill(
    entry: HTTPAccessLogEntry, draw: random.Random, experiments: list[str], number: int
) -> None:
    """Describe a stream that one backend answered."""
    unit = draw.randrange(USERS) * 0x9E3779B97F4A7C15 % 2**64
    arm, backend = ("canary", "large") if unit < 2**64 // 5 else ("control", "small")
    took = draw.lognormvariate(12, 0.5)
    common = entry.common_properties
    common.upstream_cluster, common.route_name = backend, "decided"
    common.upstream_request_attempt_count = 1
    common.start_time.GetCurrentTime()
    common.duration.FromMicroseconds(round(took) + 900)
    common.custom_tags["upstream_us"] = str(round(took))
    common.custom_tags["ttft_us"] = str(round(took / 10))
    entry.response.response_code.value = 200
    entry.response.response_code_details = "via_upstream"
    decision = {
        "id": f"{round(time.time() * 1000):012x}{number:016x}",
        "us": "000041",
        "route": "all",
        "strategy": "experiment",
        "version": "1",
        "operation": "chat",
        "probability": "0.2",
    }
    if experiments:
        name = experiments[number % len(experiments)]
        assignment = [name, 1, arm, 0.2, f"{unit:016x}", ""]
        decision["assignments"] = msgspec.json.encode([assignment]).decode()
    spaces = common.metadata.filter_metadata
    spaces["pointsman.decision"].update(decision)
    groups = [
        {"name": "0", "clusters": [{"cluster_name": one, "weight": 1}]} for one in (backend, "x")
    ]
    spaces["pointsman.route"].update({"retries": "1", "priority_groups": groups})
    usage = TokenUsage(model="m", extraction_status="COMPLETE")
    usage.input_tokens.value, usage.output_tokens.value = 200, draw.randrange(1, 400)
    common.metadata.typed_filter_metadata["envoy.ai.token_usage"].Pack(usage)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

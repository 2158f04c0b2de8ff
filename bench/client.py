"""What the load generator itself costs; what it cannot reach, it cannot measure."""

from bench.env import Env
from bench.load import closed_loop, even, open_loop, request
from bench.result import quantile
from bench.table import Row
from sidecar.demo import start

BODY = b'{"model":"bench","messages":[{"role":"user","content":"' + b"x" * 190 + b'"}]}'


async def bench_client(env: Env) -> list[Row]:
    """Measure the load generator against a simulated model that does next to nothing."""
    requests = [request("/v1/chat/completions", BODY)]
    with start("bench", fast=True) as model:
        env.say("closed loop, 32 connections")
        full = await closed_loop(model.address, requests, seconds=env.seconds)
        env.say(str(full))
        env.say("open loop, 500 requests/s")
        paced = await open_loop(model.address, requests, even(500, env.seconds))
        env.say(str(paced))
    late = quantile(paced.late, 0.5) * 1e6
    return [
        Row.at_most("load generator, CPU per request", full.client_cpu_us, 30, "µs"),
        Row("load generator, requests/s without Envoy", f"{full.rate:,.0f}"),
        Row.at_most("load generator, sends late by, p50 at 500/s", late, 300, "µs"),
    ]

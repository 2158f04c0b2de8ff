"""Delay between the chunks of a stream: through Envoy, decided, and straight from the model."""

from statistics import fmean, median

import msgspec

from bench.env import Env
from bench.load import request
from bench.pairs import Spread
from bench.result import quantile
from bench.rules import ten_routes
from bench.sse import stream
from bench.system import DECIDED, DECISION, System
from bench.table import Row, shown
from sidecar.demo import start

TOKENS, TOKENS_PER_SECOND = 100, 200
ROUNDS = 10
SHARES = (0.5, 0.99)
RESOLUTION_MS = 0.1
"""The model's timers have whole milliseconds; below this, a difference says nothing."""

Gaps = list[float]
"""Milliseconds between each chunk and the next."""
Round = tuple[Gaps, Gaps, Gaps]
"""Straight, through Envoy, straight again."""


async def bench_streaming(env: Env) -> list[Row]:
    """Measure in rounds; how far the straight streams of a round usually differ is the noise.

    If Envoy added nothing, the median of ten rounds would be over it in one run of forty.
    """
    with (
        start(
            "bench", any_model=True, latency_ms=0, first_token_ms=5,
            tokens_per_second=TOKENS_PER_SECOND, answer_tokens=TOKENS,
        ) as model,
        System(ten_routes(model.address)) as system,
    ):  # fmt: skip
        await _round(model.address, system)
        env.say(f"{ROUNDS} rounds of 3 streams, {TOKENS} tokens at {TOKENS_PER_SECOND}/s")
        rounds = [await _round(model.address, system) for _ in range(ROUNDS)]
    return [row for share in SHARES for row in _rows(rounds, share)]


async def _round(model: str, system: System) -> Round:
    return (
        await _gaps(model, decided=False),
        await _gaps(system.address, decided=True),
        await _gaps(model, decided=False),
    )


async def _gaps(address: str, *, decided: bool) -> Gaps:
    """Stream once. Raises RuntimeError when the stream is not what it should be."""
    content = msgspec.json.encode(
        {"model": "bench", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    )
    answer = await stream(address, request(DECIDED, content))
    if not answer.whole or (DECISION.encode() in answer.head) is not decided:
        raise RuntimeError(f"stream from {address}: {answer.head!r}, {len(answer.events)} events")
    # Behind the tokens come chunks that end the stream, without any pace.
    return [gap * 1e3 for gap in answer.gaps[: TOKENS - 1]]


def _rows(rounds: list[Round], share: float) -> list[Row]:
    figures = [[quantile(gaps, share) for gaps in each] for each in rounds]
    added = Spread.of(through - fmean((one, two)) for one, through, two in figures)
    noise = max(RESOLUTION_MS, median(abs(two - one) for one, _, two in figures))
    one, through, two = (Spread.of(column).median for column in zip(*figures, strict=True))
    name = f"p{share * 100:.0f}"
    return [
        Row.at_most(
            f"streaming, added to the gaps between chunks, {name} (reach: noise)",
            added.median, noise, "ms", note=added.range,
        ),
        Row(
            f"streaming, gap between chunks, {name}",
            f"through Envoy {shown(through, 'ms')}, "
            f"straight {shown(one, 'ms')} and {shown(two, 'ms')}",
        ),
    ]  # fmt: skip

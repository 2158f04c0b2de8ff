"""The load generator and the stream reader against simulated models."""

import asyncio
import os

import pytest

from bench import cpu, load
from bench.cpu import NotMeasurable, cpu_seconds, rss_bytes, tree
from bench.load import closed_loop, even, open_loop, poisson, request
from bench.sse import stream

CHAT = request("/v1/chat/completions", b'{"model":"demo-small","messages":[]}')
STREAM = request("/v1/chat/completions", b'{"model":"demo-small","messages":[],"stream":true}')
WRONG = request("/v1/chat/completions", b'{"model":"unknown","messages":[]}')


@pytest.fixture
def short_grace(monkeypatch):
    monkeypatch.setattr(load, "GRACE_SECONDS", 0.2)


async def test_a_closed_loop_counts_every_answer(fast):
    result = await closed_loop(fast.address, [CHAT], connections=4, seconds=0.3)

    assert result.answers == result.statuses[200] > 100
    assert (result.broken, result.lost) == (0, 0)
    assert 0.25 < result.duration < 1
    assert 0 < result.quantile(0.5) <= result.quantile(0.99)


async def test_requests_take_turns_and_statuses_are_told_apart(model):
    result = await open_loop(model.address, [CHAT, WRONG, WRONG], even(100, 0.3), connections=4)

    assert result.statuses == {200: 10, 404: 20}


async def test_answers_that_carry_a_header_are_counted(model):
    starts = even(100, 0.3)
    model.control(retry_after=7, times=4)
    result = await open_loop(model.address, [CHAT], starts, header="Retry-After", connections=1)

    assert (result.carried, result.answers) == (4, 30)


async def test_an_open_loop_counts_latency_from_the_intended_start(model):
    model.control(latency_ms=200, times=1)
    result = await open_loop(model.address, [CHAT], even(100, 0.1), connections=1)

    assert result.answers == 10
    assert min(result.latencies) > 0.08  # the first held up the nine behind it
    assert max(result.late) > 0.08


async def test_chunked_answers_are_read_to_their_end(model):
    result = await closed_loop(model.address, [STREAM], connections=2, seconds=0.2)

    assert result.answers == result.statuses[200] > 5
    assert result.broken == 0


async def test_broken_connections_are_counted_and_replaced(model):
    model.control(reset=True, times=3)
    result = await open_loop(model.address, [CHAT], even(100, 0.3), connections=2)

    assert (result.broken, result.answers) == (3, 27)


async def test_requests_without_an_answer_are_lost(model, short_grace):
    model.control(hang=True, times=2)
    result = await open_loop(model.address, [CHAT], even(100, 0.1), connections=2)

    assert (result.lost, result.answers, result.broken) == (10, 0, 0)


def test_poisson_starts_repeat_for_a_seed_and_have_the_rate():
    starts = list(poisson(1000, 5, seed=3))

    assert starts == list(poisson(1000, 5, seed=3))
    assert starts == sorted(starts)
    assert 4700 < len(starts) < 5300


async def test_a_stream_has_the_arrival_of_each_event(model):
    model.control(tokens_per_second=50, answer_tokens=5, first_token_ms=100)
    read = await stream(model.address, STREAM)

    assert (read.status, read.whole, len(read.events)) == (200, True, 8)
    assert read.events[-1].data == b"data: [DONE]"
    assert read.events[0].at - read.head_at > 0.05
    assert read.gaps[0] < 0.01  # the role and the first token come together
    assert 0.07 < sum(read.gaps[1:5]) < 0.5


async def test_a_cut_stream_is_not_whole(model):
    model.control(cut_after_tokens=2)
    read = await stream(model.address, STREAM)

    assert (read.whole, len(read.events)) == (False, 3)


async def test_nothing_listening_is_an_error():
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        await closed_loop("127.0.0.1:1", [CHAT], seconds=0.1)


async def test_a_process_and_its_children_are_measured(fast):
    before = cpu_seconds(os.getpid()), cpu_seconds(fast.process.pid)
    await closed_loop(fast.address, [CHAT], seconds=0.3)
    after = cpu_seconds(os.getpid()), cpu_seconds(fast.process.pid)

    assert fast.process.pid in tree(os.getpid())
    assert after[1] > before[1]
    assert after[0] - before[0] >= after[1] - before[1]
    assert 5e6 < rss_bytes(fast.process.pid) < 500e6


def test_a_process_that_is_gone_cannot_be_measured():
    with pytest.raises(NotMeasurable, match="no such process"):
        cpu_seconds(2**22 + 1)


def test_without_linuxs_proc_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(cpu, "PROC", tmp_path)

    with pytest.raises(NotMeasurable, match="on Linux only"):
        rss_bytes(os.getpid())


async def test_pipelined_requests_are_all_answered(fast):
    host, _, port = fast.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    writer.write(CHAT + b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n" + CHAT[:30])
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(CHAT[30:] + chunked)
    writer.write_eof()
    answers = await reader.read()
    writer.close()

    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4

"""Benchmarks' rows and quantiles."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import table
from bench.__main__ import BENCHMARKS, load, run
from bench.env import Env
from bench.load import complete
from bench.result import Result, quantile
from bench.table import FAILED, MISSED, REACHED, Row


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row.at_most("a", 5, 5, "ms"), Row("a", "5 ms", "≤ 5 ms", REACHED)),
        (Row.at_most("a", 5.001, 5), Row("a", "5", "≤ 5", MISSED)),
        (Row.at_least("a", 0.59, 0.6), Row("a", "0.59", "≥ 0.6", MISSED)),
        (Row.at_least("a", 12345.6, 9000, "req/s"),
         Row("a", "12,346 req/s", "≥ 9,000 req/s", REACHED)),
        (Row.at_most("a", math.nan, 5), Row("a", "nan", "≤ 5", MISSED)),
    ],
)  # fmt: skip
def test_a_row_is_judged_by_its_limit(row, expected):
    assert row == expected


def test_columns_are_aligned():
    lines = table.aligned([Row("long name", "1", "≤ 2", REACHED), Row("b", "22")]).splitlines()

    cells = ["measured", "1", "22"]
    assert {line.index(cell) for line, cell in zip(lines, cells, strict=True)} == {11}


def test_the_written_page_names_command_versions_and_cores(tmp_path: Path):
    table.write(tmp_path / "r.md", [Row("a|b", "1")], "python -m bench")
    text = (tmp_path / "r.md").read_text()

    assert text.startswith("`python -m bench` on 20")
    assert "Envoy 1." in text
    assert f"{table.cores()} cores" in text
    assert text.endswith("| --- | --- | --- | --- |\n| a\\|b | 1 |  |  |\n")


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_is_the_least_value_that_covers_its_share(values, share):
    found = quantile(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) <= share * len(values)


def test_nothing_measured_is_not_a_number():
    assert math.isnan(quantile([], 0.5))
    assert "no answers" in str(Result())


def test_every_registered_benchmark_can_be_loaded():
    assert all(callable(load(where)) for where in BENCHMARKS.values())


async def test_a_benchmark_that_fails_stops_only_itself(monkeypatch, capsys):
    monkeypatch.setitem(BENCHMARKS, "broken", "bench.nowhere:bench_broken")
    (row,) = await run(["broken"], Env())

    assert (row.what, row.verdict) == ("broken", FAILED)
    assert "bench.nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", False),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
)
def test_the_end_of_an_answer_is_found(answer, whole):
    assert complete(answer, answer[: answer.find(b"\r\n\r\n") + 2].lower()) is whole

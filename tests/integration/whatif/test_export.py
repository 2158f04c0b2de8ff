"""The log of decisions as files."""

import csv
import json
import time

import pyarrow.parquet
import pytest

from sidecar.app.export import COLUMNS, ExportError, export
from tests.integration.whatif.workload import PREFIX, traffic


async def exported(store, tmp_path, name):
    file = tmp_path / name
    assert await export(store, PREFIX, time.time() - 60, file) == 4
    assert [one.name for one in tmp_path.iterdir()] == [name]
    return file


async def some_decisions(store, settings):
    ids = await traffic(store, settings, 4, latency_ms=12.5, input_tokens=7)
    await store.hset(f"{PREFIX}feedback:{ids[0]}", "thumbs|user", "1 4")
    await store.xtrim(f"{PREFIX}facts", 3, approximate=False)
    return ids


async def test_parquet_is_read_back(store, settings, tmp_path):
    ids = await some_decisions(store, settings)

    table = pyarrow.parquet.read_table(await exported(store, tmp_path, "d.parquet"))

    assert table.column_names == [*COLUMNS]
    rows = {row["id"]: row for row in table.to_pylist()}
    assert set(rows) == set(ids)
    first, last = rows[ids[0]], rows[ids[-1]]
    assert first["feedback"] == [{"metric": "thumbs", "source": "user", "value": 1.0}]
    assert first["user_id"] is None, "its facts are gone"
    assert (last["user_id"], last["prompt_chars"], last["latency_ms"]) == ("u3", 11, 12.5)
    assert last["assignments"][0]["propensity"] == 0.5
    assert abs(last["at"].timestamp() - time.time()) < 60


async def test_json_lines_and_csv_have_the_same_columns(store, settings, tmp_path):
    await some_decisions(store, settings)
    lines = (await exported(store, tmp_path, "d.jsonl")).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    (tmp_path / "d.jsonl").unlink()
    with (await exported(store, tmp_path, "d.csv")).open(newline="") as file:
        cells = [*csv.DictReader(file)]

    assert [*rows[0]] == [*cells[0]] == [*COLUMNS]
    assert rows[0]["backends"] == json.loads(cells[0]["backends"])
    assert [row["id"] for row in rows] == [cell["id"] for cell in cells]


async def test_a_file_that_cannot_be_written_leaves_nothing_behind(store, settings, tmp_path):
    await some_decisions(store, settings)

    with pytest.raises(ExportError, match="No such file"):
        await export(store, PREFIX, 0, tmp_path / "none" / "d.csv")
    with pytest.raises(ExportError, match="legal are"):
        await export(store, PREFIX, 0, tmp_path / "d.xls")
    assert not [*tmp_path.iterdir()]


async def test_without_pyarrow_it_says_what_helps(store, monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ExportError, match=r"pointsman\[reports\].*\.jsonl or \.csv"):
        await export(store, PREFIX, 0, tmp_path / "d.parquet")

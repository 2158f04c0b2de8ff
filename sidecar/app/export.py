"""The log of decisions as a file for people's own analysis: Parquet, JSON lines or CSV."""

import csv
import importlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
from redis.asyncio import Redis

from sidecar.app.past import read_facts
from sidecar.errors import PointsmanError
from sidecar.telemetry.decision_log import Entry
from sidecar.telemetry.decision_reader import all_since, said_of
from sidecar.whatif import Facts

_BATCH = 500

Row = dict[str, Any]

COLUMNS: Mapping[str, str] = {
    "id": "text",
    "at": "time",
    "node": "text",
    "operation": "text",
    "route": "text",
    "strategy": "text",
    "backends": "texts",
    "probability": "float",
    "config_version": "integer",
    "assignments": "assignments",
    "warnings": "texts",
    "status": "integer",
    "answered": "boolean",
    "error": "boolean",
    "served_by": "text",
    "attempts": "integer",
    "latency_ms": "float",
    "ttft_ms": "float",
    "input_tokens": "integer",
    "output_tokens": "integer",
    "cost_usd": "float",
    "feedback": "feedback",
    "model": "text",
    "stream": "boolean",
    "body_bytes": "integer",
    "user_id": "text",
    "tenant": "text",
    "tier": "text",
    "api_key": "text",
    "session": "text",
    "region": "text",
    "max_tokens": "integer",
    "prompt_chars": "integer",
    "prompt_tokens": "integer",
    "prompt_messages": "integer",
    "prompt_has_code": "boolean",
    "prompt_has_images": "boolean",
    "prompt_has_tools": "boolean",
    "prompt_language": "text",
}
"""Column → kind. From ``model`` on, they are of requests whose facts were recorded; else empty."""


class ExportError(PointsmanError):
    """The file cannot be written here; the message says what would help."""

    code = "not_exported"


class Writer(Protocol):
    """Writes rows into a file."""

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""

    def close(self) -> None:
        """Finish the file."""


async def export(
    redis: Redis,
    prefix: str,
    since: float,
    file: Path,
    progress: Callable[[int, None], None] = lambda *_: None,
) -> int:
    """Write the decisions since then (Unix seconds), newest first; return how many.

    The suffix says how: ``.parquet``, ``.jsonl`` or ``.csv``. The file is there only when it is
    whole. ``progress`` is told how many so far, of how many is not known. Raises ExportError, and
    what the client raises.
    """
    unfinished = file.with_name(f".{file.name}.part")
    try:
        with _writing(file):
            writer = _open(unfinished, file.suffix.lower())
        count = 0
        try:
            async for rows in _rows(redis, prefix, since):
                with _writing(file):
                    writer.write(rows)
                count += len(rows)
                progress(count, None)
        finally:
            with _writing(file):
                writer.close()
        with _writing(file):
            unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    """Turn what the disk refuses into ExportError: around it, OSError is taken for Redis."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"{file}: {error.strerror or error}") from error


def _open(file: Path, suffix: str) -> Writer:
    match suffix:
        case ".parquet":
            return _Parquet(file)
        case ".jsonl":
            return _Lines(file)
        case ".csv":
            return _Csv(file)
    raise ExportError(f"{suffix or 'no suffix'}: legal are .parquet, .jsonl and .csv")


# ── rows ───────────────────────────────────────────────────────────────────


async def _rows(redis: Redis, prefix: str, since: float) -> AsyncIterator[list[Row]]:
    facts = {name: one async for name, one in read_facts(redis, prefix, since)}
    batch: list[Entry] = []
    async for entry in all_since(redis, prefix, since):
        batch.append(entry)
        if len(batch) == _BATCH:
            yield await _joined(redis, prefix, batch, facts)
            batch = []
    if batch:
        yield await _joined(redis, prefix, batch, facts)


async def _joined(
    redis: Redis, prefix: str, batch: Sequence[Entry], facts: Mapping[str, Facts]
) -> list[Row]:
    feedback = await said_of(redis, prefix, [entry.id for entry in batch])
    return [
        _of_entry(entry)
        | {"feedback": [one._asdict() for one in said]}
        | _of_facts(facts.get(entry.id))
        for entry, said in zip(batch, feedback, strict=True)
    ]


def _of_entry(entry: Entry) -> Row:
    came = entry.outcome
    return {
        "id": entry.id,
        "at": datetime.fromtimestamp(entry.at, UTC),
        "node": entry.node,
        "operation": entry.operation,
        "route": entry.route,
        "strategy": entry.strategy,
        "backends": [*entry.backends],
        "probability": entry.probability,
        "config_version": entry.version,
        "assignments": [one._asdict() for one in entry.assignments],
        "warnings": [*entry.warnings],
        "status": came.status,
        "answered": came.answered,
        "error": came.error,
        "served_by": came.backend,
        "attempts": came.attempts,
        "latency_ms": came.latency_ms,
        "ttft_ms": came.ttft_ms,
        "input_tokens": came.input_tokens,
        "output_tokens": came.output_tokens,
        "cost_usd": came.cost_usd,
    }


def _of_facts(facts: Facts | None) -> Row:
    if facts is None:
        return {}
    row = {
        "model": facts.model,
        "stream": facts.stream,
        "body_bytes": facts.size,
        "user_id": facts.user.id,
        "tenant": facts.user.tenant,
        "tier": facts.user.tier,
        "api_key": facts.api_key,
        "session": facts.session,
        "region": facts.headers.get("x-region"),
        "max_tokens": facts.max_tokens,
    }
    if facts.prompt is not None:
        features = msgspec.structs.asdict(facts.prompt)
        row |= {f"prompt_{name}": value for name, value in features.items()}
    return row


# ── files ──────────────────────────────────────────────────────────────────


class _Parquet:
    def __init__(self, file: Path) -> None:
        try:
            self._arrow: Any = importlib.import_module("pyarrow")
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise ExportError(
                "Parquet needs pyarrow: `pip install pointsman[reports]`, or name the file "
                ".jsonl or .csv"
            ) from None
        self._schema = _schema(self._arrow)
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, rows: Sequence[Row]) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist([*rows], schema=self._schema))

    def close(self) -> None:
        self._writer.close()


class _Lines:
    def __init__(self, file: Path) -> None:
        self._file = file.open("wb")

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._file.write(msgspec.json.encode({name: row.get(name) for name in COLUMNS}) + b"\n")

    def close(self) -> None:
        self._file.close()


class _Csv:
    """Lists are JSON text in their cells."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, [*COLUMNS])
        self._writer.writeheader()

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            cells = {name: _cell(value) for name, value in row.items()}
            self._writer.writerow(cells)

    def close(self) -> None:
        self._file.close()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return msgspec.json.encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else value


def _schema(arrow: Any) -> Any:
    text, floating, integer = arrow.string(), arrow.float64(), arrow.int64()
    assignment = [
        ("experiment", text),
        ("version", integer),
        ("arm", text),
        ("propensity", floating),
        ("unit", text),
        ("bucket", text),
    ]
    said = [("metric", text), ("source", text), ("value", floating)]
    kinds = {
        "text": text,
        "float": floating,
        "integer": integer,
        "boolean": arrow.bool_(),
        "time": arrow.timestamp("ms", tz="UTC"),
        "texts": arrow.list_(text),
        "assignments": arrow.list_(arrow.struct(assignment)),
        "feedback": arrow.list_(arrow.struct(said)),
    }
    return arrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])

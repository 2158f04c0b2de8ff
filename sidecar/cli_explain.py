"""`pointsman explain`: why a request went where it went, or where it would go."""

import asyncio
import http.client
import os
import random
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer

from sidecar.cli_admin import bearer, direct, place
from sidecar.cli_output import err, out, plain
from sidecar.errors import PointsmanError
from sidecar.settings import Address, Settings

if TYPE_CHECKING:
    from sidecar.config.documents import Documents
    from sidecar.explain import Explanation

_TIMEOUT_SECONDS = 15


class NoExplanation(PointsmanError):
    """The sidecar does not answer, and nothing else can."""

    code = "no_explanation"


class _Asked(NamedTuple):
    """A request to explain; ``seed`` and ``at`` (Unix time) are chosen when they are not given."""

    path: str
    headers: dict[str, str]
    body: bytes
    seed: int | None
    at: datetime | None


def explain(  # noqa: PLR0913, PLR0917 - each is an option
    identity: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="The x-pointsman-decision of a past response."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="A request's body (JSON), instead of standard input."),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", help="A header of the request, name:value.")
    ] = None,
    path: Annotated[str, typer.Option("--path", help="The path of the request.")] = (
        "/v1/chat/completions"
    ),
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Decide by the rules of this file; nothing has to run."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Draw the same again.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Decide as of this time (ISO 8601).")] = (
        None
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say why a request went where it went, or where one would go now; nothing is sent anywhere.

    A past decision is known to the sidecar that made it. A new request is decided by the rules of
    --config, else by the running sidecar (POINTSMAN_ADMIN), else by the rules in Redis.

    Examples: [bold]pointsman explain 019e8a4c2b3f5d0c7a91e4b6f802[/],
    [bold]echo '{"model": "any"}' | pointsman explain --header x-user-tier:premium[/],
    [bold]pointsman explain --config rules.json --file body.json --seed 7[/]
    """
    if identity is not None:
        if file or header or config or seed is not None or at:
            raise typer.BadParameter("an ID stands alone: the rest of that decision is recorded")
        found = _past(Settings.read(os.environ), identity)
    else:
        asked = _Asked(_path(path), _headers(header or []), _body(file), seed, _time(at))
        found = _new(asked, config)
    _show(found, as_json=as_json)


def _show(found: "Explanation", *, as_json: bool) -> None:
    # These decide, and so load all strategies: not what every command should wait for.
    from sidecar.cli_tree import tree  # noqa: PLC0415
    from sidecar.explain import encode  # noqa: PLC0415

    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(encode(found), indent=2) + b"\n")
    else:
        out().print(tree(found))


def _past(settings: Settings, identity: str) -> "Explanation":
    found = _ask_sidecar(settings.admin, {"id": identity})
    if found is None:
        raise NoExplanation(
            f"the sidecar does not answer at {settings.admin} (POINTSMAN_ADMIN), and only it "
            "knows its past decisions"
        )
    return found


def _new(asked: _Asked, config: Path | None) -> "Explanation":
    settings = Settings.read(os.environ)
    if config is not None:
        from sidecar.config import files  # noqa: PLC0415 - as in `_show`

        return _offline(asked, files.load(config), 0, settings)
    found = _ask_sidecar(settings.admin, _question(asked))
    if found is not None:
        return found
    err().print(
        f"The sidecar does not answer at {settings.admin}: these are the rules in Redis, without "
        "any statistics and with nothing remembered.",
        style="yellow",
    )
    return asyncio.run(_by_redis(asked, settings))


async def _by_redis(asked: _Asked, settings: Settings) -> "Explanation":
    from sidecar.app.rules import open_store  # noqa: PLC0415 - as in `_show`

    async with open_store(settings) as store:
        stored = await store.load()
    return _offline(asked, stored.documents, stored.version, settings)


def _offline(
    asked: _Asked, documents: "Documents", version: int, settings: Settings
) -> "Explanation":
    from sidecar.app.rules import policy_of  # noqa: PLC0415 - as in `_show`
    from sidecar.config.compile import compile_snapshot  # noqa: PLC0415
    from sidecar.explain import Record, explain_record  # noqa: PLC0415
    from sidecar.model import Stats  # noqa: PLC0415
    from sidecar.wire.explainer import read_headers  # noqa: PLC0415

    snapshot = compile_snapshot(documents, version=version, policy=policy_of(settings))
    seed = random.getrandbits(64) if asked.seed is None else asked.seed % 2**64
    moment = time.time() if asked.at is None else asked.at.timestamp()
    headers = read_headers(asked.headers, snapshot)
    now, size = int(moment * 1000) / 1000, len(asked.body)
    record = Record(asked.path, headers, asked.body, size, snapshot, Stats(), seed, now, {})
    return explain_record(record)


def _question(asked: _Asked) -> dict[str, object]:
    try:
        body = asked.body.decode()
    except UnicodeDecodeError as error:
        raise _wrong(f"the request is not UTF-8: {error}") from None
    question: dict[str, object] = {
        "request": {"path": asked.path, "headers": asked.headers, "body": body}
    }
    if asked.seed is not None:
        question["seed"] = asked.seed
    if asked.at is not None:
        question["at"] = asked.at.isoformat()
    return question


def _ask_sidecar(admin: Address, question: dict[str, object]) -> "Explanation | None":
    """Ask the admin API; ``None`` when nobody listens there."""
    request = urllib.request.Request(
        f"http://{place(admin)}/api/v1/explain",
        msgspec.json.encode(question),
        {"content-type": "application/json", **bearer()},
    )
    from sidecar.explain import Explanation  # noqa: PLC0415 - as in `_show`

    try:
        with direct.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return msgspec.json.decode(answer.read(), type=Explanation)
    except urllib.error.HTTPError as error:
        raise _refused(error, admin) from None
    except (OSError, http.client.HTTPException):
        return None
    except msgspec.DecodeError:
        raise NoExplanation(
            f"what answers at {admin} is not Pointsman, or of another version"
        ) from None


def _refused(error: urllib.error.HTTPError, admin: Address) -> Exception:
    try:
        problem = msgspec.json.decode(error.read(), type=dict[str, object])
        where = f"{problem['path']}: " if "path" in problem else ""
        detail = f"{where}{problem['detail']}"
    except (msgspec.DecodeError, KeyError):
        return NoExplanation(f"{admin} answered {error.code}")
    return NoExplanation(detail) if error.code >= 500 else _wrong(detail)


def _wrong(message: str) -> typer.Exit:
    """Say what is wrong with the input; return what ends the command."""
    err().print(f"✗ {plain(message)}", markup=False)
    return typer.Exit(1)


def _path(path: str) -> str:
    from sidecar.model import OPERATIONS  # noqa: PLC0415 - as in `_show`

    if path.partition("?")[0] not in OPERATIONS:
        raise typer.BadParameter(f"--path: decided are {', '.join(OPERATIONS)}")
    return path


def _headers(given: list[str]) -> dict[str, str]:
    headers = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise typer.BadParameter(f"--header {text!r} is not name:value")
        headers[name.strip().lower()] = value.strip()
    return headers


def _body(file: Path | None) -> bytes:
    if file is None:
        if sys.stdin.isatty():
            raise typer.BadParameter("needs an ID, --file, or a request's body on standard input")
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise _wrong(f"{file}: {error.strerror}") from None


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--at {text!r} is not a time such as 2026-01-05T12:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

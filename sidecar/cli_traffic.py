"""`pointsman stats` and `pointsman decisions list | show`: what the running sidecar sees."""

import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sidecar.cli_admin import get
from sidecar.cli_output import out, plain, print_json, print_table

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

NOTHING = "-"


class Status(StrEnum):
    """What came of a decision."""

    ok = "ok"
    failed = "failed"
    fallback = "fallback"


def stats(
    as_json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two, with --watch.", min=0.2)] = 2.0,
) -> None:
    """Show what each backend did in the last minute, as the running sidecar (POINTSMAN_ADMIN) says.

    A request of a backend is an attempt at it. Times are of this node, all else of all nodes.

    Example: [bold]pointsman stats --watch[/]
    """
    try:
        if watch and not as_json and sys.stdout.isatty():
            _live(every)
        else:
            _print(as_json=as_json)
            while watch:
                time.sleep(every)
                _print(as_json=as_json)
    except KeyboardInterrupt:
        return


def listed(  # noqa: PLR0913, PLR0917 - each is an option
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500)] = 20,
    route: Annotated[str | None, typer.Option(help="The route that decided.")] = None,
    backend: Annotated[str | None, typer.Option(help="A backend that was tried.")] = None,
    status: Annotated[Status | None, typer.Option(help="fallback: after a failure.")] = None,
    model: Annotated[str | None, typer.Option(help="Of the backend that was tried last.")] = None,
    before: Annotated[str | None, typer.Option(help="Go on where a list ended.")] = None,
    as_json: Json = False,
) -> None:
    """List past decisions and what came of them, newest first.

    Example: [bold]pointsman decisions list --status failed --route chat[/]
    """
    asked = {"route": route, "backend": backend, "status": status, "model": model}
    found = get("decisions", limit=limit, before=before, **asked)
    if as_json:
        print_json(found)
        return
    print_table(_decisions(found["decisions"]))
    if found["next"]:
        out().print(Text(f"older ones: --before {plain(found['next'])}", "dim"))


def show(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="The x-pointsman-decision of a past response.")
    ],
    as_json: Json = False,
) -> None:
    """Show one decision: what came of it, and why it was made where that is still known.

    Example: [bold]pointsman decisions show 019e8a4c2b3f5d0c7a91e4b6f802[/]
    """
    found = get(f"decisions/{identity}")
    if as_json:
        print_json(found)
        return
    out().print(_facts(found))
    out().print(_why(found))


# ── figures ────────────────────────────────────────────────────────────────


def _print(*, as_json: bool) -> None:
    found = get("stats")
    if as_json:
        print_json(found)
    else:
        out().print(_figures(found))


def _live(every: float) -> None:
    with Live(_figures(get("stats")), console=out(), auto_refresh=False, screen=False) as shown:
        while True:
            time.sleep(every)
            shown.update(_figures(get("stats")), refresh=True)


def _figures(found: dict[str, Any]) -> RenderableType:
    table = Table("backend", "state", *_HEADINGS)
    for column in table.columns[2:]:
        column.justify = "right"
    for name, one in found["backends"].items():
        table.add_row(Text(plain(name)), _state(one), _share(one["share"]), *_cells(one))
    if len(found["backends"]) > 1:
        table.add_section()
        table.add_row("all", "", "", *_cells(found["totals"]))
    store = "" if found["store_up"] else "  the store does not answer"
    version = NOTHING if found["version"] is None else found["version"]
    head = f"{found['node']}  rules version {version}  up {_ago(found['uptime_seconds'])}"
    return Group(Text.assemble((plain(head), "dim"), (store, "bold red")), table)


_HEADINGS = (
    *("share", "requests/s", "errors", "latency p50", "p95", "first token p50", "p95"),
    *("tokens/s", "$/h", "under way"),
)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    times = [one[name][level] for name in ("latency_ms", "ttft_ms") for level in ("p50", "p95")]
    return (
        f"{one['requests_per_second']:.4g}",
        _share(one["error_rate"]),
        *map(_milliseconds, times),
        f"{one['tokens_per_second']:,.4g}",
        f"{one['cost_usd_per_hour']:.4g}",
        str(one["in_flight"]),
    )


def _state(one: dict[str, Any]) -> Text:
    if one["healthy"]:
        return Text("healthy", "green")
    reason = plain(one["reason"] or "not healthy")
    return Text(reason, "bold red" if one["healthy"] is False else "yellow")


def _share(part: float | None) -> str:
    return NOTHING if part is None else f"{part:.1%}"


def _milliseconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.4g} ms"


def _ago(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    return f"{hours:.1f} h" if hours >= 1 else f"{minutes:.0f} min" if minutes >= 1 else "0 min"


# ── decisions ──────────────────────────────────────────────────────────────


def _decisions(rows: list[dict[str, Any]]) -> Table:
    table = Table("when", "id", "route", "strategy", "backend", "outcome", "latency", "$")
    for one in rows:
        came = one["outcome"]
        texts = (one["route"], one["strategy"], came["backend"])
        table.add_row(
            _time(one["at"]),
            Text(plain(one["id"])),
            *(Text(plain(text)) for text in texts),
            _outcome(one),
            _milliseconds(came["latency_ms"]),
            NOTHING if came["cost_usd"] is None else f"{came['cost_usd']:.6g}",
        )
    return table


def _outcome(one: dict[str, Any]) -> Text:
    came = one["outcome"]
    if came["answered"]:
        after = f" at attempt {came['attempts']}" if came["attempts"] > 1 else ""
        return Text(f"{came['status']}{after}", "yellow" if after else "green")
    if not came["status"] and not came["error"]:
        return Text("client left", "dim")
    return Text(str(came["status"] or "no answer"), "bold red")


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _facts(found: dict[str, Any]) -> Table:
    came = found["outcome"]
    arms = [f"{one['experiment']}: {one['arm']}" for one in found["assignments"]]
    said = [f"{one['metric']} {one['value']:g} ({one['source']})" for one in found["feedback"]]
    tried = [f"{one['backend']} {_answer(one)}" for one in found["attempts"]]
    pinned = ["by the request's own choice of arm"] if found["pinned"] else []
    rows = {
        "began": _time(found["at"]) + " UTC",
        "node": found["node"],
        "route": found["route"],
        "strategy": found["strategy"],
        "rules version": str(found["version"]),
        "plan": ", ".join(found["backends"]),
        "attempts": ", ".join(tried),
        "arms": ", ".join([*arms, *pinned]),
        "warnings": ", ".join(found["warnings"]),
        "latency": _milliseconds(came["latency_ms"]),
        "first token": _milliseconds(came["ttft_ms"]),
        "tokens": " → ".join(
            NOTHING if count is None else f"{count:,}"
            for count in (came["input_tokens"], came["output_tokens"])
        ),
        "cost": NOTHING if came["cost_usd"] is None else f"$ {came['cost_usd']:.6g}",
        "feedback": ", ".join(said),
    }
    table = Table.grid(padding=(0, 2))
    for name, text in rows.items():
        if text:
            table.add_row(Text(name, "bold"), Text(plain(text)))
    return table


def _answer(attempt: dict[str, Any]) -> str:
    if attempt["answered"]:
        return str(attempt["status"])
    return str(attempt["status"] or "failed")


def _why(found: dict[str, Any]) -> RenderableType:
    if found["explanation"] is None:
        return Text(plain(found["not_explained"]), "yellow")
    # These load all strategies: not what every command should wait for.
    from sidecar.cli_tree import tree  # noqa: PLC0415
    from sidecar.explain import Explanation  # noqa: PLC0415

    return tree(msgspec.convert(found["explanation"], Explanation))

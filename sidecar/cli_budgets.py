"""`pointsman budgets usage`: who has used how much of a budget, as the running sidecar says."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from sidecar.cli_admin import get
from sidecar.cli_completion import names_of
from sidecar.cli_output import out, plain, print_json, print_table

Name = Annotated[str, typer.Argument(help="The budget's name.", autocompletion=names_of("budgets"))]


def usage(
    name: Name,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show who has used most of a budget in this period, as the running sidecar says.

    People and sessions are shown as digests.

    Example: [bold]pointsman budgets usage acme-daily[/]
    """
    found = get(f"budgets/{name}/usage", count=count)
    if as_json:
        print_json(found)
        return
    resets = datetime.fromtimestamp(found["resets"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    limit = f"{found['limit']:.15g} {found['unit']} per {found['per']}"
    out().print(Text(plain(f"{found['name']}: {limit}, begins anew at {resets}"), "dim"))
    if not found["shared"]:
        out().print(Text("Redis is not heard of: these are old", "bold red"))
    print_table(_table(found))


def _table(found: dict[str, Any]) -> Table:
    table = Table(plain(found["scope"]), "used", "of limit")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in found["values"]:
        part = f"{one['used'] / one['limit']:.1%}" if one["limit"] else "-"
        table.add_row(Text(plain(one["value"])), f"{one['used']:,.10g}", part)
    if found["count"] > len(found["values"]):
        table.add_row(f"and {found['count'] - len(found['values'])} more", "", "")
    return table

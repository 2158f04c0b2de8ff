"""`pointsman token …`: who may use the API, kept as a file of hashes."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from sidecar.admin import tokens_write
from sidecar.admin.roles import Role
from sidecar.admin.tokens import LEGAL, Token, is_name, new_token, read_tokens
from sidecar.cli_output import err, fail, print_json, print_table
from sidecar.config.faults import nearest
from sidecar.settings import Settings

token = typer.Typer(
    name="token",
    help="Tokens of the API: names, roles and hashes.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
File = Annotated[
    Path | None, typer.Option("--file", help="The tokens file, instead of POINTSMAN_TOKENS_FILE.")
]


@token.command("new")
def new(
    name: Annotated[str, typer.Option("--name", help="Whose it is: `who` in the history.")],
    role: Annotated[Role, typer.Option("--role", help="What it may do.")],
    file: File = None,
    as_json: Json = False,
) -> None:
    """Make a token, print it this once, and append its hash to the tokens file.

    It is good within the second, without a restart. Without a file the entry is printed, to be put
    into one. viewer reads; operator also writes documents; admin may do all.

    Example: [bold]pointsman token new --name ann --role operator --file tokens.json[/]
    """
    if not is_name(name):
        raise typer.BadParameter(f"--name {name!r} {LEGAL['name']}")
    secret, entry = new_token(name, role)
    path = _path(file)
    if path is not None:
        _write(path, entry)
    if as_json:
        told = {"token": secret, **msgspec.to_builtins(entry), "file": str(path) if path else None}
        return print_json(told)
    if path is not None:
        err().print(Text(f"✓ {name} ({role}) is in {path}. The token is shown this once:"))
    else:
        shown = msgspec.json.format(msgspec.json.encode(entry), indent=2).decode()
        err().print(Text(f'Put this into "tokens" of the tokens file:\n{shown}\nThe token:'))
    print(secret)  # noqa: T201 - alone on standard output, for scripts
    return None


@token.command("list")
def list_all(file: File = None, as_json: Json = False) -> None:
    """List whose tokens there are; nobody can list the tokens themselves.

    Example: [bold]pointsman token list --file tokens.json[/]
    """
    tokens = read_tokens(_needed(file))
    if as_json:
        return print_json([{"name": t.name, "role": t.role, "created": t.created} for t in tokens])
    table = Table("name", "role", "created")
    for one in tokens:
        table.add_row(one.name, one.role, one.created)
    return print_table(table)


@token.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="Whose token; see `token list`.")],
    file: File = None,
    as_json: Json = False,
) -> None:
    """Remove a token from the tokens file: its next request is refused.

    Example: [bold]pointsman token revoke ann --file tokens.json[/]
    """
    path = _needed(file)
    try:
        there = tokens_write.revoke(path, name)
    except OSError as error:
        fail(f"{path}: {error.strerror}", 1)
    if not there:
        known = [one.name for one in read_tokens(path)]
        fail(f'"{name}" has no token; {nearest(name, known) if known else "nobody has"}', 1)
    if as_json:
        print_json({"revoked": name, "file": str(path)})
    else:
        err().print(Text(f"✓ {name} has no token any more"))


def _write(path: Path, entry: Token) -> None:
    try:
        tokens_write.add(path, entry)
    except OSError as error:
        fail(f"{path}: {error.strerror}", 1)


def _path(file: Path | None) -> Path | None:
    return file or Settings.read(os.environ).tokens_file


def _needed(file: Path | None) -> Path:
    path = _path(file)
    if path is None:
        raise typer.BadParameter("needs --file, or POINTSMAN_TOKENS_FILE")
    return path

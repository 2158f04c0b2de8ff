"""`pointsman backends | routes | flags | … list | get | put | rm | enable | disable`.

The commands of each kind are the same, but for the examples in their help.
"""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.text import Text

from sidecar.cli_completion import names_of
from sidecar.cli_listing import table_of
from sidecar.cli_output import Format, err, plain, print_as, print_json, print_table
from sidecar.cli_put import Put, putting
from sidecar.cli_store import (
    Diff,
    Force,
    Formatted,
    Json,
    RedisUrl,
    SkipTests,
    Who,
    Yes,
    user,
    with_editor,
)
from sidecar.cli_write import Plan, carry_out, edited, report
from sidecar.config.documents import Kind
from sidecar.config.faults import decode_object
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from sidecar.config.edits import Editor, Item, Listing
    from sidecar.config.writing import Edited


class Sort(NamedTuple):
    """A kind of documents, as its commands speak of it."""

    kind: Kind
    one: str
    name: str
    """One that occurs in examples."""
    field: str
    """Something to set, in examples."""
    help: str

    @property
    def a(self) -> str:
        """With its article."""
        return f"{'an' if self.one[0] in 'aeiou' else 'a'} {self.one}"


SORTS = (
    Sort("backends", "backend", "gpt-4o-mini", "timeout_seconds=30", "Models, and where they are."),
    Sort("routes", "route", "premium", "order=5", "Rules: which requests go to which router."),
    Sort("routers", "router", "resilient", "max_retries=2", "Stored routers, used by name."),
    Sort("flags", "flag", "beta", "share=20", "Switches that conditions read."),
    Sort("experiments", "experiment", "checkout-canary", "state=running", ""),
    Sort("budgets", "budget", "acme-daily", "limit=1000000", "Limits of tokens, requests, money."),
    Sort("keys", "key", "9f86d081884c7d65", "tier=premium", "Who comes with which API key."),
    Sort("guards", "guard", "toxicity", "timeout_ms=300", "Services that say yes or no."),
    Sort("tests", "test", "premium-goes-large", "expect.backend=large", "Tests of the rules."),
)

_SWITCHED: tuple[Kind, ...] = ("backends", "routes", "flags", "experiments")


def groups() -> list[typer.Typer]:
    """Return the commands of every kind but experiments, which have more of them."""
    return [_group(sort) for sort in SORTS if sort.kind != "experiments"]


def _group(sort: Sort) -> typer.Typer:
    group = typer.Typer(
        name=sort.kind, help=sort.help, no_args_is_help=True, rich_markup_mode="rich"
    )
    _add_list(group, sort)
    add_documents(group, sort.kind)
    return group


def add_documents(group: typer.Typer, kind: Kind) -> None:
    """Add `get`, `put`, `rm`, `enable` and `disable`."""
    (sort,) = (one for one in SORTS if one.kind == kind)
    for add in (_add_get, _add_put, _add_rm):
        add(group, sort)
    for on in (True, False):
        _add_switch(group, sort, on=on)


def _name(sort: Sort) -> Any:
    return typer.Argument(help=f"The {sort.one}'s name.", autocompletion=names_of(sort.kind))


def _example(*commands: str) -> str:
    shown = ", ".join(f"[bold]pointsman {command}[/]" for command in commands)
    return f"\n\n{'Examples' if len(commands) > 1 else 'Example'}: {shown}"


# ── reading ────────────────────────────────────────────────────────────────


def _add_list(group: typer.Typer, sort: Sort) -> None:
    ordered = ", in the order in which they are tried" if sort.kind == "routes" else ""

    @group.command(
        "list", help=f"List all {sort.kind}{ordered}.{_example(f'{sort.kind} list --json')}"
    )
    def list_all(redis_url: RedisUrl = None, as_json: Json = False) -> None:
        async def read(editor: "Editor") -> "Listing":
            return await editor.listing(sort.kind)

        items = with_editor(read, redis_url).items
        rows = [(item.name, _readable(item)) for item in items]
        if as_json:
            print_json(
                [{"name": item.name, "document": _value(item), "etag": item.etag} for item in items]
            )
        elif rows:
            print_table(table_of(sort.kind, rows))
        else:
            err().print(f"There is none yet. Write one: pointsman {sort.kind} put NAME FILE")


def _readable(item: "Item") -> dict[str, Any] | None:
    try:
        return decode_object(item.text, item.name)
    except ConfigError:
        return None


def _value(item: "Item") -> Any:
    """Return the document; one that is broken as its text."""
    found = _readable(item)
    return item.text.decode(errors="backslashreplace") if found is None else found


def _add_get(group: typer.Typer, sort: Sort) -> None:
    example = _example(f"{sort.kind} get {sort.name} > {sort.one}.json")

    @group.command("get", help=f"Print the document of {sort.a}: JSON, or YAML.{example}")
    def get(
        name: str = _name(sort),
        redis_url: RedisUrl = None,
        format: Formatted = Format.json,  # noqa: A002 - it is the option's name
        as_json: Json = False,
    ) -> None:
        async def read(editor: "Editor") -> "Item":
            return await editor.document(sort.kind, name)

        item = with_editor(read, redis_url)
        document = decode_object(item.text, f"{sort.kind}.{name}")
        print_as(document, Format.json if as_json else format)


# ── writing ────────────────────────────────────────────────────────────────


def _put_help(sort: Sort) -> str:
    begun = (
        "\n\nOnce it has begun, another key, salt, group or other arms need a new version, with "
        "which its data restarts; --force gives it one."
    )
    return (
        f"Write {sort.a}, or set fields of it; it is checked, and live at once."
        "\n\nA value is JSON, and otherwise text. A path has dots and places, as in "
        "endpoints\\[0].weight; a name with dots of its own is quoted."
        + (begun if sort.kind == "experiments" else "")
        + _example(
            f"{sort.kind} put {sort.name} {sort.one}.json",
            f"{sort.kind} put {sort.name} --set {sort.field}",
        )
    )


def _add_put(group: typer.Typer, sort: Sort) -> None:
    @group.command("put", help=_put_help(sort))
    def put(  # noqa: PLR0913, PLR0917 - each is an option
        name: str = _name(sort),
        file: Annotated[
            str | None, typer.Argument(help="A document (JSON or YAML); - for standard input.")
        ] = None,
        fields: Annotated[
            list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Set a field.")
        ] = None,
        unset: Annotated[
            list[str] | None, typer.Option("--unset", metavar="PATH", help="Leave a field out.")
        ] = None,
        format: Annotated[  # noqa: A002 - it is the option's name
            Format, typer.Option("--format", help="Of a file whose ending does not say it.")
        ] = Format.json,
        force: Force = False,
        skip_tests: SkipTests = False,
        diff: Diff = False,
        redis_url: RedisUrl = None,
        who: Who = None,
        as_json: Json = False,
    ) -> None:
        asked = Put(sort.kind, name, file, fields or [], unset or [], format)
        write = putting(asked, redis_url, who or user(), force=force, skip_tests=skip_tests)
        plan = Plan(write, "", redis_url)
        if diff:
            carry_out(plan, yes=True, diff=True, as_json=as_json)
        report(edited(plan), as_json=as_json)


def _add_rm(group: typer.Typer, sort: Sort) -> None:
    example = _example(f"{sort.kind} rm {sort.name}")
    kept = " Its statistics stay for 90 days." if sort.kind == "experiments" else ""

    @group.command(
        "rm",
        help=f"Remove {sort.a} that nothing refers to any more.{kept} On a terminal you are "
        f"asked.{example}",
    )
    def remove(
        name: str = _name(sort),
        yes: Yes = False,
        skip_tests: SkipTests = False,
        redis_url: RedisUrl = None,
        who: Who = None,
        as_json: Json = False,
    ) -> None:
        path = f"{sort.kind}.{name}"

        async def read(editor: "Editor") -> "Item":
            return await editor.document(sort.kind, name)

        item = with_editor(read, redis_url)

        async def write(editor: "Editor", *, dry_run: bool) -> "Edited":
            return await editor.remove(
                sort.kind,
                name,
                who=who or user(),
                etag=item.etag,
                dry_run=dry_run,
                skip_tests=skip_tests,
            )

        plan = Plan(write, f"Remove {path}?", redis_url)
        try:
            carry_out(plan, yes=yes, diff=False, as_json=as_json)
        except ConfigError:
            err().print(Text(f"{plain(path)} was not removed: this depends on it, change it first"))
            raise


def _add_switch(group: typer.Typer, sort: Sort, *, on: bool) -> None:
    """Add `enable` or `disable`; kinds without a switch say so, for the command is looked for."""
    word = "enable" if on else "disable"
    has = sort.kind in _SWITCHED
    example = _example(f"{sort.kind} {word} {sort.name}")

    @group.command(word, help=f"{_switches(sort, on=on)}{example}", hidden=not has)
    def switch(
        name: str = _name(sort),
        skip_tests: SkipTests = False,
        redis_url: RedisUrl = None,
        who: Who = None,
        as_json: Json = False,
    ) -> None:
        async def write(editor: "Editor", *, dry_run: bool) -> "Edited":
            return await editor.switch(
                sort.kind, name, on, who=who or user(), dry_run=dry_run, skip_tests=skip_tests
            )

        report(edited(Plan(write, "", redis_url)), as_json=as_json)


def _switches(sort: Sort, *, on: bool) -> str:
    if sort.kind == "experiments":
        return (
            "Let an experiment assign requests to its arms: state running."
            if on
            else "Let an experiment assign nobody, and keep what was learned: state paused."
            "\n\nRequests go on to the next route, also of users who were in an arm."
        )
    if sort.kind not in _SWITCHED:
        return f"Say that {sort.a} has no switch, and which kinds have one."
    return f"Switch {sort.a} {'on' if on else 'off, and keep its document'}; live at once."

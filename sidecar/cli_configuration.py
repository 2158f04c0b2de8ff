"""`pointsman check | apply | export`: configuration files, and all documents of the store."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.text import Text

from sidecar.cli_output import (
    Format,
    as_text,
    err,
    fail,
    fault_text,
    out,
    print_as,
    print_json,
    working,
)
from sidecar.cli_store import (
    Diff,
    Force,
    Formatted,
    Json,
    RedisUrl,
    SkipTests,
    Who,
    Yes,
    policy,
    user,
    with_editor,
)
from sidecar.cli_write import Plan, carry_out, explained, read_whole, replacing

if TYPE_CHECKING:
    from sidecar.config.check import Report
    from sidecar.config.edits import Whole

File = Annotated[Path, typer.Argument(help="A configuration file (JSON or YAML).", exists=True)]


def check(
    paths: Annotated[list[Path], typer.Argument(help="Configuration files (JSON or YAML).")],
    as_json: Json = False,
) -> None:
    """Check configuration files without Redis, and run the rule tests that they hold.

    Each fault and each test that fails is printed with its path, and ends this with 1. Settings
    that a decision depends on (POINTSMAN_ON_UNKNOWN_MODEL, …) are read from the environment.

    Example: [bold]pointsman check rules.json[/]
    """
    reports = [_checked(path) for path in paths]
    if as_json:
        rows = [report.to_json() for report in reports]
        sys.stdout.buffer.write(msgspec.json.encode(rows) + b"\n")
    else:
        for report in reports:
            _print_report(report)
    if not all(report.passed for report in reports):
        raise typer.Exit(1)


def _checked(path: Path, *, skip_tests: bool = False) -> "Report":
    # It loads all strategies: not what every command should wait for.
    from sidecar.config.check import check_file  # noqa: PLC0415

    with working(f"Checking {path.name}"):
        return check_file(path, policy(), skip_tests=skip_tests)


def _print_report(report: "Report") -> None:
    console = out()
    for fault in [*report.faults, *report.failed]:
        console.print(Text(f"{report.file}: "), fault_text(fault), sep="", soft_wrap=True)
    if report.passed:
        text = Text.assemble(("✓", "green"), f" {report.file}: {report.summary()}")
        console.print(text, soft_wrap=True)


def apply(  # noqa: PLR0913, PLR0917 - each is an option
    file: File,
    redis_url: RedisUrl = None,
    who: Who = None,
    only_if_empty: Annotated[
        bool, typer.Option("--only-if-empty", help="Leave a store alone that holds documents.")
    ] = False,
    skip_tests: SkipTests = False,
    force: Force = False,
    yes: Yes = False,
    diff: Diff = False,
    as_json: Json = False,
) -> None:
    """Replace all documents in Redis by those of a file, all at once.

    The file is checked first, as `pointsman check` does: nothing is written when a document is
    wrong or a rule test fails. Nor is it when an experiment that has begun would get another key,
    salt, group or other arms under the same version; with --force it gets the next version.
    On a terminal you see what would change, and are asked.

    Example: [bold]pointsman export -o rules.json; edit rules.json; pointsman apply rules.json[/]
    """
    report = _checked(file, skip_tests=skip_tests)
    if not report.passed:
        raise explained([*report.faults, *report.failed])
    whole = with_editor(read_whole, redis_url)
    if only_if_empty and not whole.documents.empty:
        _leave(whole, as_json=as_json)
        return
    what, name = f"apply {file.name}", who or user()
    write = replacing(whole, report.documents, what, name, force=force, skip_tests=skip_tests)
    carry_out(Plan(write, f"Apply {file.name}?", redis_url), yes=yes, diff=diff, as_json=as_json)


def _leave(whole: "Whole", *, as_json: bool) -> None:
    if as_json:
        print_json({"version": whole.version, "warnings": [], "changes": []})
    else:
        out().print("[yellow]=[/] nothing written: the store holds documents already")


def export(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write to a file; .yaml or .yml: as YAML."),
    ] = None,
    redis_url: RedisUrl = None,
    format: Formatted = Format.json,  # noqa: A002 - it is the option's name
) -> None:
    """Print all documents as one object that `apply` takes.

    Examples: [bold]pointsman export -o rules.json[/], [bold]pointsman export --format yaml[/]
    """
    found: Any = msgspec.json.decode(with_editor(read_whole, redis_url).documents.to_json())
    if output is not None and output.suffix in {".yaml", ".yml"}:
        format = Format.yaml  # noqa: A001
    if output is None:
        print_as(found, format)
        return
    try:
        output.write_bytes(as_text(found, format))
    except OSError as error:
        fail(f"{output}: {error.strerror or error}. Try another folder with -o.", 1)
    err().print(Text.assemble(("✓ ", "green"), f"wrote {output}"))

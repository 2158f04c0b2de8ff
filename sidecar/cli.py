"""The `pointsman` command."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sidecar import __version__
from sidecar.cli_budgets import usage
from sidecar.cli_configuration import apply, check, export
from sidecar.cli_documents import groups
from sidecar.cli_experiments import experiments
from sidecar.cli_explain import explain
from sidecar.cli_history import history, rollback
from sidecar.cli_output import err, fail, fault_text
from sidecar.cli_token import token
from sidecar.cli_traffic import listed, show, stats
from sidecar.cli_whatif import decisions, whatif
from sidecar.errors import (
    ConfigError,
    PointsmanError,
    SettingsError,
    StoreConflict,
    StoreError,
    UnknownDocument,
)
from sidecar.settings import Settings


class _Root(TyperGroup):
    """All commands; errors end them with one clear line and the contract's exit code.

    1: the input is wrong. 2: usage or a setting is wrong. 3: something needed is not reachable.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for fault in error.faults:
                err().print(fault_text(fault))
            raise typer.Exit(1) from None
        except UnknownDocument as error:
            fail(str(error), 1)
        except StoreConflict as error:
            fail(f"{error}. Look at what is there now, repeat your change, write again.", 1)
        except SettingsError as error:
            fail(str(error), 2)
        except StoreError as error:
            fail(
                f"{str(error).rstrip('.')}. Is Redis running, and is POINTSMAN_REDIS_URL right?", 3
            )
        except PointsmanError as error:
            fail(str(error), 3)


app = typer.Typer(
    name="pointsman",
    cls=_Root,
    help="Routes LLM traffic through Envoy by rules kept in Redis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def up(
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Documents for an empty store, instead of the examples."),
    ] = None,
    demo: Annotated[
        bool, typer.Option(help="Start simulated models and the example rules.")
    ] = True,
) -> None:
    """Start Redis, demo models, the sidecar and Envoy on this machine; Ctrl-C ends them all.

    Example: [bold]POINTSMAN_LISTEN=127.0.0.1:9000 pointsman up[/]
    """
    from sidecar.app.up import run

    run(_settings(), config=config, demo=demo)


@app.command()
def serve() -> None:
    """Run the sidecar: the control process and its workers. Redis and Envoy are yours.

    Example: [bold]POINTSMAN_REDIS_URL=redis://redis:6379 POINTSMAN_RUN_DIR=/run/pointsman
    pointsman serve[/], then [bold]envoy -c /run/pointsman/envoy.json[/]
    """
    from sidecar.app.control import run

    run(_settings())


for _command in (check, apply, export, history, rollback):
    app.command()(_command)
app.command()(explain)
app.command()(whatif)
app.command()(stats)
decisions.command("list")(listed)
decisions.command("show")(show)
app.add_typer(decisions)
app.add_typer(experiments)
for _group in groups():
    if _group.info.name == "budgets":
        _group.command("usage")(usage)
    app.add_typer(_group)
app.add_typer(token)


@app.command("envoy-config")
def envoy_config() -> None:
    """Print the bootstrap for an Envoy of your own, from the settings of this environment.

    Example: [bold]POINTSMAN_RUN_DIR=/run/pointsman pointsman envoy-config > envoy.json[/]
    """
    from sidecar.app.envoy import bootstrap_text

    sys.stdout.buffer.write(bootstrap_text(_settings()))


@app.command()
def version() -> None:
    """Print the version.

    Example: [bold]pointsman version[/]
    """
    print(__version__)  # noqa: T201


def _settings() -> Settings:
    return Settings.read(os.environ)


if __name__ == "__main__":
    main()

"""The `pointsman` command."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sidecar import __version__
from sidecar.cli_experiments import experiments
from sidecar.cli_explain import explain
from sidecar.cli_store import apply, check, export, fail, fault_text, history, rollback
from sidecar.cli_token import token
from sidecar.cli_whatif import decisions, whatif
from sidecar.errors import ConfigError, PointsmanError, SettingsError, StoreConflict, StoreError
from sidecar.settings import Settings

app = typer.Typer(
    name="pointsman",
    help="Routes LLM traffic through Envoy by rules kept in Redis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; errors end it with one clear line and the contract's exit code.

    1: the input is wrong. 2: usage or a setting is wrong. 3: something needed is not reachable.
    """
    try:
        app()
    except ConfigError as error:
        for fault in error.faults:
            _err.print(fault_text(fault))
        sys.exit(1)
    except StoreConflict as error:
        fail(f"{error}. Export again, repeat your change, apply again.", 1)
    except SettingsError as error:
        fail(str(error), 2)
    except StoreError as error:
        fail(f"{error}. Is Redis running, and is POINTSMAN_REDIS_URL right?", 3)
    except PointsmanError as error:
        fail(str(error), 3)


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
app.add_typer(decisions)
app.add_typer(experiments)
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
    """Print the version."""
    _out.print(__version__)


def _settings() -> Settings:
    return Settings.read(os.environ)


if __name__ == "__main__":
    main()

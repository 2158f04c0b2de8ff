"""`pointsman experiments promote | hold | resume | rollback | stop`: a rollout, by hand.

Each is one write with an entry in the history, and live within milliseconds.
"""

import os
from typing import Annotated

import typer
from rich.console import Console

from sidecar.app.rules import policy_of
from sidecar.cli_store import RedisUrl, fault_text, report_live, user, with_store
from sidecar.config import experiment_edits
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.config.experiment_edits import Edit
from sidecar.config.redis_store import RedisStore
from sidecar.errors import ConfigError
from sidecar.settings import Settings

_err = Console(stderr=True, highlight=False, soft_wrap=True)

Name = Annotated[str, typer.Argument(help="The experiment's name.")]
Who = Annotated[str | None, typer.Option(help="Name in the history.")]


def promote(
    name: Name,
    to: Annotated[
        float | None, typer.Option("--to", help="Share in percent, instead of the next step.")
    ] = None,
    redis_url: RedisUrl = None,
    who: Who = None,
) -> None:
    """Give the candidate the next step's share, or another one, whatever the guards say.

    A candidate that has no share begins anew: the experiment gets a new version, and what was
    learned before counts no more.

    Example: [bold]pointsman experiments promote checkout-canary --to 20[/]
    """
    _edit(name, experiment_edits.promoting(to), redis_url, who)


def hold(name: Name, redis_url: RedisUrl = None, who: Who = None) -> None:
    """Climb no further step until `resume`; guards still roll back.

    Example: [bold]pointsman experiments hold checkout-canary[/]
    """
    _edit(name, experiment_edits.hold, redis_url, who)


def resume(name: Name, redis_url: RedisUrl = None, who: Who = None) -> None:
    """Go on after `hold`, a pause or a stop; after a stop with a new version and no data.

    Example: [bold]pointsman experiments resume checkout-canary[/]
    """
    _edit(name, experiment_edits.resume, redis_url, who)


def rollback(name: Name, redis_url: RedisUrl = None, who: Who = None) -> None:
    """Take the candidate's share away and give it to the control; nobody else moves.

    Written also while some other document is wrong.

    Example: [bold]pointsman experiments rollback checkout-canary[/]
    """
    _edit(name, experiment_edits.roll_back, redis_url, who, urgent=True)


def stop(name: Name, redis_url: RedisUrl = None, who: Who = None) -> None:
    """End an experiment: it assigns nobody any more, and requests go on to the next route.

    Written also while some other document is wrong.

    Example: [bold]pointsman experiments stop checkout-canary[/]
    """
    _edit(name, experiment_edits.stop, redis_url, who, urgent=True)


COMMANDS = (promote, hold, resume, rollback, stop)
"""To be registered under `pointsman experiments`."""


def _edit(
    name: str, edit: Edit, redis_url: str | None, who: str | None, *, urgent: bool = False
) -> None:
    """Write it; what is ``urgent`` also when the rules as a whole are wrong, and thus not live."""
    policy = policy_of(Settings.read(os.environ, redis_url=redis_url))
    faulty: list[ConfigError] = []

    def check(documents: Documents) -> None:
        try:
            compile_snapshot(documents, version=0, policy=policy)
        except ConfigError as error:
            if not urgent:
                raise
            faulty[:] = [error]

    # It loads scipy, which takes a third of a second; commands without statistics start without.
    from sidecar.app.rollout import write  # noqa: PLC0415

    async def change(store: RedisStore) -> int:
        return await write(store, name, edit, who=who or user(), check=check)

    version = with_store(change, redis_url)
    if not faulty:
        report_live(version)
        return
    _err.print(f"[yellow]written as version {version}, but not live until this is mended:[/]")
    for fault in faulty[0].faults:
        _err.print(fault_text(fault))
    raise typer.Exit(1)

"""`pointsman experiments promote | hold | resume | rollback | stop`: a rollout, by hand.

Each is one write with an entry in the history, and live within milliseconds.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli_completion import names_of
from sidecar.cli_store import Json, RedisUrl, Who, user
from sidecar.cli_write import Plan, edited, report
from sidecar.config import experiment_edits
from sidecar.config.experiment_edits import Edit

if TYPE_CHECKING:
    from sidecar.config.edits import Editor
    from sidecar.config.writing import Edited

Name = Annotated[
    str,
    typer.Argument(help="The experiment's name.", autocompletion=names_of("experiments")),
]


def promote(
    name: Name,
    to: Annotated[
        float | None, typer.Option("--to", help="Share in percent, instead of the next step.")
    ] = None,
    redis_url: RedisUrl = None,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Give the candidate the next step's share, or another one, whatever the guards say.

    A candidate that has no share begins anew: the experiment gets a new version, and what was
    learned before counts no more.

    Example: [bold]pointsman experiments promote checkout-canary --to 20[/]
    """
    _edit(name, experiment_edits.promoting(to), redis_url, who, as_json=as_json)


def hold(name: Name, redis_url: RedisUrl = None, who: Who = None, as_json: Json = False) -> None:
    """Climb no further step until `resume`; guards still roll back.

    Example: [bold]pointsman experiments hold checkout-canary[/]
    """
    _edit(name, experiment_edits.hold, redis_url, who, as_json=as_json)


def resume(name: Name, redis_url: RedisUrl = None, who: Who = None, as_json: Json = False) -> None:
    """Go on after `hold`, a pause or a stop; after a stop with a new version and no data.

    Example: [bold]pointsman experiments resume checkout-canary[/]
    """
    _edit(name, experiment_edits.resume, redis_url, who, as_json=as_json)


def rollback(
    name: Name, redis_url: RedisUrl = None, who: Who = None, as_json: Json = False
) -> None:
    """Take the candidate's share away and give it to the control; nobody else moves.

    Written also while some other document is wrong.

    Example: [bold]pointsman experiments rollback checkout-canary[/]
    """
    _edit(name, experiment_edits.roll_back, redis_url, who, as_json=as_json)


def stop(name: Name, redis_url: RedisUrl = None, who: Who = None, as_json: Json = False) -> None:
    """End an experiment: it assigns nobody any more, and requests go on to the next route.

    Written also while some other document is wrong.

    Example: [bold]pointsman experiments stop checkout-canary[/]
    """
    _edit(name, experiment_edits.stop, redis_url, who, as_json=as_json)


COMMANDS = (promote, hold, resume, rollback, stop)
"""To be registered under `pointsman experiments`."""


def _edit(name: str, edit: Edit, redis_url: str | None, who: str | None, *, as_json: bool) -> None:
    async def write(editor: "Editor", *, dry_run: bool) -> "Edited":
        return await editor.edit_experiment(name, edit, who=who or user(), dry_run=dry_run)

    report(edited(Plan(write, "", redis_url)), as_json=as_json)

"""What commands ask of the running sidecar: its HTTP API at the admin address of the settings."""

import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import msgspec

from sidecar.cli_output import fail, plain
from sidecar.errors import PointsmanError, SettingsError
from sidecar.settings import Address, Settings

TOKEN = "POINTSMAN_TOKEN"  # noqa: S105 - the variable's name
_TIMEOUT_SECONDS = 15
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""What is asked is next door: no proxy can reach it, nor should it see questions and tokens."""


class ControlUnreachable(PointsmanError):
    """The sidecar does not answer at the admin address, or not as it should."""

    code = "control_unreachable"


def get(path: str, **query: Any) -> Any:
    """Return what ``GET /api/v1/{path}`` answers, as JSON values; ``None`` is not asked for.

    Raises ControlUnreachable, and SettingsError when the token is wrong; ends the command with 1
    when there is no such thing.
    """
    admin = Settings.read(os.environ).admin
    asked = urllib.parse.urlencode({n: value for n, value in query.items() if value is not None})
    request = urllib.request.Request(
        f"http://{place(admin)}/api/v1/{urllib.parse.quote(path)}?{asked}", headers=bearer()
    )
    try:
        with direct.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as error:
        _refused(error, admin)
    except (OSError, http.client.HTTPException):
        raise ControlUnreachable(
            f"the sidecar does not answer at {admin}. Does it run, and is POINTSMAN_ADMIN right?"
        ) from None
    except msgspec.DecodeError:
        raise _stranger(admin) from None


def place(admin: Address) -> str:
    """Return where to ask, for a URL: an address that listens everywhere is asked right here."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(admin.host, admin.host)
    return f"[{host}]:{admin.port}" if ":" in host else f"{host}:{admin.port}"


def bearer() -> dict[str, str]:
    """Return the header with the caller's token, if there is one in the environment."""
    token = os.environ.get(TOKEN, "")
    return {"authorization": f"Bearer {token}"} if token else {}


def _stranger(admin: Address) -> ControlUnreachable:
    return ControlUnreachable(f"what answers at {admin} is not Pointsman, or of another version")


def _refused(error: urllib.error.HTTPError, admin: Address) -> None:
    """Say what the API says: a refusal is a problem document."""
    try:
        detail = plain(str(msgspec.json.decode(error.read(), type=dict[str, Any])["detail"]))
    except (msgspec.DecodeError, KeyError, OSError):
        raise _stranger(admin) from None
    if error.code in {401, 403}:
        raise SettingsError(f"{detail} {TOKEN} has the token.")
    if error.code >= 500:
        raise ControlUnreachable(detail)
    fail(detail, 1)

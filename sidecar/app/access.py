"""Who may use the API of this node, by its settings."""

from sidecar.admin.gate import Access, LoopbackAccess
from sidecar.admin.token_access import TokenAccess
from sidecar.admin.token_file import TokenFile
from sidecar.errors import SettingsError
from sidecar.settings import Settings


def access_of(settings: Settings) -> Access:
    """Return who callers are: by their tokens, or without a file of them all of this machine.

    Raises SettingsError when the admin address is open to others and there is no such file.
    """
    if settings.tokens_file is not None:
        return TokenAccess(TokenFile(settings.tokens_file))
    if settings.admin_is_loopback:
        return LoopbackAccess()
    raise SettingsError(
        f"POINTSMAN_ADMIN={settings.admin} is reached by others, so its API needs tokens: set "
        "POINTSMAN_TOKENS_FILE to a file that `pointsman token new --name NAME --role admin "
        f"--file FILE` has made, or POINTSMAN_ADMIN=127.0.0.1:{settings.admin.port}"
    )

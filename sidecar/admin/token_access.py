"""Callers by their tokens, where there is a file of them."""

import ipaddress
import math
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from sidecar.admin.access import Caller, Refusal, no_token
from sidecar.admin.rate_limit import RateLimit
from sidecar.admin.token_file import TokenFile

FAILURES_PER_SECOND = 2.0
"""Per address, five times that at once. More get 429 and no line in the log."""

_UNKNOWN = "This token is not known: it is wrong, or was revoked."


class TokenAccess:
    """Knows callers by `Authorization: Bearer pm_…`.

    A known token is let in whatever others do from the same address: behind a proxy all have one,
    and 256 bits are not guessed. The limit is for the log, and for wrong tokens in a loop.
    """

    def __init__(self, tokens: TokenFile, failures: RateLimit | None = None) -> None:
        self._tokens = tokens
        self._failures = failures or RateLimit(FAILURES_PER_SECOND)

    def caller(self, scope: Scope, headers: Headers) -> Caller:
        """Return whose token it is. Raises Refusal: 401, or 429 after too many of those."""
        given = headers.getlist("authorization")
        secret = _bearer(given[0]) if len(given) == 1 else None
        token = self._tokens.find(secret) if secret else None
        if token is None:
            raise self._failed(scope, no_token(_UNKNOWN) if given else no_token())
        return Caller(token.name, token.role, "token")

    def report(self) -> dict[str, Any]:
        """Return for `/readyz` how callers are known, and what is wrong with that."""
        return self._tokens.report()

    def _failed(self, scope: Scope, refusal: Refusal) -> Refusal:
        seconds = self._failures.wait(_address(scope))
        if seconds <= 0:
            return refusal
        again = {"retry-after": str(math.ceil(seconds))}
        return Refusal(429, "Too many requests", "Too many unknown tokens from here.", again)


def _bearer(text: str) -> str | None:
    scheme, _, secret = text.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def _address(scope: Scope) -> str:
    """Return what failures are counted by: the address, or of IPv6 the /64 that one site has."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network((host, 64), strict=False))

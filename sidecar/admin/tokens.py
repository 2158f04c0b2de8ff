"""Tokens of the API: a file of names, roles and hashes, which holds none of the tokens.

::

    {"tokens": [{"name": "ann", "role": "operator", "sha256": "9f86…", "created": "2026-01-05"}]}

A token is `pm_` and 256 random bits. What a guesser has to search is the bits and not a password of
some person's, so one SHA-256 is enough: a slow hash would only make each request slow.
"""

import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from sidecar.admin.roles import Role
from sidecar.errors import ConfigError, Fault

MOST_BYTES = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_SECRET = re.compile(r"pm_[A-Za-z0-9_-]{43}")
LEGAL = {
    "name": "must be 1 to 64 letters, digits and . _ @ -",
    "role": "must be viewer, operator or admin",
    "sha256": "must be the 64 hex digits of the token's SHA-256, never the token",
    "created": "must be a time",
}
_ENTRY = "an entry has name, role, sha256 and created"

Name = Annotated[str, msgspec.Meta(pattern=rf"^{_NAME.pattern}\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose token it is and what he may do; ``sha256`` tells it from others."""

    name: Name
    role: Role
    sha256: Digest
    created: Annotated[str, msgspec.Meta(max_length=40)] = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    tokens: tuple[Token, ...]


def is_name(name: str) -> bool:
    """Return whether a token may be called so."""
    return _NAME.fullmatch(name) is not None


def new_token(name: str, role: Role) -> tuple[str, Token]:
    """Return a new token, which is kept nowhere, and its entry."""
    secret = "pm_" + secrets.token_urlsafe(32)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return secret, Token(name, role, _digest(secret), created)


def find(tokens: Sequence[Token], secret: str) -> Token | None:
    """Return the entry of ``secret``. Takes as long for any entry as for none."""
    digest = _digest(secret)
    found = None
    for token in tokens:
        if hmac.compare_digest(token.sha256, digest):
            found = token
    return found if _SECRET.fullmatch(secret) else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


# ── the file ───────────────────────────────────────────────────────────────


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Return the entries of a file. Raises ConfigError, with places but none of the contents."""
    try:
        with path.open("rb") as file:
            open_to_all = os.fstat(file.fileno()).st_mode & stat.S_IWOTH
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _wrong("", error.strerror or "cannot be read") from None
    if open_to_all:
        raise _wrong("", "can be written by everybody; chmod o-w would mend it")
    if len(text) > MOST_BYTES:
        raise _wrong("", f"has more than {MOST_BYTES} bytes")
    return parse_tokens(text)


def parse_tokens(text: bytes) -> tuple[Token, ...]:
    """Return the entries that ``text`` has. Raises ConfigError."""
    try:
        tokens = msgspec.json.decode(text, type=_File).tokens
    except msgspec.ValidationError as error:
        place = str(error).partition(" - at `$")[2].strip(".`")
        raise _wrong(place, LEGAL.get(place.rpartition(".")[2], _ENTRY)) from None
    except (msgspec.DecodeError, UnicodeError):
        raise _wrong("", "is not JSON") from None
    _check_unique(tokens)
    return tokens


def _check_unique(tokens: Sequence[Token]) -> None:
    names: dict[str, int] = {}
    digests: dict[str, int] = {}
    for place, token in enumerate(tokens):
        if names.setdefault(token.name, place) != place:
            raise _wrong(f"tokens[{place}].name", f"is that of tokens[{names[token.name]}] too")
        if digests.setdefault(token.sha256, place) != place:
            raise _wrong(f"tokens[{place}].sha256", f"is that of tokens[{digests[token.sha256]}]")


def _wrong(place: str, what: str) -> ConfigError:
    return ConfigError([Fault(place or "tokens file", what)])

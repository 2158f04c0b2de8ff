"""The tokens file as control sees it: as of now."""

from pathlib import Path
from typing import Any

import structlog

from sidecar.admin.tokens import Token, find, read_tokens
from sidecar.errors import ConfigError

_log = structlog.get_logger()


class TokenFile:
    """The tokens of a file, as of now: it is read again as soon as it has changed.

    A file that is broken, or gone, changes nothing: the last good one holds. Before there was one,
    no token is known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, ...] | None = None
        self._tokens: tuple[Token, ...] = ()
        self._fault: str | None = None

    def find(self, secret: str) -> Token | None:
        """Return the entry of ``secret``, or ``None`` when it is not known (any more)."""
        self._refresh()
        return find(self._tokens, secret)

    def report(self) -> dict[str, Any]:
        """Return for `/readyz` how many tokens there are, and what is wrong with the file."""
        self._refresh()
        return {"by": "tokens", "tokens": len(self._tokens), "fault": self._fault}

    def _refresh(self) -> None:
        mark = self._mark()
        if mark == self._read:
            return
        self._read = mark
        try:
            self._tokens, self._fault = read_tokens(self._path), None
        except ConfigError as error:
            self._fault = str(error)
            _log.error("tokens_rejected", file=str(self._path), fault=self._fault)
        else:
            _log.info("tokens_read", file=str(self._path), tokens=len(self._tokens))

    def _mark(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

"""Changes of the tokens file, each atomic: whoever reads it sees it before or after."""

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from sidecar.admin.tokens import Token, parse_tokens, read_tokens
from sidecar.errors import ConfigError, Fault

Edit = Callable[[tuple[Token, ...]], tuple[Token, ...]]


def add(path: Path, token: Token) -> None:
    """Append ``token``; a file that is not there is made, for its owner alone.

    Raises ConfigError when its name is taken or the file is wrong, OSError.
    """

    def edit(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        if any(one.name == token.name for one in tokens):
            what = "is taken; revoke it first, or choose another name"
            raise ConfigError([Fault(f'name "{token.name}"', what)])
        return (*tokens, token)

    _change(path, edit)


def revoke(path: Path, name: str) -> bool:
    """Remove the token called ``name``; return whether there was one.

    Raises ConfigError when the file is wrong, OSError.
    """
    there = False

    def edit(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        nonlocal there
        there = any(one.name == name for one in tokens)
        return tuple(one for one in tokens if one.name != name)

    _change(path, edit)
    return there


def _change(path: Path, edit: Edit) -> None:
    path = path.resolve()  # a link stays one: what it points to is replaced
    with _alone(path.parent):
        before = read_tokens(path) if path.exists() else ()
        after = edit(before)
        if after != before:
            text = msgspec.json.format(msgspec.json.encode({"tokens": after}), indent=2) + b"\n"
            parse_tokens(text)
            _replace(path, text)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold off others that change files of ``folder`` in this way, so that no change is lost."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            _keep_owner(file.fileno(), path)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _keep_owner(handle: int, path: Path) -> None:
    """Let the file stay readable for whom it was made: root edits what a service reads."""
    if not path.exists():
        return  # mkstemp has made it 0600
    before = path.stat()
    with suppress(PermissionError):
        os.fchown(handle, before.st_uid, before.st_gid)
        os.fchmod(handle, stat.S_IMODE(before.st_mode) & 0o640)

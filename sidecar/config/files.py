"""Configuration files, and the last good configuration that survives Redis."""

import os
import tempfile
from pathlib import Path

import msgspec

from sidecar.config.documents import Digester, Documents
from sidecar.config.yaml_text import read_yaml, write_yaml
from sidecar.errors import ConfigError, Fault

LAST_GOOD = "last-good.json"
YAML_SUFFIXES = frozenset({".yaml", ".yml"})


class _LastGood(msgspec.Struct):
    version: int
    digest: str
    documents: msgspec.Raw


class LastGood(msgspec.Struct, frozen=True):
    """A configuration that was live, and the version that it had in the store."""

    documents: Documents
    version: int


def load(path: Path) -> Documents:
    """Read a configuration file: ``{"backends": {name: {…}}, "routes": {…}, …}``.

    JSON; YAML when its name ends in ``.yaml`` or ``.yml``. Raises ConfigError, also when there is
    no such file; documents are not compiled.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError([Fault(str(path), error.strerror or str(error))]) from None
    return parse_yaml(text) if path.suffix.lower() in YAML_SUFFIXES else Documents.parse(text)


def parse_yaml(text: bytes) -> Documents:
    """Read a whole configuration from YAML; raises ConfigError, with line and path."""
    return Documents.of(read_yaml(text))


def to_yaml(documents: Documents) -> bytes:
    """Return a whole configuration as YAML; kinds without documents are left out.

    A document that is no JSON object is a string of its text.
    """
    objects = msgspec.json.decode(documents.to_json(kept=documents))
    return write_yaml({kind: found for kind, found in objects.items() if found})


def save_last_good(folder: Path, documents: Documents, version: int, digest: str) -> None:
    """Keep ``documents`` in ``folder``; raises OSError.

    Mode 0600 in a folder of mode 0700: there are no secrets in it, but names and addresses.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = _LastGood(version, digest, msgspec.Raw(documents.to_json()))
    _write_atomically(folder / LAST_GOOD, msgspec.json.encode(kept))


def load_last_good(folder: Path) -> LastGood | None:
    """Return what ``save_last_good`` kept, or ``None`` when there is nothing.

    Raises ConfigError when the file is damaged: cut off, edited, or not readable.
    """
    path = folder / LAST_GOOD
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_LastGood)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Fault(str(path), f"is damaged: {error}")]) from None
    documents = Documents.parse(bytes(kept.documents))
    if Digester()(documents) != kept.digest:
        raise ConfigError([Fault(str(path), "is damaged: its digest does not fit")])
    return LastGood(documents, kept.version)


def _write_atomically(path: Path, text: bytes) -> None:
    """Replace a file so that a reader, or a crash, never meets half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

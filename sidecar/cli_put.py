"""`put`: a document from a file, from standard input, or with some fields set."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

import msgspec
import typer
from rich.text import Text

from sidecar.cli_fields import with_fields
from sidecar.cli_output import Format, err, fail, plain
from sidecar.cli_store import with_editor
from sidecar.cli_write import Write, kept
from sidecar.config.documents import Kind
from sidecar.config.faults import decode_object
from sidecar.errors import UnknownDocument

if TYPE_CHECKING:
    from sidecar.config.edits import Editor, Item
    from sidecar.config.writing import Edited, Options


class Put(NamedTuple):
    """What was asked for. ``format``: of what is read, unless a file's ending says it."""

    kind: Kind
    name: str
    file: str | None
    fields: Sequence[str]
    unset: Sequence[str]
    format: Format

    @property
    def path(self) -> str:
        """Where faults of the document are."""
        return f"{self.kind}.{self.name}"


class There(TypedDict, total=False):
    """What must be there when it is written, as the editor takes it."""

    etag: str
    create: bool


def putting(asked: Put, redis_url: str | None, who: str, **options: "Unpack[Options]") -> Write:
    """Return what writes the document; it is read here, and fields are set in it."""
    text, there = read(asked, redis_url)

    async def write(editor: "Editor", *, dry_run: bool) -> "Edited":
        made: Options = {**options, "dry_run": dry_run}
        return await editor.put(asked.kind, asked.name, text, who=who, **there, **made)

    return write


def read(asked: Put, redis_url: str | None) -> tuple[bytes, There]:
    """Return the document to write (JSON text), and what must be there then."""
    if asked.file is None and not asked.fields and not asked.unset:
        raise typer.BadParameter("needs a FILE, - for standard input, or --set PATH=VALUE")
    text = None if asked.file is None else _read(asked.file, asked.format, asked.path)
    item = _find(asked, redis_url)
    stored = None if item is None else item.text
    if text is not None:
        return kept(_edited(asked, text), stored), {}
    if item is None:
        return _edited(asked, b"{}"), {"create": True}
    return kept(_edited(asked, item.text), stored), {"etag": item.etag}


def _find(asked: Put, redis_url: str | None) -> "Item | None":
    """Return what is there; nothing is fine, unless fields are to be left out of it."""

    async def find(editor: "Editor") -> "Item | None":
        try:
            return await editor.document(asked.kind, asked.name)
        except UnknownDocument as error:
            if asked.file is None and not asked.fields:
                raise
            if asked.file is None:
                err().print(Text(f"! new: {plain(str(error))}", "yellow"))
            return None

    return with_editor(find, redis_url)


def _edited(asked: Put, text: bytes) -> bytes:
    if not asked.fields and not asked.unset:
        return text
    document = decode_object(text, asked.path)
    return msgspec.json.encode(with_fields(document, asked.fields, asked.unset))


def _read(file: str, how: Format, path: str) -> bytes:
    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        fail(f"{file}: {error.strerror or error}. A document is given as a file, or as - .", 1)
    if how is not Format.yaml and not file.endswith((".yaml", ".yml")):
        return text
    from sidecar.config.yaml_text import read_yaml  # noqa: PLC0415 - few write it

    return msgspec.json.encode(read_yaml(text, path))

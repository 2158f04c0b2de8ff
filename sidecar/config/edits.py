"""Edits of the documents in the store, with every check that `apply` makes.

Each edit is read, checked as a whole and written in one compare-and-set. Somebody else's write to
another document in between costs another attempt; to the same document it is a StoreConflict.
"""

from typing import NamedTuple, Unpack

from sidecar.config.differences import DocumentChange, differences, document_changes
from sidecar.config.document_edits import (
    ANY,
    check_etag,
    etag_of,
    lost,
    order_of,
    switched,
    text_of,
    with_text,
    without,
)
from sidecar.config.documents import Documents, Kind, Texts, check_name
from sidecar.config.experiment_edits import Edit, edited
from sidecar.config.experiments import changes as experiment_changes
from sidecar.config.faults import decode_object
from sidecar.config.redis_store import Change, RedisStore, Stored
from sidecar.config.writing import Edited, Options, Plan, Writer
from sidecar.errors import ConfigError, Fault, StoreConflict, UnknownDocument
from sidecar.model import Policy, Snapshot


class Item(NamedTuple):
    """A document as it is stored."""

    name: str
    text: bytes
    etag: str


class Listing(NamedTuple):
    """All documents of one kind, and the version that they are of."""

    version: int
    items: list[Item]


class Whole(NamedTuple):
    """The whole configuration."""

    version: int
    documents: Documents
    etag: str


class Validation(NamedTuple):
    """What is wrong with documents that were not written, and what they would change."""

    faults: tuple[Fault, ...]
    failed_tests: tuple[Fault, ...]
    changes: list[DocumentChange]


class Editor:
    """Reads and changes what the store holds.

    Every method raises StoreError when the store does not answer. Those that write raise
    ConfigError when a check fails, and StoreConflict when ``etag`` is not that of what is there.
    What is wrong already, and elsewhere, holds up no edit of one document: it is a warning.
    """

    def __init__(self, store: RedisStore, policy: Policy) -> None:
        self._store = store
        self._writer = Writer(store, policy)

    def close(self) -> None:
        """End its thread; the store stays open."""
        self._writer.checker.close()

    # ── reading ────────────────────────────────────────────────────────────

    async def listing(self, kind: Kind) -> Listing:
        """Return all documents of a kind: routes as they are tried, others by name."""
        stored = await self._store.load()
        texts: Texts = getattr(stored.documents, kind)
        names = sorted(texts, key=lambda name: (order_of(texts[name]), name))
        names = names if kind == "routes" else sorted(texts)
        items = [Item(name, texts[name], etag_of(texts[name])) for name in names]
        return Listing(stored.version, items)

    async def document(self, kind: Kind, name: str) -> Item:
        """Return one document. Raises UnknownDocument."""
        text = text_of((await self._store.load()).documents, kind, name)
        return Item(name, text, etag_of(text))

    async def whole(self) -> Whole:
        """Return all documents."""
        stored = await self._store.load()
        return Whole(stored.version, stored.documents, self._writer.etag(stored))

    async def validate(self, documents: Documents, *, merge: bool = False) -> Validation:
        """Check documents against the store, and write nothing.

        ``merge``: they are laid over those of the store, and the text `null` removes one.
        """
        before = (await self._store.load()).documents
        after = before.overlaid(documents) if merge else documents
        found = await self._writer.checker.findings(after)
        faults = (*found.faults, *experiment_changes(before, after))
        return Validation(faults, found.failed, document_changes(before, after))

    async def history(self, count: int, before: int | None = None) -> list[Change]:
        """Return the last changes, newest first; those ``before`` a version, if given."""
        return await self._store.history(count, before)

    async def version(self, version: int) -> tuple[Change, Documents]:
        """Return what was written as a version. Raises UnknownDocument."""
        entry = await self._store.entry_at(version)
        if entry is None:
            raise UnknownDocument(f"version {version} is not in the history")
        return entry

    async def version_changes(self, version: int, to: int | None = None) -> list[DocumentChange]:
        """Return what a version changed, or with ``to`` what is different from it to that one.

        Raises UnknownDocument when one of them is not in the history.
        """
        of = (await self.version(version))[1]
        if to is not None:
            return document_changes(of, (await self.version(to))[1])
        first = version == 1
        return document_changes(Documents() if first else (await self.version(version - 1))[1], of)

    async def compiled(self, changes: Documents) -> Snapshot:
        """Compile documents as `validate` lays them over those of the store. Raises ConfigError."""
        stored = await self._store.load()
        documents = stored.documents.overlaid(changes)
        return await self._writer.checker.compiled(documents, stored.version)

    # ── writing ────────────────────────────────────────────────────────────

    async def put(
        self,
        kind: Kind,
        name: str,
        text: bytes,
        *,
        who: str,
        etag: str | None = None,
        create: bool = False,
        **options: Unpack[Options],
    ) -> Edited:
        """Write one document (JSON text).

        ``etag``: what must be there, `*` for anything; ``create``: there must be nothing; without
        either, whatever is there is replaced.
        """
        path = f"{kind}.{name}"
        faults = [*check_name(kind, name)]
        if faults:
            raise ConfigError(faults)
        value = decode_object(text, path)

        def change(stored: Stored) -> Plan:
            current = getattr(stored.documents, kind).get(name)
            if create and current is not None:
                raise lost(f"{path} is there already", path, current, value)
            if etag is not None:
                check_etag(path, current, etag, value)
            return Plan(with_text(stored.documents, kind, name, text), f"put {path}", (kind, name))

        return await self._writer.write(change, who, options)

    async def remove(
        self,
        kind: Kind,
        name: str,
        *,
        who: str,
        etag: str | None = None,
        **options: Unpack[Options],
    ) -> Edited:
        """Remove one document. Raises UnknownDocument, ConfigError when others refer to it."""
        path = f"{kind}.{name}"

        def change(stored: Stored) -> Plan:
            text = text_of(stored.documents, kind, name)
            if etag is not None:
                check_etag(path, text, etag, None)
            return Plan(without(stored.documents, kind, name), f"rm {path}", (kind, name))

        return await self._writer.write(change, who, options)

    async def switch(
        self,
        kind: Kind,
        name: str,
        enabled: bool,
        *,
        who: str,
        etag: str | None = None,
        **options: Unpack[Options],
    ) -> Edited:
        """Set `enabled` of a backend, route or flag; of an experiment the state.

        Raises UnknownDocument.
        """
        path = f"{kind}.{name}"
        what = f"{'enable' if enabled else 'disable'} {path}"

        def change(stored: Stored) -> Plan:
            text = text_of(stored.documents, kind, name)
            new = switched(kind, name, text, enabled=enabled)
            if etag is not None:
                check_etag(path, text, etag, decode_object(new, path))
            return Plan(with_text(stored.documents, kind, name, new), what, (kind, name))

        return await self._writer.write(change, who, options)

    async def edit_experiment(
        self, name: str, edit: Edit, *, who: str, **options: Unpack[Options]
    ) -> Edited:
        """Change one experiment by an edit of `experiment_edits`. Raises UnknownDocument.

        Rule tests hold nothing up: to stop an experiment may be urgent.
        """

        def change(stored: Stored) -> Plan:
            text_of(stored.documents, "experiments", name)
            documents, done = edited(stored.documents, name, edit)
            return Plan(documents, f"{name}: {done}", ("experiments", name))

        options["skip_tests"] = True
        return await self._writer.write(change, who, options)

    async def replace(
        self,
        documents: Documents,
        *,
        who: str,
        what: str = "apply",
        etag: str | None = None,
        **options: Unpack[Options],
    ) -> Edited:
        """Replace all documents; nothing may be wrong with them. ``etag``: of the whole."""

        def change(stored: Stored) -> Plan:
            if etag not in {None, ANY, self._writer.etag(stored)}:
                found = [
                    difference
                    for one in document_changes(stored.documents, documents)
                    for difference in differences(one.before, one.after, f"{one.kind}.{one.name}")
                ]
                message = f"the store is at version {stored.version}, and not as it was read"
                raise StoreConflict(message, changes=found)
            return Plan(documents, what)

        return await self._writer.write(change, who, options)

    async def rollback(self, version: int, *, who: str, **options: Unpack[Options]) -> Edited:
        """Make the documents of a version of the history live again, as a new version.

        Raises UnknownDocument when the history does not have it. A rule test that fails is a
        warning.
        """
        documents = (await self.version(version))[1]
        plan = Plan(documents, f"rollback to {version}")
        options["skip_tests"] = True
        return await self._writer.write(lambda _: plan, who, options)

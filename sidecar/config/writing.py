"""One change of the store: read, checked as a whole, written in one compare-and-set."""

import asyncio
import random
from collections.abc import Callable
from typing import NamedTuple, TypedDict

from sidecar.config.checker import Checker
from sidecar.config.differences import DocumentChange, document_changes
from sidecar.config.document_edits import etag_of, is_in
from sidecar.config.documents import Digester, Documents, Kind
from sidecar.config.experiments import consistent
from sidecar.config.redis_store import RedisStore, Stored
from sidecar.errors import ConfigError, StoreConflict
from sidecar.model import Policy

_ATTEMPTS = 10
_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.08


class Options(TypedDict, total=False):
    """How an edit is made; all are off by default."""

    force: bool
    """Give experiments that must not change their next version: their data restarts."""
    dry_run: bool
    """Check everything, write nothing."""
    skip_tests: bool
    """Write also when a rule test fails."""


class Edited(NamedTuple):
    """What an edit did. ``version``: the one that is live now.

    ``etag``: of the document, or of the whole configuration; ``None`` of what was removed.
    """

    version: int
    etag: str | None
    warnings: tuple[str, ...]
    changes: list[DocumentChange]


class Plan(NamedTuple):
    """What is to be written. ``about``: the one document that the edit is of."""

    documents: Documents
    what: str
    about: tuple[Kind, str] | None = None


Change = Callable[[Stored], Plan]
"""What is there → what is to be written."""


class Writer:
    """Writes to the store what passes all checks."""

    def __init__(self, store: RedisStore, policy: Policy) -> None:
        self.checker = Checker(policy)
        self._store = store
        self._digest = Digester()
        self._writing = asyncio.Lock()

    async def write(self, change: Change, who: str, options: Options) -> Edited:
        """Make one change. Raises what ``change`` raises, and ConfigError and StoreError."""
        # Writers of this process wait for each other; only those of others cost another attempt.
        async with self._writing:
            for attempt in range(_ATTEMPTS):
                try:
                    return await self._attempt(change, who, options)
                except _Raced as error:
                    # Whoever replaces everything has seen what is there: not what came since.
                    if attempt + 1 == _ATTEMPTS or error.plan.about is None:
                        raise StoreConflict("somebody else wrote at the same time") from None
                    longest = min(_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)
                    await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - out of step
            raise AssertionError

    async def _attempt(self, change: Change, who: str, options: Options) -> Edited:
        stored = await self._store.load()
        plan = change(stored)
        documents, warnings = consistent(
            stored.documents, plan.documents, force=options.get("force", False)
        )
        plan = plan._replace(documents=documents)
        warnings += await self._check(stored.documents, plan, options)
        version = stored.version
        if documents != stored.documents and not options.get("dry_run"):
            try:
                version = await self._store.apply(
                    documents, based_on=stored, who=who, what=plan.what
                )
            except StoreConflict:
                raise _Raced(plan) from None
        etag = self._etag_after(plan, version)
        return Edited(version, etag, tuple(warnings), document_changes(stored.documents, documents))

    async def _check(self, before: Documents, plan: Plan, options: Options) -> list[str]:
        """Return what is wrong all the same; raise ConfigError with what this edit may not do."""
        found = await self.checker.findings(plan.documents)
        refused = [*found.faults, *(() if options.get("skip_tests") else found.failed)]
        if refused and plan.about is not None:
            known = await self.checker.findings(before)
            paths = {fault.path for fault in (*known.faults, *known.failed)}
            mine = ".".join(plan.about)
            refused = [one for one in refused if one.path not in paths or is_in(one.path, mine)]
        if refused:
            raise ConfigError(refused)
        left = [f"not live until this is mended: {fault}" for fault in found.faults]
        return left + [f"a rule test fails: {fault}" for fault in found.failed]

    def etag(self, stored: Stored) -> str:
        """Return the ETag of the whole configuration."""
        return f"{stored.version}-{self._digest(stored.documents)}"

    def _etag_after(self, plan: Plan, version: int) -> str | None:
        if plan.about is None:
            return self.etag(Stored(plan.documents, version, None))
        kind, name = plan.about
        text = getattr(plan.documents, kind).get(name)
        return None if text is None else etag_of(text)


class _Raced(Exception):
    """Somebody wrote between reading and writing."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.what)
        self.plan = plan

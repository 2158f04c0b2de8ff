"""Finds out what is wrong with documents before they are written, in a thread of its own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from sidecar.config import rule_tests
from sidecar.config.compile import Memo, compile_snapshot
from sidecar.config.documents import Documents
from sidecar.errors import ConfigError, Fault
from sidecar.model import Policy, Snapshot


class Findings(NamedTuple):
    """What is wrong: faults of documents, and rule tests that fail (only without faults)."""

    faults: tuple[Fault, ...] = ()
    failed: tuple[Fault, ...] = ()


class Checker:
    """Compiles documents and runs their rule tests.

    One thread does it all: many questions at once must not keep the thread pool from compiling
    rules that are to go live.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._memo = Memo()
        self._thread = ThreadPoolExecutor(1, "checker")

    async def findings(self, documents: Documents) -> Findings:
        """Return everything that is wrong with these documents."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._find, documents)

    async def compiled(self, documents: Documents, version: int) -> Snapshot:
        """Compile documents. Raises ConfigError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._compile, documents, version)

    def close(self) -> None:
        """End the thread, after what it is at."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _find(self, documents: Documents) -> Findings:
        if documents.empty:
            return Findings((Fault("configuration", "would be empty: no document of any kind"),))
        try:
            snapshot = self._compile(documents)
            results = [*rule_tests.run(snapshot, documents)]
        except ConfigError as error:
            return Findings(error.faults)
        failed = [Fault(f"tests.{one.name}", one.problem) for one in results if not one.passed]
        return Findings((), tuple(failed))

    def _compile(self, documents: Documents, version: int = 0) -> Snapshot:
        return compile_snapshot(documents, version=version, policy=self._policy, memo=self._memo)

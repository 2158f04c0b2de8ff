"""Everything that can be said about a configuration file before its rules go live."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sidecar.config import files, rule_tests
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.config.rule_tests import Result
from sidecar.errors import ConfigError, Fault
from sidecar.model import Policy


class Report(NamedTuple):
    """What is wrong with a file, and how its tests went; with faults it has no ``documents``."""

    file: Path
    documents: Documents = Documents()
    faults: Sequence[Fault] = ()
    tests: Sequence[Result] = ()

    @property
    def failed(self) -> list[Fault]:
        """Each test that failed, as a fault of its document."""
        return [Fault(f"tests.{one.name}", one.problem) for one in self.tests if not one.passed]

    @property
    def passed(self) -> bool:
        """Whether there is nothing wrong at all."""
        return not self.faults and not self.failed

    def summary(self) -> str:
        """Return what there is, for people: ``3 backends, 1 router, 5 routes, 4 tests passed``."""
        kinds = ("backends", "routers", "routes")
        counts = [_counted(len(getattr(self.documents, kind)), kind) for kind in kinds]
        good = _counted(len(self.tests) - len(self.failed), "tests")
        return ", ".join([*counts, f"{good} passed" if self.tests else "no tests"])

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "file": str(self.file),
            "passed": self.passed,
            "faults": [fault._asdict() for fault in self.faults],
            "tests": [test._asdict() for test in self.tests],
        }


def check_file(path: Path, policy: Policy, *, skip_tests: bool = False) -> Report:
    """Compile the documents of a file and run its tests, both under this policy."""
    try:
        documents = files.load(path)
        snapshot = compile_snapshot(documents, version=0, policy=policy)
        tests = [] if skip_tests else [*rule_tests.run(snapshot, documents, str(path))]
    except ConfigError as error:
        return Report(path, faults=error.faults)
    return Report(path, documents, tests=tests)


def _counted(count: int, what: str) -> str:
    return f"{count} {what.removesuffix('s') if count == 1 else what}"

"""A context made of what a case table says."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from sidecar import facts
from sidecar.model import Context, Entropy, Stats


def _context(case: Mapping[str, Any]) -> Context:
    request = facts.read(
        case.get("path", "/v1/chat/completions"),
        case.get("headers", {}),
        json.dumps(case.get("body", {})).encode(),
    )
    stats = msgspec.convert({"backends": case.get("stats", {})}, Stats)
    return Context(request, stats, Entropy(0), case.get("now", 0.0))


@pytest.fixture(scope="session")
def context_of() -> Callable[[Mapping[str, Any]], Context]:
    """Make a context of `path`, `headers`, `body`, `stats` and `now`, all optional."""
    return _context

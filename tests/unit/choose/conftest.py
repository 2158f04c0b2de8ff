"""What the tests of this room share."""

import pytest

from sidecar.choose.script import sandbox


@pytest.fixture
def patient(monkeypatch):
    """Wait for a script as long as it takes: on a busy machine a thread may start late."""
    monkeypatch.setattr(sandbox, "DEADLINE_SECONDS", 30.0)

import pytest

from sidecar.telemetry.metrics import Metrics
from tests.unit.telemetry.snapshots import usual


@pytest.fixture
def metrics():
    made = Metrics("1.2.3")
    made.use(usual())
    return made

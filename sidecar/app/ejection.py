"""Who is out, in the log and in the metrics."""

import structlog

from sidecar.config.redis_client import connect
from sidecar.settings import Settings
from sidecar.telemetry.ejection import Change
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.shared_ejection import SharedEjections

_log = structlog.get_logger()


def open_ejections(settings: Settings, metrics: Metrics) -> SharedEjections:
    """Return this node's part of what all nodes know about failing backends."""

    def tell(change: Change) -> None:
        if change.what == "back":
            _log.info("backend_back", backend=change.backend)
            return
        _log.warning("backend_out", backend=change.backend, reason=change.reason, why=change.said)
        metrics.ejection(change.backend, change.reason)

    return SharedEjections(connect(settings.store_url(), settings.prefix), settings.prefix, tell)

"""What control tells about traffic: figures of the last hour, and past decisions."""

from fastapi import APIRouter

from sidecar.admin.decisions import Kept, decisions_router
from sidecar.admin.explain import Ask
from sidecar.admin.stats import StatsSources, stats_router
from sidecar.config.redis_client import connect
from sidecar.settings import Settings


def traffic_routers(settings: Settings, sources: StatsSources, ask: Ask) -> tuple[APIRouter, ...]:
    """Return the endpoints. ``ask``: the workers, for explanations of what they decided."""
    kept = Kept(settings.decision_log, settings.decision_log_hours)
    # A client of its own: whoever looks through the log must not hold up what is written.
    redis = connect(settings.store_url(), settings.prefix)
    trusted = settings.trusts_admin
    decisions = decisions_router(redis, settings.prefix, kept, ask, trusted=trusted)
    return stats_router(sources), decisions

"""The bootstrap of this node's Envoy, from the settings."""

import os
from pathlib import Path

import msgspec

from sidecar.app.sampling import sampling
from sidecar.settings import Settings
from sidecar.xds.bootstrap import bootstrap
from sidecar.xds.resources import EnvoySettings, system_ca_file

BOOTSTRAP = "envoy.json"


def envoy_settings(settings: Settings) -> EnvoySettings:
    """Return what the builders of Envoy's resources need to know."""
    return EnvoySettings(
        listen_host=settings.listen.host,
        listen_port=settings.listen.port,
        admin_host=settings.envoy_admin.host,
        admin_port=settings.envoy_admin.port,
        run_dir=str(settings.run_folder()),
        workers=settings.workers,
        max_body_bytes=settings.max_body_bytes,
        node=settings.node,
        ca_file=str(settings.ca_file or system_ca_file()),
        explain=bool(settings.explain_from),
        trace=sampling(os.environ) is not None,
    )


def bootstrap_text(settings: Settings) -> bytes:
    """Return the bootstrap as JSON."""
    return msgspec.json.format(msgspec.json.encode(bootstrap(envoy_settings(settings))), indent=2)


def write_bootstrap(settings: Settings) -> Path:
    """Write the bootstrap into the run directory and return its path."""
    path = settings.run_folder() / BOOTSTRAP
    path.write_bytes(bootstrap_text(settings))
    return path

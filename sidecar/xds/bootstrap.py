"""What Envoy starts with: the listeners, the way to the sidecar, and where resources are."""

from typing import Any

from sidecar.xds.front import front_listener
from sidecar.xds.limits import limits_listener
from sidecar.xds.resources import (
    ACCESS_LOG,
    CLUSTERS_FILE,
    EXT_PROC,
    FEEDBACK,
    FEEDBACK_SOCKET,
    RESOURCES_FOLDER,
    EnvoySettings,
    extension,
    file_source,
    http_options,
    raised_breakers,
    socket_address,
)


def bootstrap(settings: EnvoySettings) -> dict[str, Any]:
    """Return Envoy's bootstrap; it holds no rule and no backend, so no edit changes it.

    The resource files must exist when Envoy starts: it does not watch a file that it never saw.
    """
    internal_listeners = extension(
        "envoy.bootstrap.internal_listener",
        "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
    )
    cds = file_source(settings.run_dir, RESOURCES_FOLDER, CLUSTERS_FILE)
    return {
        "node": {"id": settings.node, "cluster": "pointsman"},
        "admin": {"address": socket_address(settings.admin_host, settings.admin_port)},
        "dynamic_resources": {"cds_config": cds},
        "bootstrap_extensions": [internal_listeners],
        "static_resources": {
            "listeners": [front_listener(settings), limits_listener(settings)],
            "clusters": [_workers(settings), _control(settings), _feedback(settings)],
        },
    }


def _workers(settings: EnvoySettings) -> dict[str, Any]:
    """Return the cluster of the workers; one that hangs gets nothing, and none means fail open."""
    sockets = [f"{settings.run_dir}/worker-{n}.sock" for n in range(settings.workers)]
    health_check = {
        "timeout": "0.25s",
        "interval": "1s",
        "no_traffic_interval": "0.1s",
        "no_traffic_healthy_interval": "1s",
        "unhealthy_interval": "0.1s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }
    return _sidecar_cluster(EXT_PROC, sockets) | {
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "health_checks": [health_check],
    }


def _control(settings: EnvoySettings) -> dict[str, Any]:
    return _sidecar_cluster(ACCESS_LOG, [f"{settings.run_dir}/control.sock"])


def _feedback(settings: EnvoySettings) -> dict[str, Any]:
    socket = f"{settings.run_dir}/{FEEDBACK_SOCKET}"
    return _sidecar_cluster(FEEDBACK, [socket]) | {
        "typed_extension_protocol_options": http_options(
            # Shorter than the server keeps idle connections: see `backend_cluster`.
            common_http_protocol_options={"idle_timeout": "4s"},
            explicit_http_config={"http_protocol_options": {}},
        )
    }


def _sidecar_cluster(name: str, sockets: list[str]) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": {"pipe": {"path": path}}}} for path in sockets]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "0.25s",
        "circuit_breakers": raised_breakers(),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": http_options(
            explicit_http_config={"http2_protocol_options": {}}
        ),
    }

"""A time limit of its own for one attempt.

Envoy has one limit per request for the time to the first byte. A backend with a shorter one gets
a second cluster, which leads back into this Envoy: over an internal listener to the backend's
own cluster, with its own limit and no retries. What hangs there is a 504 to the outer attempt.
"""

from typing import Any

from sidecar.model import LIMITED, Backend
from sidecar.xds.attempt import relay_filters
from sidecar.xds.local_reply import local_reply
from sidecar.xds.resources import (
    LIMITS,
    EnvoySettings,
    extension,
    header_mutation,
    http_options,
    overwrite,
    raised_breakers,
    typed,
)


def limits_listener(settings: EnvoySettings) -> dict[str, Any]:
    """Return the internal listener; the header names the cluster, another one the limit.

    The limit travels under a name of ours, because Envoy removes its own on arrival.
    """
    limit = overwrite("x-envoy-upstream-rq-per-try-timeout-ms", "%REQ(x-pointsman-limit-ms)%")
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="limits",
        skip_xff_append=True,
        generate_request_id=False,
        stream_idle_timeout="0s",
        server_header_transformation="PASS_THROUGH",
        local_reply_config=local_reply(settings.max_body_bytes),
        route_config=_to_named_cluster(),
        http_filters=[
            header_mutation([limit]),
            extension(
                "envoy.filters.http.router",
                "envoy.extensions.filters.http.router.v3.Router",
                suppress_envoy_headers=True,
            ),
        ],
    )
    return {
        "name": LIMITS,
        "internal_listener": {},
        "filter_chains": [{"filters": [manager]}],
    }


def limited_cluster(backend: Backend, settings: EnvoySettings) -> dict[str, Any]:
    """Return the second cluster of ``backend``."""
    name = backend.name + LIMITED
    address = {"envoy_internal_address": {"server_listener_name": LIMITS, "endpoint_id": name}}
    return typed(
        "envoy.config.cluster.v3.Cluster",
        name=name,
        type="STATIC",
        connect_timeout="1s",
        circuit_breakers=raised_breakers(),
        load_assignment={
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        transport_socket=extension(
            "envoy.transport_sockets.internal_upstream",
            "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
            transport_socket=extension(
                "envoy.transport_sockets.raw_buffer",
                "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
            ),
        ),
        typed_extension_protocol_options=http_options(
            explicit_http_config={"http_protocol_options": {}},
            http_filters=relay_filters(backend, settings),
        ),
    )


def _to_named_cluster() -> dict[str, Any]:
    action = {
        "cluster_header": "x-pointsman-cluster",
        "timeout": "0s",
        "auto_host_rewrite": True,
    }
    route = {"name": "limited", "match": {"prefix": "/"}, "route": action}
    host = {"name": LIMITS, "domains": ["*"], "routes": [route]}
    return {"name": LIMITS, "virtual_hosts": [host]}

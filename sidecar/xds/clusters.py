"""One cluster per enabled backend, and a second one where its time limit is shorter."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sidecar.model import Backend, Ejection, Endpoint, Health, Snapshot
from sidecar.xds.attempt import attempt_filters
from sidecar.xds.limits import limited_cluster
from sidecar.xds.resources import (
    UNREACHABLE,
    EnvoySettings,
    extension,
    http_options,
    raised_breakers,
    seconds,
    socket_address,
    typed,
)

CONNECT_SECONDS = 3.0


def usable(snapshot: Snapshot) -> list[Backend]:
    """Return the backends that have clusters."""
    return [each for each in snapshot.backends.values() if each.enabled and each.endpoints]


def clusters(
    snapshot: Snapshot, settings: EnvoySettings, secret_headers: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """Return all clusters of a snapshot.

    ``secret_headers``: further names under which a backend has got its credential of late.
    """
    backends = usable(snapshot)
    longest = max((each.timeout_seconds for each in backends), default=0.0)
    secret = credential_headers(backends).union(secret_headers)
    own = [backend_cluster(each, settings, secret) for each in backends]
    hasty = [each for each in backends if each.timeout_seconds < longest]
    return own + [limited_cluster(each, settings) for each in hasty]


def credential_headers(backends: Iterable[Backend]) -> frozenset[str]:
    """Return the names, lower case, under which these backends get their credentials."""
    return frozenset(each.credential_header.lower() for each in backends if each.credential)


def backend_cluster(
    backend: Backend, settings: EnvoySettings, secret_headers: Iterable[str]
) -> dict[str, Any]:
    """Return the cluster that talks to ``backend``; its first endpoint says http or https."""
    urls = [urlsplit(endpoint.url) for endpoint in backend.endpoints]
    tls = urls[0].scheme == "https"
    cluster = typed(
        "envoy.config.cluster.v3.Cluster",
        name=backend.name,
        alt_stat_name=stat_name(backend.name),
        type="STATIC" if all(map(_has_address, urls)) else "STRICT_DNS",
        dns_lookup_family="V4_PREFERRED",
        connect_timeout=seconds(min(CONNECT_SECONDS, backend.timeout_seconds)),
        lb_policy="LEAST_REQUEST",
        load_assignment=_endpoints(backend, urls),
        outlier_detection=_ejection(len(urls), backend.ejection),
        circuit_breakers=raised_breakers(),
        typed_extension_protocol_options=http_options(
            # Shorter than what servers keep idle connections for (uvicorn: 5 s), so that no
            # request meets a connection which is just being closed.
            common_http_protocol_options={"idle_timeout": "50s" if tls else "4s"},
            http_filters=attempt_filters(backend, settings, secret_headers),
            **_protocol(tls=tls),
        ),
    )
    if tls:
        cluster["transport_socket"] = _tls(settings.ca_file)
    if backend.health is not None:
        cluster["health_checks"] = [_health_check(backend.health, urls[0], tls=tls)]
    return cluster


def stat_name(cluster: str) -> str:
    """Return what Envoy calls a cluster in its statistics, where a dot or colon ends a name."""
    return cluster.replace(".", "_").replace(":", "_")


def _has_address(url: SplitResult) -> bool:
    try:
        ipaddress.ip_address(url.hostname or "")
    except ValueError:
        return False
    return True


def _endpoints(backend: Backend, urls: Sequence[SplitResult]) -> dict[str, Any]:
    """Return the endpoints by zone, and one of lower priority that refuses.

    Without it "no healthy host" is a 503 that ends the plan. With it, the attempt is refused and
    the next one is made. The factor keeps all traffic on the real hosts while one is healthy.
    """
    zones: dict[str | None, list[dict[str, Any]]] = {}
    for endpoint, url in zip(backend.endpoints, urls, strict=True):
        zones.setdefault(endpoint.zone, []).append(_host(endpoint, url))
    localities = [
        {"lb_endpoints": hosts} | ({"locality": {"zone": zone}} if zone else {})
        for zone, hosts in zones.items()
    ]
    refused = {
        "address": socket_address(*UNREACHABLE),
        "health_check_config": {"disable_active_health_check": True},
    }
    return {
        "cluster_name": backend.name,
        "endpoints": [*localities, {"priority": 1, "lb_endpoints": [{"endpoint": refused}]}],
        "policy": {"overprovisioning_factor": 100_000},
    }


def _host(endpoint: Endpoint, url: SplitResult) -> dict[str, Any]:
    host = url.hostname or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    return {
        "load_balancing_weight": max(1, endpoint.weight),
        "endpoint": {"hostname": _authority(url), "address": socket_address(host, port)},
    }


def _authority(url: SplitResult) -> str:
    """Return what goes into ``host``; a name without its port, so that it serves as SNI too."""
    default = url.port in {None, 443 if url.scheme == "https" else 80}
    host = url.hostname or ""
    return host if default or url.scheme == "https" else url.netloc.rpartition("@")[2]


def _ejection(hosts: int, rules: Ejection | None) -> dict[str, Any]:
    """Return outlier detection that can eject all real hosts, but never the refusing one too.

    When both are out, Envoy panics and sends traffic to hosts that it knows to be broken. Nobody
    is out for longer than all nodes agree to: else who is tried again would fail without a chance.
    """
    rules = rules or Ejection()
    return {
        "consecutive_5xx": 5,
        "interval": "1s",
        "base_ejection_time": seconds(min(10.0, rules.base_seconds)),
        "max_ejection_time": seconds(min(60.0, rules.max_seconds)),
        "max_ejection_percent": 100 * hosts // (hosts + 1),
        "enforcing_success_rate": 0,
        # A server whose /health answers can still fail every request.
        "successful_active_health_check_uneject_host": False,
    }


def _protocol(*, tls: bool) -> Mapping[str, Any]:
    if tls:
        return {"auto_config": {}}
    return {"explicit_http_config": {"http_protocol_options": {}}}


def _tls(ca_file: str) -> dict[str, Any]:
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        auto_host_sni=True,
        auto_sni_san_validation=True,
        common_tls_context={"validation_context": {"trusted_ca": {"filename": ca_file}}},
    )


def _health_check(health: Health, url: SplitResult, *, tls: bool) -> dict[str, Any]:
    every = seconds(health.interval_seconds)
    return {
        "timeout": seconds(min(health.interval_seconds, 5.0)),
        "interval": every,
        "no_traffic_interval": every,
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "http_health_check": {
            "host": _authority(url),
            "path": health.path,
            "use_alpn_protocol": tls,
        },
    }

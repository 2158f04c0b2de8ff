"""Request bodies that come compressed."""

from typing import Any

from sidecar.xds.resources import extension, typed

FILTER = "envoy.filters.http.decompressor"


def gunzip() -> dict[str, Any]:
    """Return the filter that unpacks ``content-encoding: gzip`` requests, never responses.

    Above a hundred-fold growth it stops, and what is left is no JSON any more; below that, the
    body limit holds. Both end bombs.
    """
    return extension(
        FILTER,
        "envoy.extensions.filters.http.decompressor.v3.Decompressor",
        decompressor_library=extension(
            "gzip",
            "envoy.extensions.compression.gzip.decompressor.v3.Gzip",
            max_inflate_ratio=100,
        ),
        request_direction_config={
            "common_config": {"enabled": _flag(enabled=True)},
            "advertise_accept_encoding": False,
        },
        response_direction_config={"common_config": {"enabled": _flag(enabled=False)}},
    )


def no_gunzip() -> dict[str, Any]:
    """Return the per-route config that leaves request bodies as they are."""
    return {FILTER: typed("envoy.config.route.v3.FilterConfig", disabled=True, config={})}


def _flag(*, enabled: bool) -> dict[str, Any]:
    return {"default_value": enabled, "runtime_key": f"pointsman.gunzip.{enabled}".lower()}

"""The filters of a backend's cluster: they run once per attempt, after the choice of host.

What they do to the request's headers is still there in the next attempt, in another cluster. So
each cluster removes every header that another one could have put a credential into, and Lua puts
the path back.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sidecar.model import CONTROL_FIELDS, Backend
from sidecar.xds.resources import (
    RESOURCES_FOLDER,
    SECRETS_FOLDER,
    EnvoySettings,
    extension,
    file_source,
    header_mutation,
    literal,
    overwrite,
    remove_prefix,
)

CREDENTIAL_HEADERS = frozenset(
    ("authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key")
)
"""Headers in which clients send keys; theirs are for us, not for an upstream."""

_INTERNAL_HEADERS = (
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-max-retries",
    "x-envoy-original-host",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-forwarded-proto",
    "x-pointsman-limit-ms",
    "x-pointsman-variant",
)

_FIELDS = ", ".join(f"{field} = true" for field in CONTROL_FIELDS)

SCRIPT = f"local CONTROL_FIELDS = {{{_FIELDS}}}\n" + (
    Path(__file__).parent / "lua" / "attempt.lua"
).read_text(encoding="utf-8")
SCRIPT_FILE = f"attempt-{hashlib.sha256(SCRIPT.encode()).hexdigest()[:12]}.lua"
"""Beside the resources. Inline it would be two thirds of each cluster, for Envoy to parse anew
at every edit; its name changes with its text, as Envoy reads it once."""


def attempt_filters(
    backend: Backend, settings: EnvoySettings, secret_headers: Iterable[str]
) -> list[dict[str, Any]]:
    """Return the filters of the cluster that talks to ``backend``.

    ``secret_headers``: names (lower case) under which any backend gets its credential.
    """
    foreign = sorted(CREDENTIAL_HEADERS.union(secret_headers, _INTERNAL_HEADERS))
    filters = [
        header_mutation(
            [
                *({"remove": name} for name in foreign),
                *_orders(backend, _scheme(backend), path_prefix(backend)),
            ],
            [
                remove_prefix("x-pointsman-"),
                overwrite("x-pointsman-backend", literal(backend.name)),
                overwrite("x-model-name", literal(backend.model)),
                overwrite("x-provider-name", literal(backend.provider)),
            ],
        ),
        _lua(settings.run_dir),
    ]
    if backend.credential:
        filters.append(_credential(backend, settings.run_dir))
    return [*filters, _codec()]


def relay_filters(backend: Backend, settings: EnvoySettings) -> list[dict[str, Any]]:
    """Return the filters of the cluster that leads to ``backend`` through the limits listener.

    Decisions stay on this side of it, so the body is patched here; the path's prefix and the
    credential are the backend's own cluster's business.
    """
    limit = str(max(1, round(backend.timeout_seconds * 1000)))
    orders = [*_orders(backend, "http", ""), overwrite("x-pointsman-limit-ms", limit)]
    return [header_mutation(orders), _lua(settings.run_dir), _codec()]


def path_prefix(backend: Backend) -> str:
    """Return what replaces the leading ``/v1`` of a request's path, or nothing."""
    return urlsplit(backend.endpoints[0].url).path.rstrip("/")


def secret_file(name: str) -> str:
    """Return the file name of a backend's credential; a backend's name may have a slash."""
    return f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def _scheme(backend: Backend) -> str:
    return urlsplit(backend.endpoints[0].url).scheme


def _orders(backend: Backend, scheme: str, prefix: str) -> list[dict[str, Any]]:
    """Return what Lua is told: headers, so that its text is the same in all clusters."""
    model = msgspec.json.encode(backend.model).decode()
    return [
        overwrite("x-pointsman-cluster", literal(backend.name)),
        overwrite("x-pointsman-target", literal(f"{scheme} {prefix or '/'}")),
        overwrite("x-pointsman-model", literal(model)),
    ]


def _lua(run_dir: str) -> dict[str, Any]:
    """Return the script; sharing one state per thread saves 90 KiB per cluster and thread."""
    return extension(
        "envoy.filters.http.lua",
        "envoy.extensions.filters.http.lua.v3.Lua",
        shared_vm_id="pointsman",
        default_source_code={"filename": f"{run_dir}/{RESOURCES_FOLDER}/{SCRIPT_FILE}"},
    )


def _credential(backend: Backend, run_dir: str) -> dict[str, Any]:
    """Return the filter that adds the credential; without one, the upstream's own 401 comes."""
    header = backend.credential_header.lower()
    source = file_source(run_dir, SECRETS_FOLDER, secret_file(backend.name))
    return extension(
        "envoy.filters.http.credential_injector",
        "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
        overwrite=True,
        allow_request_without_credential=True,
        credential=extension(
            "envoy.http.injected_credentials.generic",
            "envoy.extensions.http.injected_credentials.generic.v3.Generic",
            credential={"name": backend.name, "sds_config": source},
            header=header,
            header_value_prefix="Bearer " if header == "authorization" else "",
        ),
    )


def _codec() -> dict[str, Any]:
    return extension(
        "envoy.filters.http.upstream_codec",
        "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
    )

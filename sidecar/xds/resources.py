"""The atoms of Envoy's JSON, the names that are ours, and what the builders are told."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

# Backend names cannot have a tilde, so none of these names can meet a backend's.
EXT_PROC = "pointsman~ext_proc"
"""Cluster of the workers, and name of the filter that asks them."""

ACCESS_LOG = "pointsman~log"
"""Cluster of the control process."""

FEEDBACK = "pointsman~feedback"
"""Cluster of the control process's application for clients."""

LIMITS = "pointsman~limits"
"""Internal listener that gives one attempt a time limit of its own."""

ROUTES = "pointsman"
"""Name of the route configuration."""

DECIDED = "decided"
UNDECIDED = "undecided"
"""Route names; Lua reads them and the access log carries them."""

UNREACHABLE = ("127.0.0.1", 9)
"""An address that refuses at once (port 9, discard)."""

RESOURCES_FOLDER = "resources"
SECRETS_FOLDER = "secrets"
"""Below the run directory. Envoy wakes for every write in a folder that it watches, its own log
included, so nothing else is written there."""

FEEDBACK_ROUTE = "feedback"
FEEDBACK_PATH = "/v1/feedback"
FEEDBACK_SOCKET = "feedback.sock"
CLIENT_HEADER = "x-pointsman-client"
"""Tells that application a client's address."""

CLUSTERS_FILE = "clusters.json"
ROUTES_FILE = "routes.json"
FILTERS_FILE = "filters.json"

_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)


def system_ca_file() -> str:
    """Return the file of certificate authorities that this machine trusts."""
    return next((path for path in _CA_FILES if Path(path).is_file()), _CA_FILES[0])


class EnvoySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an Envoy is told about this machine. ``run_dir``: absolute, no trailing slash."""

    listen_host: str = "127.0.0.1"
    listen_port: int = 10000
    admin_host: str = "127.0.0.1"
    admin_port: int = 9901
    run_dir: str
    workers: int = 1
    max_body_bytes: int = 32 * 1024 * 1024
    node: str = "pointsman"
    ca_file: str = msgspec.field(default_factory=system_ca_file)
    explain: bool = False
    """Whether clients may ask by a header why their request goes where it goes."""
    trace: bool = False
    """Whether requests are traced. The bootstrap does not depend on it."""


def typed(message: str, **fields: Any) -> dict[str, Any]:
    """Return the ``Any`` of a message, as JSON has it."""
    return {"@type": f"type.googleapis.com/{message}", **fields}


def extension(name: str, message: str, **fields: Any) -> dict[str, Any]:
    """Return a named extension (filter, access log, transport socket …) with its config."""
    return {"name": name, "typed_config": typed(message, **fields)}


def seconds(value: float) -> str:
    """Return a protobuf duration of at least a millisecond; it takes nine decimals at most."""
    return f"{max(value, 0.001):.9f}".rstrip("0").rstrip(".") + "s"


def file_source(*path: str) -> dict[str, Any]:
    """Return a config source: Envoy reads the file again each time a rename replaces it."""
    return {"path_config_source": {"path": "/".join(path)}, "resource_api_version": "V3"}


def socket_address(host: str, port: int) -> dict[str, Any]:
    """Return the address of a TCP socket."""
    return {"socket_address": {"address": host, "port_value": port}}


def header_mutation(
    request: Sequence[Mapping[str, Any]],
    response: Sequence[Mapping[str, Any]] = (),
    request_trailers: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the filter that makes these header mutations, in order."""
    return extension(
        "envoy.filters.http.header_mutation",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        mutations={
            "request_mutations": request,
            "response_mutations": response,
            "request_trailers_mutations": request_trailers,
        },
    )


def overwrite(header: str, value: str) -> dict[str, Any]:
    """Return a header mutation; ``value`` is a format, empty (absent metadata) leaves it alone."""
    return {
        "append": {
            "header": {"key": header, "value": value},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    }


def remove_prefix(prefix: str) -> dict[str, Any]:
    """Return the mutation that removes each header whose name starts with ``prefix``."""
    return {"remove_on_match": {"key_matcher": {"prefix": prefix}}}


def literal(text: str) -> str:
    """Return the format that prints ``text``; Envoy refuses control characters in headers."""
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable.replace("%", "%%")


def http_options(**fields: Any) -> dict[str, Any]:
    """Return a cluster's ``typed_extension_protocol_options`` with these HTTP options."""
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {name: typed(name, **fields)}


def raised_breakers() -> dict[str, Any]:
    """Return circuit breakers that never trip: Envoy's defaults cut off at 1,024 requests."""
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"thresholds": [dict.fromkeys(names, 1_000_000)]}


def encode(resources: Iterable[Mapping[str, Any]], version: str) -> bytes:
    """Return the text of a resource file: one DiscoveryResponse."""
    return msgspec.json.encode({"version_info": version, "resources": list(resources)})


def digest(resources: Sequence[Mapping[str, Any]]) -> str:
    """Return a version for resources: the same ones are always the same bytes."""
    return hashlib.sha256(msgspec.json.encode(resources)).hexdigest()[:16]

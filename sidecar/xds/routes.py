"""Which path is decided, and what happens to a request that nobody decided."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from sidecar.errors import InvalidJson, NoCandidate, RequestError
from sidecar.model import LIMITED, OPERATIONS, Backend, Snapshot
from sidecar.xds.clusters import usable
from sidecar.xds.decompress import no_gunzip
from sidecar.xds.local_reply import error_body
from sidecar.xds.resources import (
    CLIENT_HEADER,
    DECIDED,
    EXT_PROC,
    FEEDBACK,
    FEEDBACK_PATH,
    FEEDBACK_ROUTE,
    ROUTES,
    UNDECIDED,
    EnvoySettings,
    extension,
    seconds,
    typed,
)

DEFAULT_CHAIN_LENGTH = 3

PASSING_STATUS_CODES = [408, 425, 429]
"""Statuses of 4xx that say nothing about the request: another backend may answer it."""

RETRIABLE_STATUS_CODES = [401, 403, 404, *PASSING_STATUS_CODES]
"""Of a decided request, credential and model name are ours as well, so these are our faults."""

_LLM_PROTOCOLS = {"responses": "OPENAI_RESPONSES", "messages": "ANTHROPIC_MESSAGES"}
_POST = {"name": ":method", "string_match": {"exact": "POST"}}
_GET = {"name": ":method", "string_match": {"exact": "GET"}}


def default_chain(snapshot: Snapshot, missing: Collection[str] = ()) -> list[Backend]:
    """Return the backends of a request that nobody decided: by priority, then name."""
    ready = (each for each in usable(snapshot) if each.name not in missing)
    ordered = sorted(ready, key=lambda each: (each.priority, each.name))
    return ordered[:DEFAULT_CHAIN_LENGTH]


def routes(
    snapshot: Snapshot, settings: EnvoySettings, missing: Collection[str] = ()
) -> dict[str, Any]:
    """Return the route configuration.

    ``missing``: clusters that Envoy does not have yet; an unknown one would end the chain.
    """
    models = _models_body(snapshot)
    listed = _answered("models", {"path": "/v1/models", "headers": [_GET]}, 200, models)
    forwarded = _forwarded_routes(default_chain(snapshot, missing), missing)
    own = [listed, _feedback(), *_refused_routes()]
    return _configuration(settings, [*own, *forwarded]) | {
        "max_direct_response_body_size_bytes": max(4096, len(models.encode()))
    }


def first_routes(settings: EnvoySettings) -> dict[str, Any]:
    """Return the route configuration of an Envoy that starts before there are rules."""
    return _configuration(settings, _forwarded_routes([]))


def _configuration(settings: EnvoySettings, entries: list[dict[str, Any]]) -> dict[str, Any]:
    host = {
        "name": ROUTES,
        "domains": ["*"],
        "include_request_attempt_count": True,
        # Room for what the splices add to a body of the largest size.
        "request_body_buffer_limit": settings.max_body_bytes + 1024 * 1024,
        "routes": entries,
    }
    return typed("envoy.config.route.v3.RouteConfiguration", name=ROUTES, virtual_hosts=[host])


def _models_body(snapshot: Snapshot) -> str:
    """Return OpenAI's list of models: backends that are enabled, and stored routers."""
    owners = {each.name: each.provider for each in usable(snapshot)}
    owners |= {f"router/{name}": "pointsman" for name in snapshot.routers}
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": owner}
        for name, owner in sorted(owners.items())
    ]
    return msgspec.json.encode({"object": "list", "data": data}).decode()


def _refused_routes() -> list[dict[str, Any]]:
    """Return routes for what no worker is asked about: no body at all, or one packed otherwise."""
    no_body = {"name": "content-length", "string_match": {"exact": "0"}}
    packed = {"name": "content-encoding", "present_match": True}
    unknown = {
        "name": "content-encoding",
        "string_match": {"safe_regex": {"regex": "(?i)gzip|identity"}},
        "invert_match": True,
    }
    empty = InvalidJson("The request has no body; a JSON object is needed.")
    unread = InvalidJson("Of all content encodings, only gzip is understood.")
    return [
        *(_refusal(path, [no_body], 400, empty) for path in OPERATIONS),
        *(_refusal(path, [packed, unknown], 415, unread) for path in OPERATIONS),
    ]


def _refusal(
    path: str, headers: list[dict[str, Any]], status: int, error: RequestError
) -> dict[str, Any]:
    match = {"path": path, "headers": [_POST, *headers]}
    return _answered("refused", match, status, error_body(error))


def _forwarded_routes(
    chain: Sequence[Backend], missing: Collection[str] = ()
) -> list[dict[str, Any]]:
    if not chain:
        error = NoCandidate("There is no backend that could answer.")
        return [_answered("refused", {"prefix": "/"}, error.status, error_body(error))]
    longest = max(each.timeout_seconds for each in chain)
    names = [_cluster_name(each, longest, missing) for each in chain]
    decided = _action(names, longest, RETRIABLE_STATUS_CODES)
    undecided = _action(names, longest, PASSING_STATUS_CODES)
    return [*(_decided(*each, decided) for each in OPERATIONS.items()), _undecided(undecided)]


def _decided(path: str, operation: str, action: dict[str, Any]) -> dict[str, Any]:
    route: dict[str, Any] = {
        "name": DECIDED,
        "match": {"path": path, "headers": [_POST]},
        "route": action,
        # Token usage is read from responses that are not compressed.
        "request_headers_to_remove": ["accept-encoding"],
    }
    if operation in _LLM_PROTOCOLS:
        usage = typed(
            "envoy.extensions.filters.http.ai_protocol_manager.v3.AiProtocolManagerPerRoute",
            response={"llm_protocol": _LLM_PROTOCOLS[operation]},
        )
        route["typed_per_filter_config"] = {"envoy.filters.http.ai_protocol_manager": usage}
    return route


def _undecided(action: dict[str, Any]) -> dict[str, Any]:
    """Return the route for everything else: not asked about, not held back, not unpacked."""
    return {
        "name": UNDECIDED,
        "match": {"prefix": "/"},
        "route": action,
        "typed_per_filter_config": _untouched(),
    }


def _feedback() -> dict[str, Any]:
    """Return the route to what clients may say about answers, and to nothing else of control's."""
    address = {"key": CLIENT_HEADER, "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}
    return {
        "name": FEEDBACK_ROUTE,
        "match": {"path": FEEDBACK_PATH, "headers": [_POST]},
        "route": {"cluster": FEEDBACK, "timeout": "15s"},
        "request_headers_to_add": [
            {"header": address, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ],
        "typed_per_filter_config": _untouched(),
    }


def _untouched() -> dict[str, Any]:
    no_decision = typed("envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute", disabled=True)
    no_buffer = typed("envoy.extensions.filters.http.buffer.v3.BufferPerRoute", disabled=True)
    return {EXT_PROC: no_decision, "envoy.filters.http.buffer": no_buffer, **no_gunzip()}


def _action(chain: Sequence[str], longest: float, retriable: Sequence[int]) -> dict[str, Any]:
    """Return the action that walks the decision's plan, and without a decision ``chain``."""
    plan = extension(
        "envoy.router.cluster_specifier_plugin.priority_group",
        "envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier",
        override_metadata_namespace="pointsman.route",
        priority_groups=[
            {"name": str(place), "clusters": [{"cluster_name": cluster, "weight": 1}]}
            for place, cluster in enumerate(chain)
        ],
    )
    return {
        "timeout": "0s",
        "auto_host_rewrite": True,
        "inline_cluster_specifier_plugin": {"extension": plan},
        "retry_policy": {
            "retry_on": "5xx,reset,connect-failure,retriable-status-codes",
            "retriable_status_codes": retriable,
            "num_retries": len(chain) - 1,
            "per_try_timeout": seconds(longest),
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"},
            "refresh_cluster_on_retry": True,
        },
    }


def _cluster_name(backend: Backend, longest: float, missing: Collection[str]) -> str:
    """Return the cluster with the backend's own limit, unless Envoy does not have it yet."""
    limited = backend.name + LIMITED
    return backend.name if backend.timeout_seconds >= longest or limited in missing else limited


def _answered(name: str, match: dict[str, Any], status: int, body: str) -> dict[str, Any]:
    """Return a route that Envoy answers itself, with JSON."""
    content_type = {"key": "content-type", "value": "application/json"}
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": [
            {"header": content_type, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ],
    }

"""The listener for clients: what happens to a request around the router."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sidecar.model import BASE_HEADERS
from sidecar.xds.access_log import failed_attempts_log, requests_log
from sidecar.xds.decompress import gunzip
from sidecar.xds.ext_proc import (
    EXPLAIN_HEADER,
    EXPLAIN_NAMESPACE,
    TRACE_NAMESPACE,
    TRACEPARENT,
    external_processor,
)
from sidecar.xds.ext_proc import MESSAGE as EXT_PROC_MESSAGE
from sidecar.xds.local_reply import local_reply
from sidecar.xds.resources import (
    EXT_PROC,
    FILTERS_FILE,
    RESOURCES_FOLDER,
    ROUTES,
    ROUTES_FILE,
    EnvoySettings,
    extension,
    file_source,
    header_mutation,
    overwrite,
    remove_prefix,
    socket_address,
)

PREFIX = "x-pointsman-"
SPARED = "variant"
"""The one `x-pointsman-…` header that a client may send."""

READ_BUFFER = 1024 * 1024
"""Bytes that a connection may hold unread; the limit for whole bodies is the route's."""


def front_listener(settings: EnvoySettings) -> dict[str, Any]:
    """Return the listener that clients talk to, HTTP/1.1 or HTTP/2 in clear text."""
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **_manager(settings),
    )
    return {
        "name": "front",
        "address": socket_address(settings.listen_host, settings.listen_port),
        "per_connection_buffer_limit_bytes": READ_BUFFER,
        "filter_chains": [{"filters": [manager]}],
    }


def _manager(settings: EnvoySettings) -> dict[str, Any]:
    return {
        "stat_prefix": "front",
        "use_remote_address": True,
        "skip_xff_append": True,
        "generate_request_id": False,
        # A path that a model would take for a decided one must be one here as well.
        "normalize_path": True,
        "merge_slashes": True,
        "stream_idle_timeout": "600s",
        "request_headers_timeout": "30s",
        "early_header_mutation_extensions": [_strip_own_headers(settings)],
        "access_log": [requests_log()],
        "local_reply_config": local_reply(settings.max_body_bytes),
        "rds": {
            "route_config_name": ROUTES,
            "config_source": file_source(settings.run_dir, RESOURCES_FOLDER, ROUTES_FILE),
        },
        "http_filters": _http_filters(settings),
    }


def _http_filters(settings: EnvoySettings) -> list[dict[str, Any]]:
    """Return the chain; ``buffer`` keeps the headers from the router until the answer is in."""
    return [
        gunzip(),
        _decide(settings),
        extension(
            "envoy.filters.http.buffer",
            "envoy.extensions.filters.http.buffer.v3.Buffer",
            max_request_bytes=settings.max_body_bytes,
        ),
        _decision_headers(settings),
        _hide_usage(),
        _token_usage(),
        extension(
            "envoy.filters.http.router",
            "envoy.extensions.filters.http.router.v3.Router",
            suppress_envoy_headers=True,
            upstream_log=[failed_attempts_log()],
        ),
    ]


def _decide(settings: EnvoySettings) -> dict[str, Any]:
    """Return the ext_proc filter; without a default, requests get 500 while its file is missing."""
    return {
        "name": EXT_PROC,
        "config_discovery": {
            "config_source": file_source(settings.run_dir, RESOURCES_FOLDER, FILTERS_FILE),
            "type_urls": [f"type.googleapis.com/{EXT_PROC_MESSAGE}"],
            "default_config": external_processor(BASE_HEADERS, explain=settings.explain),
            "apply_default_config_without_warming": True,
        },
    }


def _decision_headers(settings: EnvoySettings) -> dict[str, Any]:
    """Return the filter that turns the decision's metadata into headers.

    What a client asks for with the explanation's header is none of the backends' business.
    """
    explanation = f"%DYNAMIC_METADATA({EXPLAIN_NAMESPACE}:explanation)%"
    asked = [{"remove": EXPLAIN_HEADER}] if settings.explain else []
    told = [overwrite(EXPLAIN_HEADER, explanation)] if settings.explain else []
    route = "%DYNAMIC_METADATA(pointsman.route:{})%".format
    decision = "%DYNAMIC_METADATA(pointsman.decision:{})%".format
    return header_mutation(
        [
            overwrite("x-envoy-max-retries", route("retries")),
            overwrite("x-envoy-upstream-rq-per-try-timeout-ms", route("try_ms")),
            overwrite(TRACEPARENT, f"%DYNAMIC_METADATA({TRACE_NAMESPACE}:{TRACEPARENT})%"),
            *asked,
        ],
        [
            overwrite("x-pointsman-decision", decision("id")),
            overwrite("x-trace-id", decision("id")),
            overwrite("x-pointsman-route", decision("route")),
            overwrite("x-pointsman-strategy", decision("strategy")),
            overwrite("x-pointsman-config-version", decision("version")),
            overwrite("x-pointsman-attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
            *told,
        ],
        [remove_prefix("x-envoy-")],  # the decompressor counts bytes there
    )


def _hide_usage() -> dict[str, Any]:
    """Return the filter that drops a stream's usage chunk; responses pass it after the counting."""
    script = (Path(__file__).parent / "lua" / "usage.lua").read_text()
    return extension(
        "envoy.filters.http.lua",
        "envoy.extensions.filters.http.lua.v3.Lua",
        default_source_code={"inline_string": script},
    )


def _token_usage() -> dict[str, Any]:
    """Return the filter that reads token counts from responses; it holds nothing back."""
    usage = {
        "include_unconfigured_routes": True,
        "default_llm_protocol": "OPENAI_CHAT_COMPLETIONS",
    }
    return extension(
        "envoy.filters.http.ai_protocol_manager",
        "envoy.extensions.filters.http.ai_protocol_manager.v3.AiProtocolManager",
        response_handling={"token_usage": usage},
    )


def _strip_own_headers(settings: EnvoySettings) -> dict[str, Any]:
    """Return the mutation that removes what a client must not say."""
    spared = [SPARED, EXPLAIN_HEADER.removeprefix(PREFIX)] if settings.explain else [SPARED]
    own = [
        {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": regex}}}}
        for regex in own_headers(spared)
    ]
    return extension(
        "envoy.http.early_header_mutation.header_mutation",
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[remove_prefix("x-envoy-"), *own],
    )


def own_headers(spared: Iterable[str] = (SPARED,)) -> list[str]:
    """Return RE2 patterns of which one matches each header name ``x-pointsman-…`` not spared.

    There are several because Envoy refuses a pattern that compiles to a program of over 100 steps.
    """
    words = sorted(spared)
    begun = {word[0]: frozenset(one[1:] for one in words if one[0] == word[0]) for word in words}
    others = f"{PREFIX}(?:[^{''.join(begun)}].*)?"
    return [others, *(PREFIX + char + _other_than(rest) for char, rest in begun.items())]


def _other_than(words: frozenset[str]) -> str:
    """Return a pattern of all texts but ``words``.

    RE2 knows no look-ahead, so the pattern lists how a text can part from the words: end early,
    differ in a character, or go on after the end.
    """
    begun = sorted({word[0] for word in words if word})
    if not begun:
        return ".+"
    ways = [f"[^{''.join(begun)}].*"]
    for char in begun:
        rest = frozenset(word[1:] for word in words if word.startswith(char))
        ways.append(re.escape(char) + _other_than(rest))
    return f"(?:{'|'.join(ways)}){'' if '' in words else '?'}"

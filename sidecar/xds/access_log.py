"""Access logs to the control process: one entry per request, one per failed attempt."""

from typing import Any

from sidecar.xds.resources import ACCESS_LOG, extension

_SINCE_UPSTREAM = {
    "ttft_us": "%COMMON_DURATION(US_TX_BEG:US_RX_BODY_BEG:us)%",
    "upstream_us": "%COMMON_DURATION(US_TX_BEG:US_RX_END:us)%",
}
"""Both count from the first byte that was sent upstream in the last attempt."""

_TRACE_CONTEXT = ["traceparent", "tracestate"]
"""As they went upstream, where a decision has set them; else the client's."""


def requests_log() -> dict[str, Any]:
    """Return the log of finished requests, named ``requests``."""
    return _grpc_log("requests", additional_response_headers_to_log=["x-pointsman-decision"])


def failed_attempts_log() -> dict[str, Any]:
    """Return the router's upstream log, named ``attempts``: status 400 up, or any flag."""
    failed = {
        "or_filter": {
            "filters": [
                {
                    "status_code_filter": {
                        "comparison": {
                            "op": "GE",
                            "value": {"default_value": 400, "runtime_key": "pointsman.failed"},
                        }
                    }
                },
                {"response_flag_filter": {}},
            ]
        }
    }
    log = _grpc_log("attempts", additional_response_headers_to_log=["retry-after"])
    return log | {"filter": failed}


def _grpc_log(name: str, **more: Any) -> dict[str, Any]:
    return extension(
        "envoy.access_loggers.http_grpc",
        "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        common_config={
            "log_name": name,
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": ACCESS_LOG}},
            "buffer_flush_interval": "0.2s",
            "buffer_size_bytes": 65536,
            "custom_tags": [{"tag": tag, "value": text} for tag, text in _SINCE_UPSTREAM.items()],
        },
        additional_request_headers_to_log=_TRACE_CONTEXT,
        **more,
    )

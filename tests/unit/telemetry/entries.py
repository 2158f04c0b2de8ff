"""Access log entries as Envoy 1.40 sends them, from short descriptions."""

from sidecar.pb.access_log_entry_pb2 import HTTPAccessLogEntry
from sidecar.pb.access_log_pb2 import StreamAccessLogsMessage
from sidecar.pb.token_usage_pb2 import TokenUsage


def entry(
    *,
    cluster="",
    route_name="decided",
    attempts=0,
    status=None,
    details="",
    flags=(),
    started_us=0,
    duration_us=0,
    tags=None,
    path="",
    spaces=None,
    plan=(),
    tokens=None,
    sent=None,
    answered=None,
    upstream_after_us=None,
):
    made = HTTPAccessLogEntry()
    common = made.common_properties
    common.upstream_cluster, common.route_name = cluster, route_name
    common.upstream_request_attempt_count = attempts
    common.start_time.FromMicroseconds(started_us)
    common.duration.FromMicroseconds(duration_us)
    for flag in flags:
        setattr(common.response_flags, flag, True)
    for tag, text in (tags or {}).items():
        common.custom_tags[tag] = text
    if upstream_after_us is not None:
        common.time_to_first_upstream_tx_byte.FromMicroseconds(upstream_after_us)
    for headers, given in (
        (made.request.request_headers, sent),
        (made.response.response_headers, answered),
    ):
        for name, text in (given or {}).items():
            headers[name] = text.encode()
    made.request.path = path
    made.response.response_code_details = details
    if status is not None:
        made.response.response_code.value = status
    for name, values in (spaces or {}).items():
        common.metadata.filter_metadata[name].update(values)
    if plan:
        groups = [
            {"name": str(place), "clusters": [{"cluster_name": name, "weight": 1}]}
            for place, name in enumerate(plan)
        ]
        common.metadata.filter_metadata["pointsman.route"].update({"priority_groups": groups})
    if tokens is not None:
        usage = common.metadata.typed_filter_metadata["envoy.ai.token_usage"]
        usage.Pack(_token_usage(**tokens))
    return made


def _token_usage(status="COMPLETE", model="", **counts):
    usage = TokenUsage(model=model, extraction_status=status)
    cached = counts.pop("cached_tokens", None)
    for name, count in counts.items():
        getattr(usage, name).value = count
    if cached is not None:
        usage.input_token_details.cached_tokens.value = cached
    return usage


def message(*entries, log_name=None):
    """Return one message of the stream; the first one names the log."""
    made = StreamAccessLogsMessage()
    if log_name is not None:
        made.identifier.node.id = "node"
        made.identifier.log_name = log_name
    made.http_logs.log_entry.extend(entries)
    return made.SerializeToString()


def not_utf8(made):
    """Return the bytes of ``made`` with a path that is not UTF-8, as HTTP/2 clients can send it."""
    made.request.path = "/PLACEHOLDER"
    return made.SerializeToString().replace(b"/PLACEHOLDER", b"/PLACE\xff\xfe\xfd\xfc\xfbR")

"""Decision → ext_proc answer for an Envoy of one's own, which routes by a header."""

from functools import lru_cache
from urllib.parse import urlsplit

from sidecar.model import Decision, InferenceRequest
from sidecar.pb import base_pb2
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.rewrite import apply, patch
from sidecar.wire.answer import write_decision

_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_VERSION = "/v1"


def rewritten(decision: Decision, request: InferenceRequest, path: str, microseconds: int) -> bytes:
    """Return the answer that makes the request the plan's first attempt, headers and body.

    ``path``: as the client sent it, with its query. Nothing reads token counts from the answers
    of such an Envoy, so streams are not made to report them.
    """
    attempt = decision.plan.attempts[0]
    body = apply(request.body, patch(request, attempt, count_tokens=False))
    answer = pb.ProcessingResponse()
    response = answer.request_body.response
    response.clear_route_cache = True
    response.body_mutation.body = body
    # Envoy answers 500 to a body of another length than the header's.
    headers = {"x-pointsman-cluster": attempt.backend.name, "content-length": str(len(body))}
    if prefix := _path_prefix(attempt.backend.endpoints[0].url):
        headers[":path"] = prefix + path.removeprefix(_VERSION)
    for name, value in headers.items():
        option = response.header_mutation.set_headers.add()
        option.header.key, option.header.raw_value = name, value.encode()
        option.append_action = _OVERWRITE
    fields = answer.dynamic_metadata.fields["pointsman.decision"].struct_value.fields
    write_decision(fields, decision, request.operation, microseconds)
    fields["backend"].string_value = attempt.backend.name
    fields["model"].string_value = attempt.backend.model
    fields["provider"].string_value = attempt.backend.provider
    return answer.SerializeToString()


@lru_cache(maxsize=4096)
def _path_prefix(url: str) -> str:
    """Return what replaces ``/v1`` in the path of requests to this endpoint; empty: nothing."""
    return urlsplit(url).path.rstrip("/")

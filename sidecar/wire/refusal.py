"""The one map from an error to what the client sees."""

import msgspec

from sidecar.errors import RequestError
from sidecar.pb import base_pb2
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.wire.answer import assignments_text


def refuse(error: RequestError, identity: str = "", explanation: str = "") -> bytes:
    """Return the answer that makes Envoy reply with OpenAI's error object, and go no further.

    The code also travels as the reply's details, which is how the access log learns it, and the
    arms that have failed as metadata. ``identity``: the id under which it can be explained.
    """
    answer = pb.ProcessingResponse()
    if error.assigned:
        fields = answer.dynamic_metadata.fields["pointsman.decision"].struct_value.fields
        fields["id"].string_value = identity
        fields["assignments"].string_value = assignments_text(error.assigned)
    if error.budget:
        space = answer.dynamic_metadata.fields["pointsman.budgets"].struct_value
        space.fields["rejected"].string_value = error.budget
    reply = answer.immediate_response
    reply.status.code = error.status
    reply.details = error.code
    reply.body = error_body(error)
    headers = {
        "content-type": "application/json",
        "x-pointsman-decision": identity,
        "x-pointsman-explain": explanation,
        "retry-after": "" if error.retry_after is None else str(error.retry_after),
    }
    for name, value in headers.items():
        if value:
            header = reply.headers.set_headers.add()
            header.header.key, header.header.raw_value = name, value.encode()
            header.append_action = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return answer.SerializeToString()


def error_body(error: RequestError) -> bytes:
    """Return OpenAI's error object as JSON."""
    return msgspec.json.encode(
        {
            "error": {
                "message": error.message,
                "type": error.kind,
                "param": error.param,
                "code": error.code,
            }
        }
    )

"""Errors that Envoy makes itself, as OpenAI's error object."""

from typing import Any

import msgspec

from sidecar.errors import BodyTooLarge, InvalidJson, NoCandidate, RequestError
from sidecar.xds.resources import FEEDBACK_ROUTE, typed

_OWN_DETAILS = ["direct_response", "", *(leaf.code for leaf in RequestError.__subclasses__())]
"""Details of replies that have their final text: our routes' and the workers'."""


def error_body(error: RequestError) -> str:
    """Return the text of OpenAI's error object."""
    return msgspec.json.encode(_error(error.message, error.kind, error.code)).decode()


def local_reply(max_body_bytes: int) -> dict[str, Any]:
    """Return the texts of Envoy's own errors: too large, no upstream, timeout, not HTTP …

    The reason in them is Envoy's ``%RESPONSE_CODE_DETAILS%``.
    """
    too_large = f"The request body is larger than {max_body_bytes} bytes."
    reason = "%RESPONSE_CODE_DETAILS%"
    invalid = InvalidJson.kind
    later = f"Feedback cannot be taken now: {reason}."
    return {
        "mappers": [
            _mapper(
                f"xds.route_name == '{FEEDBACK_ROUTE}' && response.code >= 500",
                _error(later, NoCandidate.kind, "feedback_unavailable"),
            ),
            _mapper("response.code == 413", _error(too_large, invalid, BodyTooLarge.code)),
            _mapper(
                "response.code >= 500",
                _error(f"No model could answer: {reason}.", NoCandidate.kind, NoCandidate.code),
            ),
            _mapper(
                "response.code >= 400", _error(f"The request was refused: {reason}.", invalid, None)
            ),
        ]
    }


def _error(message: str, kind: str, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _mapper(condition: str, body: dict[str, Any]) -> dict[str, Any]:
    ours = msgspec.json.encode(_OWN_DETAILS).decode()
    return {
        "filter": {
            "extension_filter": {
                "name": "envoy.access_loggers.extension_filters.cel",
                "typed_config": typed(
                    "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                    expression=f"{condition} && !(response.code_details in {ours})",
                ),
            }
        },
        "body_format_override": {"json_format": body},
    }

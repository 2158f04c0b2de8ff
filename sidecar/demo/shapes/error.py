"""Providers' error objects."""

from sidecar.demo.ask import Refusal
from sidecar.demo.shapes.reply import Json
from sidecar.model import Operation

KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
ANTHROPIC_KINDS = KINDS | {400: "invalid_request_error", 404: "not_found_error"}


def error(operation: Operation | None, refusal: Refusal) -> Json:
    """Return a provider's error object: Anthropic's for messages, else OpenAI's."""
    if operation == "messages":
        kind = ANTHROPIC_KINDS.get(refusal.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": refusal.message}}
    default = "server_error" if refusal.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": refusal.message,
            "type": KINDS.get(refusal.status, default),
            "param": refusal.param,
            "code": refusal.code,
        }
    }

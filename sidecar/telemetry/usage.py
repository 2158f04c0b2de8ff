"""How many tokens a request took, as the provider reported it, and what they cost."""

from typing import NamedTuple

import msgspec
from google.protobuf.message import DecodeError

from sidecar.model import Charge, Price
from sidecar.pb.access_log_entry_pb2 import AccessLogCommon
from sidecar.pb.token_usage_pb2 import TokenUsage

_INCOMPLETE = (TokenUsage.PARTIAL, TokenUsage.FAILED)
_LONGEST_MODEL = 200
_MAX_TOKENS = 10**9
"""More than any model takes: a count over this is an upstream's nonsense."""


class Usage(NamedTuple):
    """Tokens as the provider reported them; cached ones are a part of the input."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    partial: bool = False
    model: str = ""
    """What the provider calls the model that answered."""


def read_usage(common: AccessLogCommon) -> Usage:
    """Return the counts of an entry; what cannot be read is unknown, and partial."""
    packed = common.metadata.typed_filter_metadata.get("envoy.ai.token_usage")
    if packed is None:
        return Usage()
    try:
        usage = TokenUsage.FromString(packed.value)
    except DecodeError:
        return Usage(partial=True)
    details = usage.input_token_details
    counts = (
        usage.input_tokens.value if usage.HasField("input_tokens") else None,
        usage.output_tokens.value if usage.HasField("output_tokens") else None,
        details.cached_tokens.value if details.HasField("cached_tokens") else None,
    )
    if max(count or 0 for count in counts) > _MAX_TOKENS:
        return Usage(partial=True)
    partial = usage.extraction_status in _INCOMPLETE
    return Usage(*counts, partial, usage.model[:_LONGEST_MODEL])


def cost_usd(tokens: Usage, price: Price) -> float:
    """Return what the provider charges: cached input has its own price, if it has one."""
    given, cached = tokens.input or 0, min(tokens.cached or 0, tokens.input or 0)
    per_cached = price.per_cached_input_token
    if per_cached is None:
        per_cached = price.per_input_token
    return (
        (given - cached) * price.per_input_token
        + cached * per_cached
        + (tokens.output or 0) * price.per_output_token
    )


def read_charges(text: str) -> tuple[Charge, ...]:
    """Read ``[["budget:acme:usd:day:user.tenant:1763683200:acme","usd",1763769600,""]]``."""
    if not text:
        return ()
    try:
        return msgspec.json.decode(text, type=tuple[Charge, ...])
    except (msgspec.DecodeError, UnicodeError):
        return ()

"""What a request needs of a backend: capabilities, and room for its prompt and its answer."""

from collections.abc import Mapping, Sequence

from sidecar.model import Backend, InferenceRequest

_BYTES_A_TOKEN = 4
"""Of tool definitions, which are JSON; OpenAI's rule of thumb for English."""


def unfit(backends: Sequence[Backend], request: InferenceRequest) -> Mapping[str, str]:
    """Return the backends that cannot take ``request``: name → why.

    A backend that declares no capabilities is taken to have all, one without a context size to
    have room for everything. The size is estimated: tokens of prompt and tools, plus the tokens
    that the request asks for.
    """
    found = {}
    needs = _capabilities(request)
    size = _Size(request)
    for backend in backends:
        known, limit = backend.capabilities, backend.max_context_size
        if known is not None and needs and not known.issuperset(needs):
            found[backend.name] = f"lacks {', '.join(sorted(set(needs) - known))}"
        elif limit is not None and size.exceeds(limit):
            found[backend.name] = f"about {size.tokens} tokens are over its {limit}"
    return found


def _capabilities(request: InferenceRequest) -> Sequence[str]:
    """Return the capabilities that the request needs; most bodies need not be decoded for it."""
    spans, body = request.spans, request.body
    needs = []
    if ("tools" in spans or "functions" in spans) and request.prompt.has_tools:
        needs.append("tools")
    # A type of a content part could be spelled with escapes.
    if (b"image" in body or b"\\u" in body) and request.prompt.has_images:
        needs.append("vision")
    return needs


class _Size:
    """How large a request is, estimated only if a bound that costs nothing does not tell."""

    __slots__ = ("_request", "_tokens")

    def __init__(self, request: InferenceRequest) -> None:
        self._request = request
        self._tokens: int | None = None

    def exceeds(self, limit: int) -> bool:
        """Tell whether the request takes more than ``limit`` tokens."""
        asked = self._request.max_tokens or 0
        # No estimate is above half the body's bytes: a token that comes as a number has two.
        return len(self._request.body) // 2 + asked >= limit and self.tokens > limit

    @property
    def tokens(self) -> int:
        """Tokens of prompt, tools and answer."""
        if self._tokens is None:
            request = self._request
            tools = [
                request.spans[name] for name in ("tools", "functions") if name in request.spans
            ]
            described = sum(span.end - span.start for span in tools) // _BYTES_A_TOKEN
            self._tokens = request.prompt.tokens + described + (request.max_tokens or 0)
        return self._tokens

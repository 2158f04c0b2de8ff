"""The request: what a client asked for, read on first use."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

Operation = Literal["chat", "completions", "embeddings", "responses", "messages"]

OPERATIONS: Mapping[str, Operation] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
}
"""Path of a decided request → operation. Any other path is undecided."""

CONTROL_FIELDS = ("router", "extra", "max_retries", "fallbacks", "max_cost_per_token")
"""Body fields that steer the decision and that no upstream may see."""

BASE_HEADERS = (
    "x-user-id",
    "x-tenant-id",
    "x-user-tier",
    "x-session-id",
    "x-priority",
    "x-region",
    "x-feature-flags",
    "x-max-cost-per-token",
    "x-pointsman-variant",
)
"""Request headers that are always read; live rules add their own."""

MISSING = msgspec.UNSET
"""What a subject evaluates to when the request does not have it. JSON ``null`` is ``None``."""


class Span(NamedTuple):
    """A top-level member of the body: byte offsets of its key and its value, half-open."""

    key: int
    start: int
    end: int


class KeyOwner(NamedTuple):
    """Whom an API key stands for; ``None``: the key does not say, the request may."""

    id: str | None = None
    tenant: str | None = None
    tier: str | None = None
    tags: tuple[str, ...] | None = None


NOBODY = KeyOwner()
OTHERS = "*"
"""The key of everybody without a known key."""


class User(NamedTuple):
    """Who asks: by the API key, else by ``x-user-*`` headers, ``extra.user`` and ``user``."""

    id: str | None
    tenant: str | None
    tier: str | None
    tags: tuple[str, ...]


class Prompt(Protocol):
    """Features of the prompt; each is computed on first use and then kept."""

    @property
    def text(self) -> str:
        """All text of all messages (or of ``prompt`` / ``input``), joined by newlines."""

    @property
    def last(self) -> str:
        """Text of the last user message."""

    @property
    def system(self) -> str:
        """Text of system and developer messages (or of ``instructions`` / ``system``)."""

    @property
    def chars(self) -> int:
        """Length of ``text`` in characters."""

    @property
    def tokens(self) -> int:
        """Estimated tokens of ``text``; an estimate, never used for billing."""

    @property
    def messages(self) -> int:
        """Number of messages."""

    @property
    def has_code(self) -> bool:
        """Whether the text has a fenced block or looks like source code."""

    @property
    def has_images(self) -> bool:
        """Whether a content part is an image."""

    @property
    def has_tools(self) -> bool:
        """Whether the request offers tools or functions."""

    @property
    def language(self) -> str:
        """ISO 639-1 code of the text's language or script, ``und`` when it cannot be told."""

    @property
    def keywords(self) -> tuple[str, ...]:
        """The distinct words of the text's last 20,000 characters, lower-case, in order."""


class InferenceRequest(Protocol):
    """The facts of one request. Cheap ones are read at once, the others on first use."""

    operation: Operation
    path: str
    headers: Mapping[str, str]
    body: bytes
    spans: Mapping[str, Span]
    model: str | None
    stream: bool

    def value(self, path: Sequence[str | int]) -> Any:
        """Return the JSON value at ``path`` in the body, or ``MISSING``."""

    @property
    def user(self) -> User:
        """Who asks."""

    @property
    def session(self) -> str | None:
        """``x-session-id``, else ``session_id`` of the body's ``metadata``."""

    @property
    def api_key(self) -> str | None:
        """First 16 hex digits of the SHA-256 of the bearer token; never the key itself."""

    @property
    def region(self) -> str | None:
        """``x-region``."""

    @property
    def max_tokens(self) -> int | None:
        """``max_completion_tokens``, ``max_output_tokens`` or ``max_tokens``."""

    @property
    def max_cost_per_token(self) -> float | None:
        """US dollars per token, from the body, else from ``x-max-cost-per-token``."""

    @property
    def feature_flags(self) -> frozenset[str]:
        """Names in ``x-feature-flags`` (comma-separated): flags that this caller asks for."""

    @property
    def prompt(self) -> Prompt:
        """Features of the prompt."""

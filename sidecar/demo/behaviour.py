"""How a simulated model behaves: its pace, and the faults that it was told to have."""

from typing import Annotated, Self

import msgspec
from msgspec import Meta

NotNegative = Annotated[float, Meta(ge=0)]


class Pace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast a model answers, and how much.

    A stream's headers leave after ``latency_ms``, its first token ``first_token_ms`` later. An
    answer that is not streamed leaves whole, after the time that its stream would have taken.
    """

    latency_ms: NotNegative = 30.0
    first_token_ms: NotNegative = 20.0
    tokens_per_second: NotNegative = 200.0
    """0: all at once."""
    answer_tokens: Annotated[int, Meta(ge=0)] = 0
    """Pads or cuts every answer to this many tokens; 0: as long as the text is."""


class Behaviour(Pace, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pace and faults, as the control endpoint reads and shows them."""

    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    """Answers this status with the provider's error object."""
    retry_after: Annotated[int, Meta(ge=0)] | None = None
    """Seconds in the `retry-after` header of an error; alone it means status 429."""
    hang: bool = False
    """Accepts the request and never answers."""
    reset: bool = False
    """Resets the connection before any byte of an answer."""
    slow_first_token_ms: NotNegative | None = None
    """Takes the place of ``first_token_ms``: headers are early, the first token is late."""
    cut_after_tokens: Annotated[int, Meta(ge=0)] | None = None
    """Closes the socket after so many tokens; an answer that is not streamed is cut in half."""
    times: Annotated[int, Meta(ge=1)] | None = None
    """Behaves so for the next ``times`` requests only, then as it did at the start."""

    def merge(self, patch: bytes) -> Self:
        """Return this behaviour with the fields of a JSON object in place of its own.

        Raises msgspec.ValidationError, which names the field, or msgspec.DecodeError.
        """
        fields = msgspec.json.decode(patch, type=dict[str, object])
        return msgspec.convert(msgspec.structs.asdict(self) | fields, type(self))

    @property
    def error_status(self) -> int | None:
        """The status to fail with, if any."""
        return 429 if self.status is None and self.retry_after is not None else self.status

    @property
    def first_token_seconds(self) -> float:
        """From a stream's headers to its first token."""
        slow = self.slow_first_token_ms
        return (self.first_token_ms if slow is None else slow) / 1000

    def seconds_until(self, token: int) -> float:
        """Return the time from a stream's headers to its token number ``token``, from 0."""
        gap = 1 / self.tokens_per_second if self.tokens_per_second else 0.0
        return self.first_token_seconds + token * gap


class Dial:
    """The behaviour of a running model: what it started with, and what it does now."""

    def __init__(self, start: Behaviour) -> None:
        self.start = start
        self.now = start

    def merge(self, patch: bytes) -> None:
        """Change what ``patch`` names. Raises like `Behaviour.merge`."""
        self.now = self.now.merge(patch)

    def reset(self) -> None:
        """Behave as at the start."""
        self.now = self.start

    def take(self) -> Behaviour:
        """Return the behaviour for one request and count it."""
        taken = self.now
        if taken.times is not None:
            left = taken.times - 1
            self.now = msgspec.structs.replace(taken, times=left) if left else self.start
        return taken

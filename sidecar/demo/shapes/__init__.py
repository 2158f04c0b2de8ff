"""Answers in the shapes of OpenAI's and Anthropic's APIs, whole and as streams of events.

Pure: a `Reply` goes in, JSON values or server-sent events come out.
"""

from collections.abc import Mapping
from typing import Protocol

from sidecar.demo.shapes.completions import Chat, Completions
from sidecar.demo.shapes.embeddings import embeddings
from sidecar.demo.shapes.error import error
from sidecar.demo.shapes.messages import Messages
from sidecar.demo.shapes.reply import Json, Reply
from sidecar.demo.shapes.responses import Responses
from sidecar.model import Operation

__all__ = ["SHAPES", "Json", "Reply", "Shape", "embeddings", "error"]


class Shape(Protocol):
    """One API's way to answer."""

    def whole(self, reply: Reply) -> Json:
        """Return the answer as one JSON object."""

    def opening(self, reply: Reply) -> bytes:
        """Return the events before the first token."""

    def delta(self, reply: Reply, index: int) -> bytes:
        """Return the event of token number ``index``."""

    def closing(self, reply: Reply) -> bytes:
        """Return the events after the last token."""


SHAPES: Mapping[Operation, Shape] = {
    "chat": Chat(),
    "completions": Completions(),
    "responses": Responses(),
    "messages": Messages(),
}
"""Operation → its shape; embeddings have one answer and no stream."""

"""What a model says, and how one server-sent event is written."""

from typing import Any, NamedTuple

import msgspec

from sidecar.demo.ask import Ask

Json = dict[str, Any]


class Reply(NamedTuple):
    """What a model says to one request; ``number`` makes its id, ``created`` is in Unix seconds."""

    ask: Ask
    tokens: list[str]
    number: int
    created: int

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.tokens)

    @property
    def finish_reason(self) -> str:
        """Why it ended, in OpenAI's words."""
        return "length" if self.ask.was_cut(self.tokens) else "stop"


def event(value: Json, name: str = "") -> bytes:
    """Return one server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(value) + b"\n\n"

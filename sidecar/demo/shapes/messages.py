"""Anthropic's messages."""

from typing import Any

from sidecar.demo.shapes.reply import Json, Reply, event


class Messages:
    """POST /v1/messages: Anthropic's shape and events."""

    def whole(self, reply: Reply) -> Json:
        """Return a `message`."""
        content = [{"type": "text", "text": reply.text}]
        spent = self._usage(reply, len(reply.tokens))
        return self._frame(reply, self._reason(reply)) | {"content": content, "usage": spent}

    def opening(self, reply: Reply) -> bytes:
        """Return `message_start` and the start of the text block."""
        message = self._frame(reply, None) | {"content": [], "usage": self._usage(reply, 1)}
        block = {"type": "text", "text": ""}
        return self._event("message_start", message=message) + self._event(
            "content_block_start", index=0, content_block=block
        )

    def delta(self, reply: Reply, index: int) -> bytes:
        """Return a `content_block_delta`."""
        delta = {"type": "text_delta", "text": reply.tokens[index]}
        return self._event("content_block_delta", index=0, delta=delta)

    def closing(self, reply: Reply) -> bytes:
        """Return the events that close the block and the message."""
        delta = {"stop_reason": self._reason(reply), "stop_sequence": None}
        spent = {"output_tokens": len(reply.tokens)}
        stop = self._event("content_block_stop", index=0)
        last = self._event("message_delta", delta=delta, usage=spent)
        return stop + last + self._event("message_stop")

    def _event(self, kind: str, **more: Any) -> bytes:
        return event({"type": kind} | more, kind)

    def _frame(self, reply: Reply, reason: str | None) -> Json:
        return {
            "id": f"msg_{reply.number}",
            "type": "message",
            "role": "assistant",
            "model": reply.ask.model,
            "stop_reason": reason,
            "stop_sequence": None,
        }

    def _reason(self, reply: Reply) -> str:
        return "max_tokens" if reply.finish_reason == "length" else "end_turn"

    def _usage(self, reply: Reply, made: int) -> Json:
        return {
            "input_tokens": reply.ask.prompt_tokens,
            "output_tokens": made,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        }

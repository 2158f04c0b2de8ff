"""OpenAI's responses."""

from typing import Any

from sidecar.demo.shapes.reply import Json, Reply, event


class Responses:
    """POST /v1/responses: named and numbered events, no end mark."""

    def whole(self, reply: Reply) -> Json:
        """Return a `response`."""
        cut = reply.finish_reason == "length"
        reason = {"reason": "max_output_tokens"} if cut else None
        return self._frame(reply) | {
            "status": "incomplete" if cut else "completed",
            "incomplete_details": reason,
            "output": [self._item(reply, "completed", [self._part(reply.text)])],
            "usage": self._usage(reply),
        }

    def opening(self, reply: Reply) -> bytes:
        """Return the events up to the opened, empty text."""
        frame = self._frame(reply)
        return self._events(
            0,
            {"type": "response.created", "response": frame},
            {"type": "response.in_progress", "response": frame},
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": self._item(reply, "in_progress", []),
            },
            self._at(reply, "response.content_part.added", part=self._part("")),
        )

    def delta(self, reply: Reply, index: int) -> bytes:
        """Return a `response.output_text.delta`."""
        kind, token = "response.output_text.delta", reply.tokens[index]
        return self._events(4 + index, self._at(reply, kind, delta=token, logprobs=[]))

    def closing(self, reply: Reply) -> bytes:
        """Return the events that close the text, the item and the response."""
        part, whole = self._part(reply.text), self.whole(reply)
        return self._events(
            4 + len(reply.tokens),
            self._at(reply, "response.output_text.done", text=reply.text, logprobs=[]),
            self._at(reply, "response.content_part.done", part=part),
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": self._item(reply, "completed", [part]),
            },
            {"type": f"response.{whole['status']}", "response": whole},
        )

    def _events(self, first: int, *values: Json) -> bytes:
        numbered = (value | {"sequence_number": first + n} for n, value in enumerate(values))
        return b"".join(event(value, value["type"]) for value in numbered)

    def _at(self, reply: Reply, kind: str, **more: Any) -> Json:
        place = {"item_id": f"msg_{reply.number}", "output_index": 0, "content_index": 0}
        return {"type": kind} | place | more

    def _item(self, reply: Reply, status: str, content: list[Json]) -> Json:
        return {
            "id": f"msg_{reply.number}",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }

    def _part(self, text: str) -> Json:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _frame(self, reply: Reply) -> Json:
        return {
            "id": f"resp_{reply.number}",
            "object": "response",
            "created_at": reply.created,
            "model": reply.ask.model,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
        }

    def _usage(self, reply: Reply) -> Json:
        given, made = reply.ask.prompt_tokens, len(reply.tokens)
        return {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": given + made,
        }

"""OpenAI's chat completions and completions."""

from sidecar.demo.shapes.reply import Json, Reply, event

DONE = b"data: [DONE]\n\n"


class Chat:
    """POST /v1/chat/completions."""

    def whole(self, reply: Reply) -> Json:
        """Return a `chat.completion`."""
        message = {"role": "assistant", "content": reply.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None}
        choices = [choice | {"finish_reason": reply.finish_reason}]
        return self._frame(reply, "chat.completion") | {"choices": choices, "usage": usage(reply)}

    def opening(self, reply: Reply) -> bytes:
        """Return the chunk that names the role."""
        return self._chunk(reply, {"role": "assistant", "content": "", "refusal": None})

    def delta(self, reply: Reply, index: int) -> bytes:
        """Return a `chat.completion.chunk` with one token."""
        return self._chunk(reply, {"content": reply.tokens[index]})

    def closing(self, reply: Reply) -> bytes:
        """Return the finish reason, the usage if it was asked for, and the end mark."""
        last = self._chunk(reply, {}, reply.finish_reason)
        if not reply.ask.include_usage:
            return last + DONE
        frame = self._frame(reply, "chat.completion.chunk")
        return last + event(frame | {"choices": [], "usage": usage(reply)}) + DONE

    def _chunk(self, reply: Reply, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        frame = self._frame(reply, "chat.completion.chunk") | {"choices": [choice]}
        return event(frame | ({"usage": None} if reply.ask.include_usage else {}))

    def _frame(self, reply: Reply, kind: str) -> Json:
        return {
            "id": f"chatcmpl-{reply.number}",
            "object": kind,
            "created": reply.created,
            "model": reply.ask.model,
        }


class Completions:
    """POST /v1/completions; a stream has no opening."""

    def whole(self, reply: Reply) -> Json:
        """Return a `text_completion`."""
        return self._frame(reply, reply.text, reply.finish_reason) | {"usage": usage(reply)}

    def opening(self, _: Reply) -> bytes:
        """Return nothing."""
        return b""

    def delta(self, reply: Reply, index: int) -> bytes:
        """Return a `text_completion` with one token."""
        return self._chunk(reply, reply.tokens[index])

    def closing(self, reply: Reply) -> bytes:
        """Return the finish reason, the usage if it was asked for, and the end mark."""
        last = self._chunk(reply, "", reply.finish_reason)
        if not reply.ask.include_usage:
            return last + DONE
        frame = self._frame(reply, "", None) | {"choices": [], "usage": usage(reply)}
        return last + event(frame) + DONE

    def _chunk(self, reply: Reply, text: str, finish: str | None = None) -> bytes:
        unspent = {"usage": None} if reply.ask.include_usage else {}
        return event(self._frame(reply, text, finish) | unspent)

    def _frame(self, reply: Reply, text: str, finish: str | None) -> Json:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        return {
            "id": f"cmpl-{reply.number}",
            "object": "text_completion",
            "created": reply.created,
            "model": reply.ask.model,
            "choices": [choice],
        }


def usage(reply: Reply) -> Json:
    """Return the token counts of chat completions and completions."""
    prompt, completion = reply.ask.prompt_tokens, len(reply.tokens)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
    }

"""What a simulated model reads in a request, and what a real provider would refuse."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import msgspec

from sidecar.model import CONTROL_FIELDS, Operation

QUOTED_CHARS = 200
MOST = 1_000_000
"""No real provider takes a larger limit or dimension."""
PROMPTS = ("system", "instructions", "messages", "input", "prompt")
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
SHOWN = ("temperature", "top_p", *LIMITS)
"""Parameters that the answer repeats, so that one sees what a rule made of them."""


class Refusal(Exception):
    """A request that a provider refuses: the status and the members of its error object."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code


class Ask(NamedTuple):
    """One request, as far as the answer depends on it."""

    operation: Operation
    model: str
    stream: bool
    include_usage: bool
    prompt: str
    last: str
    limit: int | None
    shown: Mapping[str, object]
    inputs: tuple[str, ...]
    """What is to be embedded."""
    dimensions: int
    base64: bool

    @classmethod
    def read(cls, operation: Operation, body: bytes) -> Self:
        """Read a request's body. Raises Refusal as OpenAI does."""
        try:
            fields = msgspec.json.decode(body, type=dict[str, Any])
            refuse_unknown(fields)
            return cls(
                operation,
                model=_model(fields),
                stream=bool(fields.get("stream")),
                include_usage=bool((fields.get("stream_options") or {}).get("include_usage")),
                prompt="\n".join(text_of(fields[name]) for name in PROMPTS if name in fields),
                last=_last(fields),
                limit=next((_count(fields, name) for name in LIMITS if fields.get(name)), None),
                shown={name: fields[name] for name in SHOWN if fields.get(name) is not None},
                inputs=_inputs(fields.get("input", "")),
                dimensions=_count(fields, "dimensions", 8),
                base64=fields.get("encoding_format") == "base64",
            )
        except (msgspec.DecodeError, RecursionError, AttributeError, TypeError, ValueError):
            raise Refusal(
                400, "We could not parse the JSON body of your request, or a field's type is wrong."
            ) from None

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt: a quarter of its characters."""
        return (len(self.prompt) + 3) // 4

    def answer(self, name: str, length: int) -> list[str]:
        """Return the tokens of the answer of model ``name``; the same for the same request.

        ``length`` above 0 pads or cuts it to so many; the request's own limit comes on top.
        """
        facts = ", ".join(f"{key} {value}" for key, value in self.shown.items())
        text = f"{name} here{facts and f' ({facts})'}. You said: {self.last[:QUOTED_CHARS]}"
        tokens = re.findall(r"\s*\S+|\s+$", text)
        if length:
            tokens = tokens[:length] + [" and"] * (length - len(tokens))
        return tokens[: self.limit]

    def was_cut(self, tokens: list[str]) -> bool:
        """Return whether the request's limit ended the answer."""
        return self.limit is not None and len(tokens) >= self.limit


def refuse_unknown(fields: Mapping[str, Any]) -> None:
    """Raise Refusal when a control field has leaked: providers know no such argument."""
    leaked = [name for name in CONTROL_FIELDS if name in fields]
    if leaked:
        names = ", ".join(leaked)
        raise Refusal(400, f"Unrecognized request argument supplied: {names}", leaked[0])


def text_of(value: Any) -> str:
    """Return the text in a message, a content part, or a list of such, joined by newlines."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join([text_of(item) for item in value])
    if isinstance(value, dict):
        return text_of(value.get("content", value.get("text", "")))
    return ""


def _model(fields: Mapping[str, Any]) -> str:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "you must provide a model parameter", "model")
    return model


def _last(fields: Mapping[str, Any]) -> str:
    """Return what the user said last."""
    said = fields.get("messages") or fields.get("input") or fields.get("prompt") or ""
    if not isinstance(said, list):
        return text_of(said)
    by_user = [item for item in said if isinstance(item, str) or _is_of_user(item)]
    return text_of(by_user[-1]) if by_user else ""


def _is_of_user(item: Any) -> bool:
    return isinstance(item, dict) and item.get("role") == "user"


def _count(fields: Mapping[str, Any], name: str, default: int = 0) -> int:
    """Return a number of things. Raises ValueError when it cannot be one."""
    count = int(fields.get(name) or default)
    if not 1 <= count <= MOST:
        raise ValueError(name)
    return count


def _inputs(value: Any) -> tuple[str, ...]:
    """Return the texts to embed; a list of token numbers is one text, as at OpenAI."""
    if not isinstance(value, list):
        return (text_of(value),)
    if value and isinstance(value[0], int):
        return (str(value),)
    return tuple(item if isinstance(item, str) else str(item) for item in value)

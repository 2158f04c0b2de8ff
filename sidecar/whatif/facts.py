"""What is kept of a request so that it can be decided again: facts, no texts, no credentials.

Numbers, names and sizes of the body's members are kept, and no text in it; identifiers that rules
go by (user, tenant, session, headers that live rules read) are kept as they came, if short.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sidecar.facts.user import read_user
from sidecar.model import (
    BASE_HEADERS,
    OPERATIONS,
    SECRET_HEADERS,
    Hook,
    InferenceRequest,
    Prompt,
    Span,
    User,
)

LONGEST_TEXT = 256
"""Characters of a value that is kept; of a longer one only that it is not known."""
LONGEST_PROMPT = 1024 * 1024
"""Bytes of a body whose prompt is looked at; more of it would hold up a worker."""
_MOST_MEMBERS = 60
_MOST_READS = 20
_LARGEST = 2**63
_LONGEST_NUMBER = 25

NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
"""Names of members that are kept, all of them: one that is not kept was not there."""

Number = bool | int | float | None
Reading = tuple[str, str, str, Any]
"""What was read of the memory: kind, key, parameters of a guard, value."""


class PromptFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Features of the prompt, as subjects of conditions have them."""

    chars: int = 0
    tokens: int = 0
    messages: int = 0
    has_code: bool = False
    has_images: bool = False
    has_tools: bool = False
    language: str = "und"


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request. ``unknown``: facts that it has and that are not kept here."""

    path: str
    model: str | None = None
    stream: bool = False
    size: int = 0
    """Bytes of the body."""
    numbers: dict[str, Number] = {}
    """Top-level members that are numbers, booleans or null."""
    others: dict[str, int] = {}
    """All other top-level members: name → bytes of the value."""
    headers: dict[str, str] = {}
    read: tuple[str, ...] = ()
    """Headers that the rules of then read, besides those that are always read."""
    user: User = User(None, None, None, ())
    """Who the request says asks, whatever its API key says."""
    api_key: str | None = None
    session: str | None = None
    max_tokens: int | None = None
    max_cost_per_token: float | None = None
    prompt: PromptFacts | None = None
    memory: tuple[Reading, ...] = ()
    unknown: tuple[str, ...] = ()


encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Facts)


def decode(text: bytes | str) -> Facts | None:
    """Return facts from JSON; ``None`` when it is something else."""
    try:
        found = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.path in OPERATIONS else None


def take(
    request: InferenceRequest,
    read: Iterable[str],
    reads: Mapping[tuple[str, Any], Any] | None = None,
) -> Facts | None:
    """Return what is kept of ``request``; ``None`` when it is too odd to be kept.

    ``read``: the headers that the rules read; ``reads``: what deciding read of the memory
    (`Recall.reads`). This decodes the body. Raises InvalidJson when that is nested too deeply.
    """
    model, names = request.model, request.spans
    if (model is not None and len(model) > LONGEST_TEXT) or len(names) > _MOST_MEMBERS:
        return None
    unknown: list[str] = []
    numbers, others = _members(request)
    read = [*read]
    return Facts(
        path=request.path,
        model=model,
        stream=request.stream,
        size=len(request.body),
        numbers=numbers,
        others=others,
        headers=_headers(request.headers, unknown),
        read=tuple([name for name in read if name not in BASE_HEADERS]),
        user=_user(request, unknown),
        api_key=request.api_key,
        session=_short(request.session, "session", unknown),
        max_tokens=request.max_tokens,
        max_cost_per_token=request.max_cost_per_token,
        prompt=_prompt(request.prompt) if len(request.body) <= LONGEST_PROMPT else None,
        memory=_memory(reads or {}),
        unknown=tuple(unknown),
    )


def _members(request: InferenceRequest) -> tuple[dict[str, Number], dict[str, int]]:
    numbers: dict[str, Number] = {}
    others: dict[str, int] = {}
    for name, span in request.spans.items():
        if not NAME.fullmatch(name):
            continue
        value = request.value((name,)) if _is_number(request, span) else ""
        if value is None or (isinstance(value, int | float) and abs(value) < _LARGEST):
            numbers[name] = value
        else:
            others[name] = span.end - span.start
    return numbers, others


def _is_number(request: InferenceRequest, span: Span) -> bool:
    """Tell by the value's length and first byte: texts and lists need not be decoded for it."""
    first = request.body[span.start : span.start + 1]
    return span.end - span.start <= _LONGEST_NUMBER and first in b"-0123456789tfn"


def _headers(headers: Mapping[str, str], unknown: list[str]) -> dict[str, str]:
    named = {name: text for name, text in headers.items() if name not in SECRET_HEADERS}
    short = {name: _short(text, f"headers.{name}", unknown) for name, text in named.items()}
    return {name: text for name, text in short.items() if text is not None}


def _writable(text: str) -> bool:
    """Whether the text can be UTF-8: a header's bytes need not be."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _short(text: str | None, name: str, unknown: list[str]) -> str | None:
    if text is not None and (len(text) > LONGEST_TEXT or not _writable(text)):
        unknown.append(name)
        return None
    return text


def _user(request: InferenceRequest, unknown: list[str]) -> User:
    user = read_user(request.headers, request.value)
    tags = tuple([tag for tag in user.tags if len(tag) <= LONGEST_TEXT and _writable(tag)])
    if tags != user.tags or len(tags) > _MOST_READS:
        unknown.append("user.tags")
    return User(
        _short(user.id, "user.id", unknown),
        _short(user.tenant, "user.tenant", unknown),
        _short(user.tier, "user.tier", unknown),
        tags[:_MOST_READS],
    )


def _prompt(prompt: Prompt) -> PromptFacts:
    return PromptFacts(
        prompt.chars,
        prompt.tokens,
        prompt.messages,
        prompt.has_code,
        prompt.has_images,
        prompt.has_tools,
        prompt.language,
    )


def _memory(reads: Mapping[tuple[str, Any], Any]) -> tuple[Reading, ...]:
    """Return readings that are small; a verdict only when it holds no text of the guard's own."""
    found: list[Reading] = []
    for (kind, key), value in [*reads.items()][:_MOST_READS]:
        name, parameters = (key.guard.name, key.parameters) if isinstance(key, Hook) else (key, "")
        if len(name) + len(parameters) <= LONGEST_TEXT and _plain(value):
            found.append((kind, name, parameters, value))
    return tuple(found)


def _plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(name == "error" or not isinstance(one, str) for name, one in value.items()) and (
            all(_plain(one) for one in value.values())
        )
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and _writable(value)
    if isinstance(value, Sequence):
        return False
    return value is None or (isinstance(value, int | float) and abs(value) < _LARGEST)

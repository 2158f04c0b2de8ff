"""Features of the prompt, for all five operations alike."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sidecar.facts import text as plain
from sidecar.model import Operation

_PLACES: Mapping[Operation, tuple[str, str]] = {
    "chat": ("", "messages"),
    "completions": ("", "prompt"),
    "embeddings": ("", "input"),
    "responses": ("instructions", "input"),
    "messages": ("system", "messages"),
}
"""Operation → the body's fields with the system text and with the turns."""

_SYSTEM = ("system", "developer")
_IMAGES = ("image_url", "input_image", "image")
_TEXTS = ("output", "content", "text")
"""Where a content part has its text or its own parts; read last to first."""


class Content(NamedTuple):
    """What the turns hold, in order. ``ids``: tokens that came as numbers instead of text."""

    text: str
    last: str
    system: str
    messages: int
    has_images: bool
    ids: int


class Prompt:
    """A `sidecar.model.Prompt`; each feature is computed on first use and then kept."""

    __slots__ = (
        "_content",
        "_field",
        "_has_code",
        "_keywords",
        "_language",
        "_operation",
        "_tokens",
    )

    def __init__(self, operation: Operation, field: Callable[[str], Any]) -> None:
        """``field`` returns a top-level value of the body, or ``MISSING``."""
        self._operation: Operation = operation
        self._field = field
        self._content: Content | None = None
        self._tokens: int | None = None
        self._has_code: bool | None = None
        self._language: str | None = None
        self._keywords: tuple[str, ...] | None = None

    @property
    def content(self) -> Content:
        """The turns, walked once."""
        if self._content is None:
            system, turns = _PLACES[self._operation]
            self._content = _read(self._field(system) if system else None, self._field(turns))
        return self._content

    @property
    def text(self) -> str:
        """System text and that of all turns, tool results included, joined by newlines."""
        return self.content.text

    @property
    def last(self) -> str:
        """Text of the last user message; of the last element of ``prompt`` or ``input``."""
        return self.content.last

    @property
    def system(self) -> str:
        """Text of system and developer messages, ``instructions`` or ``system``."""
        return self.content.system

    @property
    def messages(self) -> int:
        """Number of messages, or of elements of ``prompt`` or ``input``."""
        return self.content.messages

    @property
    def has_images(self) -> bool:
        """Whether a content part is an image."""
        return self.content.has_images

    @property
    def chars(self) -> int:
        """Length of ``text`` in characters."""
        return len(self.content.text)

    @property
    def tokens(self) -> int:
        """Estimated tokens, by `plain.tokens`; tokens that came as numbers are counted."""
        if self._tokens is None:
            self._tokens = plain.tokens(self.content.text) + self.content.ids
        return self._tokens

    @property
    def has_code(self) -> bool:
        """Whether the text has a fenced block or looks like source code."""
        if self._has_code is None:
            self._has_code = plain.has_code(self.content.text)
        return self._has_code

    @property
    def has_tools(self) -> bool:
        """Whether ``tools`` or ``functions`` is a list with anything in it."""
        offers = (self._field("tools"), self._field("functions"))
        return any(isinstance(offer, list) and offer for offer in offers)

    @property
    def language(self) -> str:
        """ISO 639-1 code, or ``und``; see `plain.language`."""
        if self._language is None:
            self._language = plain.language(self.content.text)
        return self._language

    @property
    def keywords(self) -> tuple[str, ...]:
        """The distinct words of the text's end, lower-case; see `plain.keywords`."""
        if self._keywords is None:
            self._keywords = plain.keywords(self.content.text)
        return self._keywords


def _read(system: Any, turns: Any) -> Content:
    systems, images = _flatten(system)
    texts = list(systems)
    last: list[str] = []
    count = ids = 0
    for role, content in _turns(turns):
        said, pictured = _flatten(content)
        texts += said
        images = images or pictured
        count += 1
        if role == "user":
            last = said
        elif role in _SYSTEM:
            systems += said
        if isinstance(content, list):
            ids += sum(type(token) is int for token in content)
    return Content("\n".join(texts), "\n".join(last), "\n".join(systems), count, images, ids)


def _turns(turns: Any) -> list[tuple[Any, Any]]:
    """Return (role, content) pairs; a bare text, or a list of token ids, is what a user says."""
    if isinstance(turns, str):
        return [("user", turns)]
    if not isinstance(turns, list):
        return []
    if turns and all(type(turn) is int for turn in turns):
        return [("user", turns)]
    return [_turn(turn) for turn in turns if isinstance(turn, dict | str | list)]


def _turn(turn: Any) -> tuple[Any, Any]:
    if not isinstance(turn, dict):
        return ("user", turn)
    content = turn.get("content")
    return (turn.get("role"), content if isinstance(content, str) else turn)


def _flatten(content: Any) -> tuple[list[str], bool]:
    """Return the texts in order, and whether a part is an image.

    The stack is a list and not the interpreter's, so that deep nesting is no danger.
    """
    if isinstance(content, str):
        return [content], False
    texts = []
    images = False
    stack = [content]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            texts.append(node)
        elif isinstance(node, list):
            stack.extend(reversed(node))
        elif isinstance(node, dict):
            images = images or node.get("type") in _IMAGES
            stack.extend(node[name] for name in _TEXTS if name in node)
    return texts, images

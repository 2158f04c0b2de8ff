"""The documents as operators write them: for each kind a mapping from name to JSON text.

Texts stay texts until they are compiled, so that equal text can be recognised, and so that what
is stored, filed and kept in the history is what somebody wrote.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Literal, Self, get_args

import msgspec

from sidecar.config.faults import decode_object, nearest
from sidecar.errors import ConfigError, Fault

Kind = Literal[
    "backends",
    "routes",
    "routers",
    "flags",
    "experiments",
    "budgets",
    "keys",
    "guards",
    "tests",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}\Z")

Texts = Mapping[str, bytes]


class Documents(msgspec.Struct, frozen=True):
    """All documents of a configuration: name → JSON text (UTF-8), by kind."""

    backends: Texts = {}
    routes: Texts = {}
    routers: Texts = {}
    flags: Texts = {}
    experiments: Texts = {}
    budgets: Texts = {}
    keys: Texts = {}
    guards: Texts = {}
    tests: Texts = {}

    @classmethod
    def of(cls, objects: Mapping[str, Mapping[str, Any]]) -> Self:
        """Build from decoded objects: ``{"backends": {name: {…}}, …}``; raises ConfigError."""
        return cls.parse(msgspec.json.encode(objects))

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read one JSON object with a member for each kind; each document's text is kept.

        Raises ConfigError when it is not such an object; the documents are not looked into.
        """
        kinds = _members(text, "configuration")
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise ConfigError(
                [Fault(kind, f'unknown kind "{kind}"; {nearest(kind, KINDS)}') for kind in unknown]
            )
        return cls(
            **{
                kind: {name: bytes(one) for name, one in _members(raw, kind).items()}
                for kind, raw in kinds.items()
            }
        )

    def by_kind(self) -> Iterator[tuple[Kind, Texts]]:
        """Yield each kind with its documents, in the order of the contract."""
        return ((kind, getattr(self, kind)) for kind in KINDS)

    @property
    def empty(self) -> bool:
        """Whether there is no document at all."""
        return not any(texts for _, texts in self.by_kind())

    def changed_since(self, before: Self) -> list[str]:
        """Return what is different (`routes.premium`), in the order of kinds and names."""
        return [
            f"{kind}.{name}"
            for (kind, new), (_, old) in zip(self.by_kind(), before.by_kind(), strict=True)
            for name in sorted(new.keys() | old.keys())
            if new.get(name) != old.get(name)
        ]

    def overlaid(self, changes: Self) -> Self:
        """Return these documents with those of ``changes`` over them; ``null`` removes one."""
        merged = {kind: {**texts, **getattr(changes, kind)} for kind, texts in self.by_kind()}
        return msgspec.structs.replace(
            self,
            **{
                kind: {name: text for name, text in texts.items() if text.strip() != b"null"}
                for kind, texts in merged.items()
            },
        )

    def to_json(self, *, kept: Self | None = None) -> bytes:
        """Return one JSON object that ``parse`` reads; raises ConfigError on a broken text.

        A broken one that is in ``kept`` as well becomes a JSON string of itself.
        """
        known = kept or type(self)()
        return msgspec.json.encode(
            {
                kind: {
                    name: _value(text, f"{kind}.{name}", kept=getattr(known, kind).get(name))
                    for name, text in texts.items()
                }
                for kind, texts in self.by_kind()
            }
        )


class Digester:
    """Digests configurations; remembers the digest of each text, for most texts stay the same."""

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}
        self._last: tuple[Documents, str] | None = None

    def __call__(self, documents: Documents) -> str:
        """Return 32 hex digits; equal content gives equal digits whatever the order of keys."""
        if self._last is None or self._last[0] is not documents:
            self._last = documents, self._compute(documents)
        return self._last[1]

    def _compute(self, documents: Documents) -> str:
        known, total = {}, blake2b(digest_size=16)
        for kind, texts in documents.by_kind():
            for name in sorted(texts):
                text = texts[name]
                known[text] = part = self._known.get(text) or _digest(text)
                total.update(f"\0{kind}\0{name}\0".encode() + part)
        self._known = known
        return total.hexdigest()


def check_name(kind: Kind, name: str) -> Iterator[Fault]:
    """Yield what is wrong with the name of a document."""
    path = f"{kind}.{name}"
    if not NAME.match(name):
        yield Fault(
            path,
            "a name must start with a letter or a digit, and continue with at most 127 "
            "letters, digits or any of . _ : @ / -",
        )
    elif name.startswith("router/"):
        yield Fault(path, "a name must not start with router/, which means a stored router")


def _value(text: bytes, path: str, kept: bytes | None) -> Any:
    try:
        return decode_object(text, path)
    except ConfigError:
        if text != kept:
            raise
        return text.decode(errors="backslashreplace")


def _members(text: bytes | msgspec.Raw, path: str) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError([Fault(path, str(error))]) from None


def _digest(text: bytes) -> bytes:
    # A broken document has a digest too, that of its very bytes.
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = msgspec.json.encode(msgspec.json.decode(text), order="sorted")
    return blake2b(text, digest_size=16).digest()

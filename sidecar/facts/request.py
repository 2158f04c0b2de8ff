"""The facts of one request: cheap ones at once, the others when a rule asks for them."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from sidecar.errors import InvalidJson
from sidecar.facts import scan
from sidecar.facts.prompt import Prompt
from sidecar.facts.user import read_user
from sidecar.model import MISSING, NOBODY, OTHERS, KeyOwner, Operation, Span, User

NO_KEYS: Mapping[str, KeyOwner] = MappingProxyType({})

_LONGEST = 2**63 - 1
_TOKEN_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_STREAM = {b"true": True, b"false": False, b"null": False}

_decode_text = msgspec.json.Decoder(str).decode


class Request:
    """An `InferenceRequest` over the client's bytes.

    Client data of a wrong type counts as absent, ``model`` and ``stream`` aside; so does an empty
    text where a name is expected. Any lazy fact raises `InvalidJson` when its nesting is too deep.
    """

    __slots__ = (
        "_api_key",
        "_feature_flags",
        "_fields",
        "_keys",
        "_prompt",
        "_user",
        "_values",
        "body",
        "headers",
        "model",
        "operation",
        "path",
        "spans",
        "stream",
    )

    def __init__(
        self,
        operation: Operation,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        keys: Mapping[str, KeyOwner] = NO_KEYS,
    ) -> None:
        fields, spans = scan.members(body)
        self.operation: Operation = operation
        self.path = path
        self.headers = headers
        self.body = body
        self.spans: Mapping[str, Span] = spans
        self.model = _model(fields)
        self.stream = _stream(fields)
        self._fields = fields
        self._keys = keys
        self._values: dict[str, Any] = {}
        self._user: User | None = None
        self._api_key: str | msgspec.UnsetType | None = MISSING
        self._feature_flags: frozenset[str] | None = None
        self._prompt: Prompt | None = None

    def value(self, path: Sequence[str | int]) -> Any:
        """Return the JSON value at ``path``, or ``MISSING``; the empty path is the whole body.

        Names step into objects, numbers from 0 into arrays. The value is shared: do not change it.
        Numbers beyond a double read as the largest double.
        """
        if not path:
            return {name: self._field(name) for name in self._fields}
        node = self._field(path[0])
        for step in path[1:]:
            if isinstance(node, dict):
                node = node.get(step, MISSING)
            elif isinstance(node, list) and isinstance(step, int) and 0 <= step < len(node):
                node = node[step]
            else:
                return MISSING
        return node

    @property
    def user(self) -> User:
        """Who asks; see `read_user` for what comes from where."""
        if self._user is None:
            # Without keys nobody's key is hashed.
            owner = self._owner() if self._keys else NOBODY
            self._user = read_user(self.headers, self.value, owner)
        return self._user

    @property
    def session(self) -> str | None:
        """``x-session-id``, else ``session_id`` of the body's ``metadata``."""
        session = self.headers.get("x-session-id") or self.value(("metadata", "session_id"))
        return session if isinstance(session, str) and session else None

    @property
    def api_key(self) -> str | None:
        """First 16 hex digits of the SHA-256 of the bearer token, ``x-api-key`` or ``api-key``."""
        if self._api_key is MISSING:
            self._api_key = api_key_of(self.headers)
        return self._api_key

    @property
    def region(self) -> str | None:
        """``x-region``."""
        return self.headers.get("x-region") or None

    @property
    def max_tokens(self) -> int | None:
        """The first usable of `_TOKEN_LIMITS`; beyond 2**63 - 1 it is that, below 0 unusable."""
        limits = (_count(self._field(name)) for name in _TOKEN_LIMITS)
        return next((limit for limit in limits if limit is not None), None)

    @property
    def max_cost_per_token(self) -> float | None:
        """US dollars per token from the body, else from ``x-max-cost-per-token``; not below 0."""
        price = _price(self._field("max_cost_per_token"))
        return _price(_number(self.headers.get("x-max-cost-per-token"))) if price is None else price

    @property
    def feature_flags(self) -> frozenset[str]:
        """The names in ``x-feature-flags``, which are separated by commas."""
        if self._feature_flags is None:
            names = self.headers.get("x-feature-flags", "").split(",")
            self._feature_flags = frozenset(name.strip() for name in names) - {""}
        return self._feature_flags

    @property
    def prompt(self) -> Prompt:
        """Features of the prompt."""
        if self._prompt is None:
            self._prompt = Prompt(self.operation, self._field)
        return self._prompt

    def _owner(self) -> KeyOwner:
        known = self._keys.get(self.api_key or "")
        return self._keys.get(OTHERS, NOBODY) if known is None else known

    def _field(self, name: Any) -> Any:
        """Return a top-level value, decoded once; a number is no name and finds nothing."""
        raw = self._fields.get(name)
        if raw is None:
            return MISSING
        if name not in self._values:
            self._values[name] = scan.decode(raw, name)
        return self._values[name]


def _model(fields: Mapping[str, msgspec.Raw]) -> str | None:
    raw = fields.get("model")
    if raw is None:
        return None
    try:
        return _decode_text(raw)
    except msgspec.ValidationError:
        raise InvalidJson("'model' must be a string", param="model") from None


def _stream(fields: Mapping[str, msgspec.Raw]) -> bool:
    raw = fields.get("stream")
    if raw is None:
        return False
    stream = _STREAM.get(bytes(raw))
    if stream is None:
        raise InvalidJson("'stream' must be true or false", param="stream")
    return stream


def api_key_of(headers: Mapping[str, str]) -> str | None:
    """Return `Request.api_key` of a request with these headers."""
    return _hashed(_credential(headers))


def _credential(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key") or headers.get("api-key") or ""


def _hashed(token: str) -> str | None:
    # "surrogatepass": a header need not be UTF-8, and what stands for its bytes must not raise.
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16] if token else None


def _count(value: Any) -> int | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        return None
    count = int(min(value, _LONGEST))
    return count if count == min(value, _LONGEST) else None


def _price(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
        return None
    return float(min(value, sys.float_info.max))


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None

"""A request that is known by its facts alone; whoever asks for another one is told so."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sidecar.model import (
    BASE_HEADERS,
    FORGETFUL,
    MISSING,
    NOBODY,
    OPERATIONS,
    OTHERS,
    SECRET_HEADERS,
    Hook,
    KeyOwner,
    Memory,
    Operation,
    Span,
    User,
)
from sidecar.whatif.facts import NAME, Facts, PromptFacts

_KEY_HEADERS = frozenset({"authorization", "x-api-key", "api-key"})
_SELDOM = frozenset({"text", "last", "system", "keywords"})


class Unknown(Exception):
    """A decision needs a fact that was not recorded."""

    def __init__(self, fact: str) -> None:
        super().__init__(fact)
        self.fact = fact


class Touched:
    """The unknown facts that were asked for: also when somebody swallowed the exception."""

    __slots__ = ("facts",)

    def __init__(self) -> None:
        self.facts: set[str] = set()

    def unknown(self, fact: str) -> Unknown:
        """Note ``fact`` and return what to raise."""
        self.facts.add(fact)
        return Unknown(fact)


class RecordedHeaders(Mapping[str, str]):
    """Headers: what the rules of then read is known, present or not; the rest is unknown."""

    __slots__ = ("_facts", "_known", "_touched", "_wanted")

    def __init__(self, facts: Facts, touched: Touched, wanted: Sequence[str]) -> None:
        """``wanted``: the headers that the rules read now, all of which they would be sent."""
        self._facts, self._touched, self._wanted = facts, touched, wanted
        self._known = {*BASE_HEADERS, *facts.read} - SECRET_HEADERS

    def __getitem__(self, name: str) -> str:
        found = self._facts.headers.get(name)
        if found is not None:
            return found
        if name in self._known and f"headers.{name}" not in self._facts.unknown:
            raise KeyError(name)
        raise self._touched.unknown(f"headers.{name}")

    def __iter__(self) -> Iterator[str]:
        for name in self._wanted:
            if name not in SECRET_HEADERS and name in self:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)


class RecordedBody(bytes):
    """Stands for a body of which the size is known, and for sure no byte."""

    _size: int
    _touched: Touched

    @classmethod
    def of(cls, size: int, touched: Touched) -> "RecordedBody":
        """Return one of ``size`` bytes."""
        made = cls()
        made._size, made._touched = size, touched
        return made

    def __len__(self) -> int:
        return self._size

    def __contains__(self, _part: Any) -> bool:
        # Whoever looks for bytes does so to spare a closer look: let him take that.
        return True

    def __getitem__(self, _place: Any) -> Any:
        raise self._touched.unknown("body")

    def decode(self, *_arguments: Any, **_named: Any) -> str:
        """Raise Unknown."""
        raise self._touched.unknown("body")


class RecordedPrompt:
    """A `sidecar.model.Prompt` without any text."""

    __slots__ = ("_facts", "_touched")

    def __init__(self, facts: PromptFacts | None, touched: Touched) -> None:
        self._facts, self._touched = facts, touched

    def __getattr__(self, name: str) -> Any:
        if self._facts is None or name in _SELDOM:
            raise self._touched.unknown(f"prompt.{name}")
        return getattr(self._facts, name)


class RecordedRequest:
    """An `InferenceRequest` over facts. ``keys`` and ``wanted`` headers: of the rules of now."""

    __slots__ = (
        "_facts",
        "_keys",
        "body",
        "headers",
        "model",
        "operation",
        "path",
        "prompt",
        "spans",
        "stream",
        "touched",
    )

    def __init__(
        self, facts: Facts, keys: Mapping[str, KeyOwner], wanted: Sequence[str] = ()
    ) -> None:
        self.touched = touched = Touched()
        self._facts, self._keys = facts, keys
        self.operation: Operation = OPERATIONS[facts.path]
        self.path, self.model, self.stream = facts.path, facts.model, facts.stream
        self.headers: Mapping[str, str] = RecordedHeaders(facts, touched, wanted)
        self.body: bytes = RecordedBody.of(facts.size, touched)
        sizes = {**dict.fromkeys(facts.numbers, 1), **facts.others}
        self.spans: Mapping[str, Span] = {name: Span(0, 0, size) for name, size in sizes.items()}
        self.prompt: Any = RecordedPrompt(facts.prompt, touched)

    def value(self, path: Sequence[str | int]) -> Any:
        """Return a number, or ``MISSING`` for what was not in the body; raises Unknown."""
        name = path[0] if path else ""
        facts = self._facts
        if name == "model" and facts.model is not None:
            return facts.model if len(path) == 1 else MISSING
        if name in facts.numbers:
            return facts.numbers[name] if len(path) == 1 else MISSING
        if name in facts.others or not isinstance(name, str) or not NAME.fullmatch(name):
            raise self.touched.unknown(f"body.{name}" if name else "body")
        return MISSING

    @property
    def user(self) -> User:
        """Who asks: what the API key says under the keys of now holds."""
        owner, said = self._owner() if self._keys else NOBODY, self._facts.user
        for name in ("id", "tenant", "tier", "tags"):
            if getattr(owner, name) is None and f"user.{name}" in self._facts.unknown:
                raise self.touched.unknown(f"user.{name}")
        return User(
            owner.id or said.id,
            owner.tenant or said.tenant,
            owner.tier or said.tier,
            said.tags if owner.tags is None else owner.tags,
        )

    @property
    def session(self) -> str | None:
        """The session, if it was short enough."""
        if "session" in self._facts.unknown:
            raise self.touched.unknown("session")
        return self._facts.session

    @property
    def api_key(self) -> str | None:
        """The key's digest; known when the rules of then read keys."""
        if self._facts.api_key is None and not _KEY_HEADERS.issubset(self._facts.read):
            raise self.touched.unknown("api_key")
        return self._facts.api_key

    @property
    def region(self) -> str | None:
        """``x-region``."""
        return self.headers.get("x-region") or None

    @property
    def max_tokens(self) -> int | None:
        """The limit of tokens."""
        return self._facts.max_tokens

    @property
    def max_cost_per_token(self) -> float | None:
        """The limit of costs."""
        return self._facts.max_cost_per_token

    @property
    def feature_flags(self) -> frozenset[str]:
        """The names in ``x-feature-flags``."""
        names = self.headers.get("x-feature-flags", "").split(",")
        return frozenset(name.strip() for name in names) - {""}

    def _owner(self) -> KeyOwner:
        known = self._keys.get(self.api_key or "")
        return self._keys.get(OTHERS, NOBODY) if known is None else known


class RecordedMemory:
    """What was read of the memory then; turns and pins that were not are those of ``otherwise``.

    Counts and verdicts of guards that nobody read then are unknown.
    """

    __slots__ = ("_otherwise", "_reads", "_touched")

    def __init__(self, facts: Facts, touched: Touched, otherwise: Memory = FORGETFUL) -> None:
        self._reads = {(kind, key, more): value for kind, key, more, value in facts.memory}
        self._touched, self._otherwise = touched, otherwise

    def turn(self, key: str) -> int:
        """Return the turns of then."""
        found = self._reads.get(("turn", key, ""))
        return self._otherwise.turn(key) if found is None else int(found)

    def pin(self, key: str) -> str | None:
        """Return the pin of then."""
        if ("pin", key, "") not in self._reads:
            return self._otherwise.pin(key)
        found: str | None = self._reads["pin", key, ""]
        return found

    def usage(self, key: str) -> float:
        """Return the count of then; raises Unknown."""
        if ("usage", key, "") not in self._reads:
            raise self._touched.unknown("what was counted (a limit)")
        return float(self._reads["usage", key, ""])

    def usages(self, keys: tuple[str, ...]) -> tuple[float, ...]:
        """Return the counts of then; raises Unknown."""
        return tuple(map(self.usage, keys))

    def shared(self, key: str) -> bool:
        """Tell whether counts were shared then; they nearly always are."""
        return bool(self._reads.get(("shared", key, ""), True))

    def verdict(self, hook: Hook) -> Mapping[str, Any]:
        """Return the guard's verdict of then; raises Unknown."""
        found = self._reads.get(("verdict", hook.guard.name, hook.parameters))
        if found is None:
            raise self._touched.unknown(f"guards.{hook.guard.name}")
        verdict: Mapping[str, Any] = found
        return verdict

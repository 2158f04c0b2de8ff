"""The vocabulary: frozen values and Protocols that every room shares.

Nothing here does I/O, reads a clock or draws a number; time, entropy and statistics are values.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

Operation = Literal["chat", "completions", "embeddings", "responses", "messages"]
Window = Literal["1m", "15m", "1h", "total"]

OPERATIONS: Mapping[str, Operation] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
}
"""Path of a decided request → operation. Any other path is undecided."""

CONTROL_FIELDS = ("router", "extra", "max_retries", "fallbacks", "max_cost_per_token")
"""Body fields that steer the decision and that no upstream may see."""

BASE_HEADERS = (
    "x-user-id",
    "x-tenant-id",
    "x-user-tier",
    "x-session-id",
    "x-priority",
    "x-region",
    "x-feature-flags",
    "x-max-cost-per-token",
    "x-pointsman-variant",
)
"""Request headers that are always read; live rules add their own."""

MAX_ATTEMPTS = 10
"""Longest plan, and deepest nesting of routers (LangDB's MAX_DEPTH counts both)."""

LIMITED = "~limited"
"""Suffix of a backend's second cluster, which enforces its own shorter time to first byte."""

MISSING = msgspec.UNSET
"""What a subject evaluates to when the request does not have it. JSON ``null`` is ``None``."""


class Span(NamedTuple):
    """A top-level member of the body: byte offsets of its key and its value, half-open."""

    key: int
    start: int
    end: int


class User(NamedTuple):
    """Who asks: from the ``x-user-*`` headers, else from ``extra.user``, else from ``user``."""

    id: str | None
    tenant: str | None
    tier: str | None
    tags: tuple[str, ...]


class Prompt(Protocol):
    """Features of the prompt; each is computed on first use and then kept."""

    @property
    def text(self) -> str:
        """All text of all messages (or of ``prompt`` / ``input``), joined by newlines."""

    @property
    def last(self) -> str:
        """Text of the last user message."""

    @property
    def system(self) -> str:
        """Text of system and developer messages (or of ``instructions`` / ``system``)."""

    @property
    def chars(self) -> int:
        """Length of ``text`` in characters."""

    @property
    def tokens(self) -> int:
        """Estimated tokens of ``text``; an estimate, never used for billing."""

    @property
    def messages(self) -> int:
        """Number of messages."""

    @property
    def has_code(self) -> bool:
        """Whether the text has a fenced block or looks like source code."""

    @property
    def has_images(self) -> bool:
        """Whether a content part is an image."""

    @property
    def has_tools(self) -> bool:
        """Whether the request offers tools or functions."""

    @property
    def language(self) -> str:
        """ISO 639-1 code of the text's language or script, ``und`` when it cannot be told."""


class InferenceRequest(Protocol):
    """The facts of one request. Cheap ones are read at once, the others on first use."""

    operation: Operation
    path: str
    headers: Mapping[str, str]
    body: bytes
    spans: Mapping[str, Span]
    model: str | None
    stream: bool

    def value(self, path: Sequence[str | int]) -> Any:
        """Return the JSON value at ``path`` in the body, or ``MISSING``."""

    @property
    def user(self) -> User:
        """Who asks."""

    @property
    def session(self) -> str | None:
        """``x-session-id``, else ``session_id`` of the body's ``metadata``."""

    @property
    def api_key(self) -> str | None:
        """First 16 hex digits of the SHA-256 of the bearer token; never the key itself."""

    @property
    def region(self) -> str | None:
        """``x-region``."""

    @property
    def max_tokens(self) -> int | None:
        """``max_completion_tokens``, ``max_output_tokens`` or ``max_tokens``."""

    @property
    def max_cost_per_token(self) -> float | None:
        """US dollars per token, from the body, else from ``x-max-cost-per-token``."""

    @property
    def feature_flags(self) -> frozenset[str]:
        """Names in ``x-feature-flags`` (comma-separated): flags that this caller asks for."""

    @property
    def prompt(self) -> Prompt:
        """Features of the prompt."""


class Endpoint(msgspec.Struct, frozen=True):
    """One address of a backend."""

    url: str
    weight: int = 1
    zone: str | None = None


class Price(msgspec.Struct, frozen=True):
    """US dollars per token."""

    per_input_token: float = 0.0
    per_output_token: float = 0.0
    per_cached_input_token: float | None = None


class Health(msgspec.Struct, frozen=True):
    """Active health check: GET ``path`` every ``interval_seconds``."""

    path: str
    interval_seconds: float = 10.0


class Backend(msgspec.Struct, frozen=True):
    """A model at a provider. Its name is also the name of its Envoy cluster."""

    name: str
    model: str
    provider: str
    type: str = "openai"
    endpoints: tuple[Endpoint, ...] = ()
    enabled: bool = True
    priority: int = 100
    defaults: Mapping[str, Any] = {}
    timeout_seconds: float = 60.0
    price: Price = Price()
    max_context_size: int | None = None
    capabilities: frozenset[str] = frozenset()
    region: str | None = None
    credential: str | None = None
    credential_header: str = "authorization"
    health: Health | None = None
    description: str = ""
    tags: Mapping[str, str] = {}


class Attempt(NamedTuple):
    """One step of a plan: this backend with these parameters over the request's own."""

    backend: Backend
    parameters: Mapping[str, Any]


class Plan(NamedTuple):
    """What to try, in order; ``probability`` is that of drawing this first attempt.

    ``strategy`` names the routers that were walked, outermost first (``fallback/optimized``).
    """

    attempts: tuple[Attempt, ...]
    probability: float
    strategy: str


class WindowStats(msgspec.Struct, frozen=True):
    """What one backend did in one window, over all nodes. Means are ``None`` without samples."""

    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def error_rate(self) -> float | None:
        """Errors by requests, or ``None`` when there were no requests."""
        return self.errors / self.requests if self.requests else None


class BackendStats(msgspec.Struct, frozen=True):
    """The windows of one backend; a window that is absent has no samples."""

    windows: Mapping[Window, WindowStats] = {}
    in_flight: int = 0


class Stats(msgspec.Struct, frozen=True):
    """Frozen view of all backends. ``unready``: clusters that Envoy does not have (yet)."""

    backends: Mapping[str, BackendStats] = {}
    unready: frozenset[str] = frozenset()


class Entropy:
    """A deterministic source of uniforms: same seed, same numbers, so a decision can be replayed.

    SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    """

    __slots__ = ("_state", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = self._state = seed & 0xFFFFFFFFFFFFFFFF

    def uniform(self) -> float:
        """Return the next number in [0, 1), with 53 random bits."""
        self._state = z = (self._state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return ((z ^ (z >> 31)) >> 11) * 2.0**-53


class Context(NamedTuple):
    """All that a decision may depend on besides the snapshot. ``now``: Unix time in seconds."""

    request: InferenceRequest
    stats: Stats
    entropy: Entropy
    now: float


Predicate = Callable[[Context], bool]
Accessor = Callable[[Context], Any]
"""Reads one subject; returns ``MISSING`` when there is none."""


class Compilers(NamedTuple):
    """What a router needs from other rooms when it is built; both raise ConfigError.

    ``accessor(subject, path)`` compiles a SUBJECT (`user.id`, `headers.x-a`, `body.a.b`);
    ``condition(document, path)`` compiles a CONDITION. ``path`` is used in fault messages.
    """

    accessor: Callable[[str, str], Accessor]
    condition: Callable[[Any, str], Predicate]


class Candidate(NamedTuple):
    """A target that can be tried now: its place in the router, its name, and its own plan."""

    place: int
    label: str
    plan: Plan

    @property
    def backend(self) -> Backend:
        """The backend that this candidate would try first."""
        return self.plan.attempts[0].backend


class Ranking(NamedTuple):
    """Candidates in the order to try, and the probability of drawing the first of them."""

    order: Sequence[Candidate]
    probability: float = 1.0


class Strategy(Protocol):
    """Puts candidates into order. Pure: time, statistics and chance come from the context."""

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return all candidates, best first; ``candidates`` is never empty."""


class Leaf(msgspec.Struct, frozen=True):
    """A target that names backends: one, or all of `provider/*` or of a bare model name."""

    label: str
    backends: tuple[Backend, ...]
    parameters: Mapping[str, Any] = {}


class Router(msgspec.Struct, frozen=True):
    """A strategy over targets. ``keep_rest``: the rest of the ranking stays as fallback."""

    name: str
    type: str
    strategy: Strategy
    targets: "tuple[Leaf | Router, ...]"
    keep_rest: bool = True
    parameters: Mapping[str, Any] = {}
    warnings: tuple[str, ...] = ()


class Route(msgspec.Struct, frozen=True):
    """An ordered rule: when ``matches`` says yes, ``router`` decides. ``None``: always."""

    name: str
    order: float
    router: Router
    matches: Predicate | None = None
    models: frozenset[str] | None = None
    """The only model names that can match, if the condition pins them; for the index."""


class RouteIndex(Protocol):
    """Finds the first route that matches."""

    def first(self, context: Context) -> Route | None:
        """Return the route that decides, or ``None``."""


class Policy(msgspec.Struct, frozen=True):
    """Process settings that a decision depends on."""

    inline_routers: bool = True
    inline_scripts: bool = False
    unknown_model: Literal["default", "reject"] = "default"


class Catalog(Protocol):
    """Resolves target names to backends and stored routers."""

    def leaf(self, name: str, parameters: Mapping[str, Any]) -> Leaf | None:
        """Return the backends called ``name`` (`name`, `provider/model`, `provider/*`, model)."""

    def router(self, name: str) -> Router | None:
        """Return the stored router called ``name``."""

    def known(self) -> Sequence[str]:
        """Return what a target can be called (`name`, `router/<name>`), for fault messages."""


class Snapshot(msgspec.Struct, frozen=True):
    """The live configuration, compiled. ``headers``: request headers that it reads, sorted."""

    version: int
    digest: str
    backends: Mapping[str, Backend]
    routers: Mapping[str, Router]
    routes: RouteIndex
    catalog: Catalog
    default: Router | None
    headers: tuple[str, ...] = BASE_HEADERS
    policy: Policy = Policy()
    route_list: tuple[Route, ...] = ()
    """The same routes, in any order, for those who list them: ``routes`` only finds."""


class Splice(NamedTuple):
    """Replace ``length`` bytes at ``offset`` of the original body by ``text`` (UTF-8)."""

    offset: int
    length: int
    text: str


class Decision(NamedTuple):
    """What was decided, and enough to decide it again: seed and time are in the id."""

    id: str
    route: str
    plan: Plan
    splices: tuple[tuple[Splice, ...], ...]
    """For each attempt the splices that turn the client's body into what it gets, ascending."""
    config_version: int
    model: str | None
    warnings: tuple[str, ...] = ()
    hide_usage: bool = False
    """Whether the stream's usage chunk is for us only, because the client did not ask for it."""

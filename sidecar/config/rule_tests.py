"""Rule tests: operators' own cases, decided by their rules before those go live.

Pure: time, chance and statistics come from the test, so that it says the same each time. Workers
never run tests; what is expected of rules does not slow them down.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from sidecar import facts, rewrite
from sidecar.config.documents import Documents
from sidecar.config.expectations import (
    VARIED,
    Expectation,
    RequestDocument,
    RuleTestDocument,
    decode_test,
)
from sidecar.config.faults import nearest
from sidecar.decide import DEFAULT, INLINE, NAMED, STORED, decide
from sidecar.errors import ConfigError, Fault, RequestError
from sidecar.model import Count, Decision, Effect, Entropy, Hook, SetPin, Snapshot, TakeTurn

_NO_ROUTE = (INLINE, STORED, NAMED, DEFAULT)
_LONGEST_BODY = 500
"""A longer one is no part of a command that somebody pastes."""


class Result(NamedTuple):
    """How one test went; ``problem`` says what was expected and what came instead."""

    name: str
    passed: bool
    problem: str = ""


def run(snapshot: Snapshot, documents: Documents, source: str = "FILE") -> Iterator[Result]:
    """Run all tests of ``documents``, which ``snapshot`` was compiled from, by name.

    ``source``: the file that they are in, for the command that says why a test failed.
    Raises ConfigError with every fault when tests are wrong, or name what there is not.
    """
    faults: list[Fault] = []
    tests: dict[str, Expectation] = {}
    for name in sorted(documents.tests):
        try:
            tests[name] = decode_test(name, documents.tests[name])
        except ConfigError as error:
            faults.extend(error.faults)
        else:
            faults.extend(_check_references(f"tests.{name}", tests[name], snapshot, documents))
    if faults:
        raise ConfigError(faults)
    return (_run(name, test, snapshot, source) for name, test in tests.items())


def _check_references(
    path: str, test: Expectation, snapshot: Snapshot, documents: Documents
) -> Iterator[Fault]:
    document, expect = test.document, test.document.expect
    routes = [*_NO_ROUTE, *sorted(documents.routes)]
    if expect.route is not None and expect.route not in routes:
        message = f'unknown route "{expect.route}"; {nearest(expect.route, routes)}'
        yield Fault(f"{path}.expect.route", message)
    for name in document.guards:
        if name not in snapshot.guards:
            message = f'unknown guard "{name}"; {nearest(name, sorted(snapshot.guards))}'
            yield Fault(f"{path}.guards.{name}", message)
    named: dict[str, Sequence[str]] = {
        "stats": [*document.stats],
        "unready": sorted(document.unready),
        "expect.backend": [expect.backend] if expect.backend is not None else [],
        "expect.backends": expect.backends or [],
        "expect.share": [*(expect.share or ())],
    }
    backends = sorted(snapshot.backends)
    for where, names in named.items():
        for name in names:
            if name not in snapshot.backends:
                message = f'unknown backend "{name}"; {nearest(name, backends)}'
                yield Fault(f"{path}.{where}", message)


def _run(name: str, test: Expectation, snapshot: Snapshot, source: str) -> Result:
    world = _World(test, snapshot)
    share = test.document.expect.share
    problem = world.compare_one() if share is None else world.compare_shares(share)
    if not problem:
        return Result(name, passed=True)
    return Result(name, passed=False, problem=f"{problem}. See why: {_why(test.document, source)}")


def _why(test: RuleTestDocument, source: str) -> str:
    """Return the command that explains the test's decision; statistics it cannot be given."""
    at = msgspec.json.encode(test.at).decode().strip('"')
    options = ["--config", source, "--seed", str(test.seed), "--at", at]
    if test.request.path != RequestDocument().path:
        options += ["--path", test.request.path]
    for name, text in test.request.headers.items():
        options += ["--header", f"{name}:{text}"]
    body = _body(test.request).decode()
    if len(body) > _LONGEST_BODY:
        return shlex.join(["pointsman", "explain", "--file", "BODY", *options])
    return f"printf %s {shlex.quote(body)} | {shlex.join(['pointsman', 'explain', *options])}"


class _World:
    """What one test is decided in: its statistics, its time, and a memory of its own."""

    def __init__(self, test: Expectation, snapshot: Snapshot) -> None:
        self._test, self._document = test, test.document
        self._snapshot = snapshot
        self._memory = _Memory(test.document.guards)
        self._now = test.document.at.timestamp()

    def compare_one(self) -> str:
        """Decide once; return what is otherwise than expected."""
        expect, request = self._document.expect, self._document.request
        decision = self._decide(request, self._document.seed)
        if isinstance(decision, RequestError):
            if decision.code == expect.code:
                return ""
            wanted = ", ".join(f"{field} {_shown(value)}" for field, value in expect.given.items())
            return f"expected {wanted}, got {decision.code}: {decision.message}"
        came = _came(decision, request, expect.parameters or {})
        problems = [
            f"expected {field} {_shown(wanted)}, got {_shown(came[field])}"
            for field, wanted in expect.given.items()
            if wanted != came[field]
        ]
        return f"{'; '.join(problems)}. {_decided(decision)}" if problems else ""

    def compare_shares(self, share: Mapping[str, float]) -> str:
        """Decide many times; return which shares of first attempts are otherwise."""
        document = self._document
        vary = _varied(document.vary) if document.vary else None
        seen: Counter[str] = Counter()
        for sample in range(document.samples):
            request = vary(document.request, f"sample-{sample}") if vary else document.request
            decision = self._decide(request, document.seed + sample)
            if isinstance(decision, RequestError):
                seen[f"refused with {decision.code}"] += 1
            else:
                seen[decision.plan.attempts[0].backend.name] += 1
        problems = [
            f"expected {wanted:g} ± {document.tolerance:g} % for {backend}, got {came:.1f} %"
            for backend, wanted in share.items()
            if abs((came := 100 * seen[backend] / document.samples) - wanted) > document.tolerance
        ]
        counts = ", ".join(f"{name} {count}" for name, count in seen.most_common())
        return f"{'; '.join(problems)}. Decided: {counts}" if problems else ""

    def _decide(self, document: RequestDocument, seed: int) -> Decision | RequestError:
        given = {name.lower(): text for name, text in document.headers.items()}
        # Envoy sends the headers that rules read and no others: so does a test.
        headers = {name: given[name] for name in self._snapshot.headers if name in given}
        keys = self._snapshot.keys
        try:
            request = facts.read(document.path, headers, _body(document), keys=keys)
            decision = decide(
                self._snapshot,
                self._test.stats,
                request,
                Entropy(seed),
                self._now,
                memory=self._memory,
            )
        except RequestError as error:
            return error
        self._memory.take(decision.plan.effects)
        return decision


class _Memory:
    """What the decisions of one test leave behind. Its time stands still: nothing runs out."""

    def __init__(self, guards: Mapping[str, Mapping[str, Any]]) -> None:
        self._guards = guards
        self._turns: Counter[str] = Counter()
        self._pins: dict[str, str] = {}
        self._counts: dict[str, float] = {}

    def turn(self, key: str) -> int:
        return self._turns[key]

    def pin(self, key: str) -> str | None:
        return self._pins.get(key)

    def usage(self, key: str) -> float:
        return self._counts.get(key, 0.0)

    def usages(self, keys: tuple[str, ...]) -> tuple[float, ...]:
        return tuple(map(self.usage, keys))

    def shared(self, _key: str) -> bool:
        return True

    def verdict(self, hook: Hook) -> Mapping[str, Any]:
        silence = {"error": "timeout", "passed": hook.guard.on_error == "pass"}
        return self._guards.get(hook.guard.name, silence)

    def take(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case TakeTurn(key):
                    self._turns[key] += 1
                case SetPin(key, target):
                    self._pins[key] = target
                case Count(key, amount):
                    self._counts[key] = self._counts.get(key, 0.0) + amount


def _varied(subject: str) -> Callable[[RequestDocument, str], RequestDocument]:
    """Return what gives a request another value of ``subject``."""
    family, _, rest = subject.partition(".")

    def in_body(request: RequestDocument, value: str) -> RequestDocument:
        return msgspec.structs.replace(request, body=_with(request.body, rest.split("."), value))

    def in_header(request: RequestDocument, value: str) -> RequestDocument:
        headers = {name.lower(): text for name, text in request.headers.items()}
        headers[header] = f"Bearer {value}" if subject == "api_key" else value
        return msgspec.structs.replace(request, headers=headers)

    header = VARIED.get(subject) or rest.lower()
    return in_body if family == "body" else in_header


def _with(body: Mapping[str, Any], steps: Sequence[str], value: str) -> dict[str, Any]:
    inner = body.get(steps[0])
    below = inner if isinstance(inner, dict) else {}
    return {**body, steps[0]: _with(below, steps[1:], value) if steps[1:] else value}


def _body(document: RequestDocument) -> bytes:
    return msgspec.json.encode(document.body)


def _came(decision: Decision, request: RequestDocument, asked: Iterable[str]) -> dict[str, Any]:
    """Return what may be expected, of the parameters those that were ``asked`` for."""
    names = tuple(attempt.backend.name for attempt in decision.plan.attempts)
    sent = msgspec.json.decode(rewrite.apply(_body(request), decision.splices[0]))
    return {
        "route": decision.route,
        "strategy": decision.plan.strategy,
        "backend": names[0],
        "backends": names,
        "parameters": {name: sent[name] for name in asked if name in sent},
        "code": None,
    }


def _decided(decision: Decision) -> str:
    plan = decision.plan
    names = ", ".join(attempt.backend.name for attempt in plan.attempts)
    warned = f", warnings {', '.join(decision.warnings)}" if decision.warnings else ""
    return f"Decided: route {decision.route}, {plan.strategy}, plan {names}{warned}"


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()

"""Access log entries → what came of each request and of each failed attempt.

Nothing here raises on an odd entry: what is absent or cannot be read is `None`, `""` or 0.

Envoy 1.40 logs a request once, when it is over (log `requests`), and each failed attempt at a
backend (log `attempts`, without any metadata). The last attempt of a request that failed is in
both, unless Envoy itself ended it; that failure is the outcome's `unlogged`.
"""

from typing import Any, NamedTuple

import msgspec

from sidecar.errors import BodyTooLarge, RequestError
from sidecar.model import LIMITED, OPERATIONS, Assignment, Charge
from sidecar.pb.access_log_entry_pb2 import AccessLogCommon, HTTPAccessLogEntry, ResponseFlags
from sidecar.telemetry import logged
from sidecar.telemetry import traced as traces
from sidecar.telemetry.retry_after import read_wait
from sidecar.telemetry.traced import Traced, TracedAttempt
from sidecar.telemetry.usage import Usage, read_charges, read_usage

DECIDED = "decided"
"""Name of the routes of Envoy whose requests are decided."""

_VIA_UPSTREAM = "via_upstream"
_ERROR_CODES = tuple(sorted(kind.code for kind in RequestError.__subclasses__()))
_LOGGED_FAILURES = {
    "upstream_request_timeout": "timeout",
    "local_reset": "reset",
    "upstream_remote_reset": "reset",
    "upstream_connection_failure": "connect_failure",
    "upstream_connection_termination": "reset",
    "upstream_overflow": "overflow",
    "upstream_protocol_error": "protocol_error",
    "dns_resolution_failure": "dns_failure",
}
_UNLOGGED_FAILURES = {
    "no_healthy_upstream": "no_healthy_upstream",
    "stream_idle_timeout": "idle_timeout",
}
_FAILURES = _LOGGED_FAILURES | _UNLOGGED_FAILURES
_LOGGED = frozenset(_LOGGED_FAILURES.values())
_CLIENT_GONE = frozenset({"downstream_connection_termination", "downstream_remote_reset"})
_BLAMED_STATUS = frozenset({401, 402, 403, 404, 408, 425, 429})
_ONE_PIECE_SECONDS = 0.001


class FailedAttempt(NamedTuple):
    """An attempt that gave no usable answer.

    ``code``: the HTTP status, or why there was none (`timeout`, `reset`, …). ``blamed``: whether
    the backend is at fault; it is not when the status says that the request itself is wrong.
    ``wait_s``: for how many seconds it asked to be left alone.
    """

    backend: str
    code: str
    blamed: bool
    undecided: bool = False
    traced: TracedAttempt | None = None
    wait_s: float = 0.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What came of one request. Times in seconds; ``""`` and 0 stand for "there was none"."""

    decision_id: str = ""
    route: str = ""
    strategy: str = ""
    operation: str = ""
    version: int = 0
    decision_s: float | None = None
    warnings: tuple[str, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    """The arms of experiments that the request was put into, whoever answered then."""
    probability: float | None = None
    """Of the plan, given the request; ``None`` when it was not logged."""
    charges: tuple[Charge, ...] = ()
    budget: str = ""
    """The budget that rejected it; ``charges``: where budgets count its tokens and dollars."""
    plan: tuple[str, ...] = ()
    """Backends in the order in which they were to be tried."""
    backend: str = ""
    """The backend of the last attempt."""
    attempts: int = 0
    status: int = 0
    failure: str | None = None
    """Why the last attempt gave no whole answer."""
    error_code: str | None = None
    """Why the sidecar, or Envoy's body limit, rejected the request."""
    unlogged: FailedAttempt | None = None
    """A failure of the last attempt that the log of attempts does not have."""
    failed_open: bool = False
    undecided: bool = False
    client_gone: bool = False
    stream: bool = False
    started: float = 0.0
    """Unix time; the prices of that moment count."""
    duration_s: float = 0.0
    upstream_s: float | None = None
    """The last attempt, from its first byte sent to the last byte received."""
    ttft_s: float | None = None
    """The last attempt, from its first byte sent to the first byte of the body."""
    tokens: Usage = Usage()
    traced: Traced = Traced()

    @property
    def answered(self) -> bool:
        """Whether a backend gave an answer that was not an error, as far as the client stayed."""
        return self.failure is None and 0 < self.status < 400 and self.backend != ""

    @property
    def failed(self) -> bool:
        """Whether the client got an error, or an answer that broke off."""
        return self.failure is not None or self.status >= 400


def read_request(entry: HTTPAccessLogEntry) -> Outcome:
    """Read an entry of the log `requests`."""
    common = entry.common_properties
    spaces = common.metadata.filter_metadata
    decision = logged.fields(spaces, "pointsman.decision")
    budgets = logged.fields(spaces, "pointsman.budgets")
    details, status = entry.response.response_code_details, entry.response.response_code.value
    backend = _backend(common)
    failure, client_gone = _flags(common.response_flags)
    error_code = _error_code(details)
    undecided = common.route_name != DECIDED
    upstream_s, ttft_s = logged.seconds(common, "upstream_us"), logged.seconds(common, "ttft_us")
    unlogged = None
    if backend and not client_gone and _is_unlogged(status, failure, details):
        unlogged = _failed(backend, status, failure, undecided=undecided)
        unlogged = unlogged._replace(traced=traces.last_attempt(entry, upstream_s))
    return Outcome(
        decision_id=logged.text(decision, "id"),
        route=logged.text(decision, "route"),
        strategy=logged.text(decision, "strategy"),
        operation=logged.text(decision, "operation") or _operation(entry, spaces),
        version=logged.count(logged.text(decision, "version")) or 0,
        decision_s=logged.microseconds(logged.text(decision, "us")),
        warnings=logged.words(logged.text(decision, "warnings")),
        assignments=logged.assignments(logged.text(decision, "assignments")),
        probability=logged.probability(logged.text(decision, "probability")),
        charges=read_charges(logged.text(budgets, "charges")),
        budget=logged.text(budgets, "rejected"),
        plan=_plan(logged.fields(spaces, "pointsman.route")),
        backend=backend,
        attempts=common.upstream_request_attempt_count,
        status=status,
        failure=failure,
        error_code=error_code,
        unlogged=unlogged,
        failed_open=not (decision or undecided or error_code or (client_gone and not backend)),
        undecided=undecided,
        client_gone=client_gone,
        stream=_is_stream(common, upstream_s, ttft_s),
        started=traces.started(common),
        duration_s=traces.duration(common.duration),
        upstream_s=upstream_s,
        ttft_s=ttft_s,
        tokens=read_usage(common),
        traced=traces.read_traced(entry),
    )


def read_attempt(entry: HTTPAccessLogEntry) -> FailedAttempt | None:
    """Read an entry of the log `attempts`; ``None`` when it shows no failure of a backend."""
    common = entry.common_properties
    backend = _backend(common)
    status = entry.response.response_code.value
    failure, client_gone = _flags(common.response_flags)
    if not backend or (failure is None and (client_gone or 0 < status < 400)):
        return None
    attempt = _failed(backend, status, failure, undecided=common.route_name != DECIDED)
    return attempt._replace(traced=traces.read_traced_attempt(entry), wait_s=read_wait(entry))


def is_blamed(outcome: Outcome) -> bool:
    """Whether the client got an error that a backend is at fault for, not the request."""
    if outcome.failure is not None:
        return True
    return outcome.status >= 500 or outcome.status in _BLAMED_STATUS


def _backend(common: AccessLogCommon) -> str:
    """Return the backend that was asked last; clusters of the sidecar's own are none."""
    name: str = common.upstream_cluster.removesuffix(LIMITED)
    return "" if "~" in name else name


def _failed(backend: str, status: int, failure: str | None, *, undecided: bool) -> FailedAttempt:
    code = failure or (str(status) if status else "unknown")
    blamed = failure is not None or status >= 500 or status in _BLAMED_STATUS
    return FailedAttempt(backend, code, blamed, undecided)


def _is_unlogged(status: int, failure: str | None, details: str) -> bool:
    """Whether a failed last attempt is missing from the log of attempts.

    A filter of the cluster that answers by itself (a missing credential: 401) and an idle timeout
    of the client's stream end an attempt without an entry.
    """
    if failure is not None:
        return failure not in _LOGGED
    return status >= 400 and details != _VIA_UPSTREAM


def _flags(flags: ResponseFlags) -> tuple[str | None, bool]:
    """Return the failure of the upstream, if any, and whether the client left."""
    failure, client_gone = None, False
    for field, _ in flags.ListFields():
        failure = _FAILURES.get(field.name, failure)
        client_gone = client_gone or field.name in _CLIENT_GONE
    return failure, client_gone


def _error_code(details: str) -> str | None:
    if details == _VIA_UPSTREAM:
        return None
    if "request_payload_too_large" in details:
        return BodyTooLarge.code
    return next((code for code in _ERROR_CODES if code in details), None)


def _operation(entry: HTTPAccessLogEntry, spaces: Any) -> str:
    """Return the operation of a request without a decision, by its path as the client sent it."""
    path = logged.text(logged.fields(spaces, "pointsman.request"), "path") or entry.request.path
    return OPERATIONS.get(path.partition("?")[0], "")


def _plan(route: Any) -> tuple[str, ...]:
    """Return the first cluster of each group, in order."""
    groups = route.get("priority_groups") if route else None
    if groups is None:
        return ()
    try:
        return tuple([_first_cluster(group) for group in groups.list_value.values])
    except IndexError:
        return ()


def _first_cluster(group: Any) -> str:
    """Return its name; written for speed, as it runs for each step of each plan."""
    cluster = group.struct_value.fields["clusters"].list_value.values[0]
    name: str = cluster.struct_value.fields["cluster_name"].string_value
    return name.removesuffix(LIMITED)


def _is_stream(common: AccessLogCommon, upstream_s: float | None, ttft_s: float | None) -> bool:
    """Whether the body came in pieces: as Envoy says, else by how long it took to arrive."""
    said = common.custom_tags.get("stream")
    if said is not None:
        return said == "true"
    return ttft_s is not None and (upstream_s is None or upstream_s - ttft_s > _ONE_PIECE_SECONDS)

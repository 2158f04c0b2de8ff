"""Every error that this project raises on purpose.

::

    PointsmanError
    ├── RequestError            a client sees it, as OpenAI's error object
    │   ├── InvalidJson         400 invalid_json
    │   ├── InvalidRouter       400 invalid_router
    │   ├── ScriptError         400 script_error
    │   ├── RouterForbidden     403 router_forbidden
    │   ├── ModelNotFound       404 model_not_found
    │   ├── BodyTooLarge        413 body_too_large
    │   ├── BudgetExceeded      429 budget_exceeded
    │   │   └── BudgetUnknown   503 budget_exceeded
    │   └── NoCandidate         503 no_candidate
    ├── ConfigError             invalid_config: documents with faults, each with its path
    ├── UnknownDocument         unknown_document: a document or version that is not there
    ├── StoreError
    │   ├── StoreUnreachable    store_unreachable
    │   └── StoreConflict       store_conflict: somebody else wrote first
    └── SettingsError           invalid_settings: an environment variable or flag

``code`` is stable: it is the wire's error code and the metric's label alike.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple


class PointsmanError(Exception):
    """Base of all; ``code`` names the leaf."""

    code: ClassVar[str] = "internal"


class RequestError(PointsmanError):
    """The request cannot be decided; the client gets ``status`` and the message.

    ``param`` is the path in the request that is at fault, as OpenAI's error object has it.
    """

    status: ClassVar[int] = 400
    kind: ClassVar[str] = "invalid_request_error"
    assigned: tuple[Any, ...] = ()
    retry_after: int | None = None
    budget: str = ""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidJson(RequestError):
    """The body is not one JSON object."""

    code = "invalid_json"


class InvalidRouter(RequestError):
    """The `router` object in the request is wrong; ``param`` says where."""

    code = "invalid_router"


class ScriptError(RequestError):
    """The routing script in the request does not compile; the message says in what line."""

    code = "script_error"


class RouterForbidden(RequestError):
    """Routers in requests are switched off here."""

    code = "router_forbidden"
    status = 403
    kind = "permission_error"


class ModelNotFound(RequestError):
    """No route, router or backend answers to this model name."""

    code = "model_not_found"
    status = 404


class BodyTooLarge(RequestError):
    """The body is over the limit."""

    code = "body_too_large"
    status = 413


class BudgetExceeded(RequestError):
    """A budget is used up. ``retry_after``: seconds until it begins anew."""

    code = "budget_exceeded"
    status = 429
    kind = "rate_limit_error"

    def __init__(self, message: str, budget: str, retry_after: int) -> None:
        super().__init__(message)
        self.budget = budget
        self.retry_after = retry_after


class BudgetUnknown(BudgetExceeded):
    """What a budget has left cannot be known now, and it says that then nobody may go on."""

    status = 503
    kind = "server_error"


class NoCandidate(RequestError):
    """Nothing is left that could answer.

    ``assigned``: the arms of experiments that the request is in all the same; their failure it is.
    """

    code = "no_candidate"
    status = 503
    kind = "server_error"

    def __init__(
        self, message: str, param: str | None = None, assigned: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(message, param)
        self.assigned = assigned


class Fault(NamedTuple):
    """One thing that is wrong in a document: where (``routes.premium.match``) and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ConfigError(PointsmanError):
    """Documents were refused; ``faults`` has every fault that was found, never none."""

    code = "invalid_config"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class UnknownDocument(PointsmanError):
    """There is no such document, or the history has no such version; the message names others."""

    code = "unknown_document"


class StoreError(PointsmanError):
    """Base of what can go wrong between here and Redis."""

    code = "store"


class StoreUnreachable(StoreError):
    """Redis does not answer."""

    code = "store_unreachable"


class StoreConflict(StoreError):
    """The store moved on since the version that a change was based on.

    ``current``: the document that is there now, a JSON value, when it was about one. ``changes``:
    where what was to be written is different from what is there, each with path, before, after.
    """

    code = "store_conflict"

    def __init__(self, message: str, *, current: Any = None, changes: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.current = current
        self.changes = tuple(changes)


class SettingsError(PointsmanError):
    """A process setting is wrong; the message names the variable and the legal values."""

    code = "invalid_settings"

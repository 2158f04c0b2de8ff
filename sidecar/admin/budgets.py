"""What has been used of a budget, over HTTP."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from sidecar.admin.access import REFUSALS, require
from sidecar.admin.documents import Name
from sidecar.admin.problems import documented, problem
from sidecar.config.faults import nearest

MOST_VALUES = 1000


class Usage(msgspec.Struct):
    """What one value of the scope has used in this period; people's values are digests."""

    value: str
    used: float
    limit: float


class UsedBudget(msgspec.Struct):
    """A budget in its period, which ends at ``resets`` (Unix seconds).

    ``values``: those that have used most, of ``count``. ``shared``: whether Redis is heard of.
    """

    name: str
    scope: str
    unit: str
    limit: float
    per: str
    resets: int
    shared: bool
    values: list[Usage]
    count: int


class BudgetSource(NamedTuple):
    """``usage``: by name and how many values; ``None``: no such budget. ``names``: which exist."""

    usage: Callable[[str, int], UsedBudget | None]
    names: Callable[[], list[str]]


_EXAMPLE = UsedBudget(
    "acme-daily",
    "user.tenant",
    "tokens",
    1e6,
    "day",
    1795219200,
    True,
    [Usage("acme", 48211, 1e6)],
    1,
)
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What has been used",
        "content": {"application/json": {"example": msgspec.to_builtins(_EXAMPLE)}},
    }
}


def budgets_router(source: BudgetSource) -> APIRouter:
    """Return the report of a budget that is live."""
    router = APIRouter(prefix="/api/v1/budgets", tags=["budgets"])

    @router.get(
        "/{name:path}/usage",
        operation_id="get_budget_usage",
        summary="What has been used of a budget in this period, by value of its scope",
        response_class=Response,
        dependencies=[Depends(require("viewer"))],
        responses=_ANSWER | REFUSALS | documented(404, 422),
    )
    async def usage(
        name: Name, count: Annotated[int, Query(ge=1, le=MOST_VALUES)] = 20
    ) -> Response:
        found = source.usage(name, count)
        if found is None:
            names = source.names()
            known = nearest(name, names) if names else "there is none"
            return problem(404, "Not found", f'unknown budget "{name[:100]}"; {known}')
        return Response(msgspec.json.encode(found), media_type="application/json")

    return router

"""Who may do what at the admin address: roles, callers, and the role that an endpoint needs.

::

    @router.put("/{name}")
    async def put(caller: Annotated[Caller, Depends(require("operator"))]) -> Response: ...

`gate.Gate` finds out who calls, before anything of the request is read; here is only judged.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sidecar.admin.problems import problem
from sidecar.admin.roles import ROLES, Role
from sidecar.errors import Fault

__all__ = ["LOCAL", "REFUSALS", "Caller", "Refusal", "Role", "me_router", "no_token", "require"]

_BEARER = HTTPBearer(
    scheme_name="token",
    bearerFormat="pm_…",
    description="A token of `pointsman token new`. Without POINTSMAN_TOKENS_FILE none is needed.",
    auto_error=False,
)
_PROBLEM = {"application/problem+json": {"schema": {"type": "object"}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No token, or one that is not known", "content": _PROBLEM},
    403: {"description": "The token's role may not do this", "content": _PROBLEM},
    415: {"description": "A body that is neither JSON nor YAML", "content": _PROBLEM},
    429: {"description": "Too many unknown tokens from this address", "content": _PROBLEM},
}
"""What any endpoint with a role may answer; for ``responses=`` of a router."""


class Refusal(Exception):
    """The caller may not do this; what he is told."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.headers = dict(headers or {})
        self.faults = faults

    def response(self) -> Response:
        """Return the refusal as RFC 9457's problem."""
        return problem(self.status, self.title, str(self), faults=self.faults, headers=self.headers)


class Caller(NamedTuple):
    """Who calls: the name of his token, or `local` where no token is asked for."""

    name: str
    role: Role
    auth: Literal["token", "loopback"]

    def may(self, role: Role) -> bool:
        """Return whether the caller may do what ``role`` may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def must_be(self, role: Role) -> None:
        """Raise Refusal (403) unless the caller may do what ``role`` may.

        For what depends on the request: `?force=true`, the kinds `keys` and `guards`.
        """
        if not self.may(role):
            detail = f"This needs the role {role}; {self.name} has the role {self.role}."
            raise Refusal(403, "Forbidden", detail)


LOCAL = Caller("local", "admin", "loopback")
"""Everybody on this machine, where there is no file of tokens."""


def no_token(detail: str = "This needs a token: authorization: Bearer pm_…") -> Refusal:
    """Return what is told to somebody whose token is not known."""
    return Refusal(401, "Unauthorized", detail, {"www-authenticate": 'Bearer realm="pointsman"'})


class Require:
    """The dependency behind `require`."""

    def __init__(self, role: Role, *, audit: bool) -> None:
        self.role = role
        self._audit = audit

    async def __call__(
        self,
        request: Request,
        _token: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> Caller:
        """Return the caller. Raises Refusal: 401 without one, 403 when his role is too low."""
        caller: Caller | None = getattr(request.state, "caller", None)
        if caller is None:
            raise no_token()
        request.state.audited = self._audit
        caller.must_be(self.role)
        return caller


def require(role: Role, *, audit: bool | None = None) -> Require:
    """Return a dependency that lets only callers with ``role``, or one above it, through.

    What needs more than a viewer is a write, and gets a line in the audit log; ``audit`` says
    otherwise. Refused calls always get one.
    """
    return Require(role, audit=role != "viewer" if audit is None else audit)


def me_router() -> APIRouter:
    """Return ``GET /api/v1/me``: who the caller is."""
    router = APIRouter(prefix="/api/v1", responses=REFUSALS)

    @router.get("/me", summary="Who I am, and what role I have")
    async def me(caller: Annotated[Caller, Depends(require("viewer"))]) -> dict[str, str]:
        return caller._asdict()

    return router

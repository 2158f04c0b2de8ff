"""Who asks: the API key before headers, for it is no claim; headers before the body, because an
operator's proxy can set and check headers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sidecar.model import NOBODY, KeyOwner, User

_TAGS = ("tiers", "user_tags", "tags")
"""LangDB's three names of one list; the first that is a list counts."""


def read_user(
    headers: Mapping[str, str],
    value: Callable[[Sequence[str | int]], Any],
    owner: KeyOwner = NOBODY,
) -> User:
    """Return who asks. What ``owner`` says holds, for the rest the table does.

    | field | header | else in the body |
    |---|---|---|
    | id | x-user-id | extra.user.id, extra.user.user_id, user |
    | tenant | x-tenant-id | extra.user.tenant |
    | tier | x-user-tier | extra.user.tier, the first of extra.user.tiers |
    | tags | | extra.user.tiers, user_tags or tags |

    ``value`` reads the body. What is empty or not a string counts as absent.
    """
    stated = value(("extra", "user"))
    user = stated if isinstance(stated, dict) else {}
    header = headers.get
    return User(
        id=_first(
            owner.id, header("x-user-id"), user.get("id"), user.get("user_id"), value(("user",))
        ),
        tenant=_first(owner.tenant, header("x-tenant-id"), user.get("tenant")),
        tier=_first(
            owner.tier, header("x-user-tier"), user.get("tier"), *_texts(user.get("tiers"))
        ),
        tags=_tags(user) if owner.tags is None else owner.tags,
    )


def _first(*values: Any) -> str | None:
    for value in values:
        if isinstance(value, str) and value:
            return value
    return None


def _tags(user: Mapping[str, Any]) -> tuple[str, ...]:
    for name in _TAGS:
        if isinstance(user.get(name), list):
            return _texts(user[name])
    return ()


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()

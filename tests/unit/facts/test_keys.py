"""An API key that is known says who asks; headers and body may say the rest."""

import pytest

from sidecar import facts
from sidecar.model import KeyOwner, User

KEY = "ca978112ca1bbdca"  # sha256 of "a", first 16 hex digits: echo -n a | sha256sum
BEARER = {"authorization": "Bearer a"}
FORGED = {"x-user-id": "root", "x-tenant-id": "rich", "x-user-tier": "premium"}
BODY = b'{"user":"root","extra":{"user":{"tenant":"rich","tier":"premium","tags":["vip"]}}}'
WHOLE = KeyOwner("u", "t", "free", ("x",))

CASES = {
    "a known key wins over headers": (WHOLE, BEARER | FORGED, b"{}", ("u", "t", "free", ("x",))),
    "a known key wins over the body": (WHOLE, BEARER, BODY, ("u", "t", "free", ("x",))),
    "in x-api-key too": (WHOLE, {"x-api-key": "a"} | FORGED, b"{}", ("u", "t", "free", ("x",))),
    "what it leaves open is read from headers": (
        KeyOwner(tenant="t"),
        BEARER | FORGED,
        b"{}",
        ("root", "t", "premium", ()),
    ),
    "and from the body": (KeyOwner(tier="free"), BEARER, BODY, ("root", "rich", "free", ("vip",))),
    "no tags are tags too": (KeyOwner(tags=()), BEARER, BODY, ("root", "rich", "premium", ())),
    "an unknown key says nothing": (
        WHOLE,
        {"authorization": "Bearer b"} | FORGED,
        b"{}",
        ("root", "rich", "premium", ()),
    ),
    "neither does no key": (WHOLE, FORGED, b"{}", ("root", "rich", "premium", ())),
}


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer b"}], ids=["none", "unknown"])
def test_all_others_may_be_somebody_too(headers):
    keys = {KEY: WHOLE, "*": KeyOwner(tier="free")}

    others = facts.read("/v1/chat/completions", headers | FORGED, b"{}", keys=keys)
    known = facts.read("/v1/chat/completions", BEARER, b"{}", keys=keys)

    assert others.user == User("root", "rich", "free", ())
    assert known.user == User(*WHOLE)


@pytest.mark.parametrize(("owner", "headers", "body", "user"), CASES.values(), ids=CASES)
def test_whom_a_key_stands_for_is_no_claim_of_the_client(owner, headers, body, user):
    request = facts.read("/v1/chat/completions", headers, body, keys={KEY: owner})

    assert request.user == User(*user)
    assert request.user is request.user

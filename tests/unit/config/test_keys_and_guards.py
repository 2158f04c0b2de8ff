"""Keys and guards: from documents to what the snapshot has of them."""

import pytest

from sidecar.config.compile import Memo, compile_snapshot
from sidecar.config.documents import Documents
from sidecar.errors import ConfigError
from sidecar.model import Guard, KeyOwner

GOOD = {
    "backends": {"a": {"endpoints": ["http://a"]}},
    "keys": {
        "0123456789abcdef": {"tenant": "acme", "tier": "premium", "user": "ann", "tags": ["x"]},
        "0000000000000000": {},
        "ffffffffffffffff": {"tenant": "gone", "enabled": False},
        "*": {"tier": "free"},
    },
    "guards": {
        "toxicity": {
            "url": "https://guard/v1/check",
            "timeout_ms": 50,
            "on_error": "pass",
            "credential": "env:GUARD_KEY",
            "credential_header": "X-Key",
        },
        "plain": {"url": "http://guard"},
    },
}
KEY_HEADERS = {"authorization", "x-api-key", "api-key"}


def compiled(configuration, memo=None):
    return compile_snapshot(Documents.of(configuration), version=1, memo=memo)


def test_keys_say_who_comes_and_switched_off_ones_say_nothing():
    assert compiled(GOOD).keys == {
        "0123456789abcdef": KeyOwner("ann", "acme", "premium", ("x",)),
        "0000000000000000": KeyOwner(),
        "*": KeyOwner(tier="free"),
    }


def test_the_headers_with_keys_are_read_as_long_as_there_are_keys():
    memo = Memo()
    off = {"keys": {name: {"enabled": False} for name in GOOD["keys"]}}

    assert set(compiled(GOOD, memo).headers) >= KEY_HEADERS
    assert not KEY_HEADERS & set(compiled(GOOD | off, memo).headers)


def test_keys_are_taken_over_until_one_changes():
    memo = Memo()
    before = compiled(GOOD, memo).keys
    routes = {"routes": {"r": {"router": "a"}}}
    keys = {"keys": {"0123456789abcdef": {"tenant": "other"}}}

    assert compiled(GOOD | routes, memo).keys is before
    assert compiled(GOOD | keys, memo).keys == {"0123456789abcdef": KeyOwner(tenant="other")}


def test_guards_have_seconds_and_lower_case_headers():
    assert compiled(GOOD).guards == {
        "toxicity": Guard(
            "toxicity", "https://guard/v1/check", 0.05, "pass", "env:GUARD_KEY", "x-key"
        ),
        "plain": Guard("plain", "http://guard", 0.2, "fail", None, "authorization"),
    }


def test_a_guard_that_changes_is_compiled_again():
    memo = Memo()
    compiled(GOOD, memo)

    guards = {"guards": {"plain": {"url": "http://other"}}}
    assert compiled(GOOD | guards, memo).guards == {"plain": Guard("plain", "http://other")}


def test_a_url_of_a_guard_is_told_without_its_secrets():
    with pytest.raises(ConfigError) as raised:
        compiled(GOOD | {"guards": {"g": {"url": "https://me:hush@guard/?key=hush"}}})

    assert "guards.g.url" in str(raised.value)
    assert "hush" not in str(raised.value)

"""Who asks and for how much: facts from headers and typed body fields."""

import pytest

from sidecar import facts
from sidecar.model import User


def read(body: bytes = b"{}", **headers: str) -> facts.Request:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return facts.read("/v1/chat/completions", names, body)


BODY_USER = (
    b'{"user":"u3","extra":{"user":{"id":"u1","user_id":"u2","tenant":"t","tiers":["x",1]}}}'
)
USERS = {
    "nobody": (b"{}", {}, User(None, None, None, ())),
    "body": (b'{"user":"u3"}', {}, User("u3", None, None, ())),
    "extra before user": (BODY_USER, {}, User("u1", "t", "x", ("x",))),
    "user_id": (b'{"extra":{"user":{"user_id":"u2"}}}', {}, User("u2", None, None, ())),
    "tier before tiers": (
        b'{"extra":{"user":{"tier":"pro","tiers":["x","y"]}}}',
        {},
        User(None, None, "pro", ("x", "y")),
    ),
    "user_tags": (b'{"extra":{"user":{"user_tags":["x"]}}}', {}, User(None, None, None, ("x",))),
    "tags": (b'{"extra":{"user":{"tags":["x"]}}}', {}, User(None, None, None, ("x",))),
    "headers before all": (
        BODY_USER,
        {"x_user_id": "h", "x_tenant_id": "ht", "x_user_tier": "hr"},
        User("h", "ht", "hr", ("x",)),
    ),
    "empty headers": (b'{"user":"u3"}', {"x_user_id": ""}, User("u3", None, None, ())),
    "wrong types": (
        b'{"user":5,"extra":{"user":{"id":[],"tenant":{},"tier":1,"tiers":"x","tags":{}}}}',
        {},
        User(None, None, None, ()),
    ),
    "extra is a list": (b'{"user":"u","extra":[]}', {}, User("u", None, None, ())),
}


@pytest.mark.parametrize(("body", "headers", "user"), USERS.values(), ids=USERS)
def test_who_asks_is_read_from_headers_then_from_the_body(body, headers, user):
    request = read(body, **headers)
    assert request.user == user
    assert request.user is request.user


KEY = "ca978112ca1bbdca"  # sha256 of "a", first 16 hex digits: echo -n a | sha256sum
KEYS = {
    "none": ({}, None),
    "bearer": ({"authorization": "Bearer a"}, KEY),
    "any case, any blanks": ({"authorization": "bEARER  a "}, KEY),
    "x-api-key": ({"x_api_key": "a"}, KEY),
    "api-key": ({"api_key": "a"}, KEY),
    "bearer before x-api-key": ({"authorization": "Bearer a", "x_api_key": "b"}, KEY),
    "another scheme": ({"authorization": "Basic b", "x_api_key": "a"}, KEY),
    "scheme alone, and a key": ({"authorization": "Bearer ", "x_api_key": "a"}, KEY),
    "scheme alone": ({"authorization": "Bearer "}, None),
    "not UTF-8": ({"api_key": "\udcff"}, "8f1d0f9c88065271"),
}


@pytest.mark.parametrize(("headers", "key"), KEYS.values(), ids=KEYS)
def test_the_api_key_is_a_hash_and_never_the_key(headers, key):
    request = read(**headers)
    assert request.api_key == key
    assert request.api_key == key


LIMITS = {
    "absent": (b"{}", None),
    "old name": (b'{"max_tokens":5}', 5),
    "newest name first": (
        b'{"max_tokens":5,"max_output_tokens":6,"max_completion_tokens":7}',
        7,
    ),
    "responses": (b'{"max_tokens":5,"max_output_tokens":6}', 6),
    "wrong type falls through": (b'{"max_completion_tokens":"7","max_tokens":5}', 5),
    "whole float": (b'{"max_tokens":5.0}', 5),
    "fraction": (b'{"max_tokens":5.5}', None),
    "boolean": (b'{"max_tokens":true}', None),
    "below 0": (b'{"max_tokens":-1}', None),
    "beyond 64 bits": (b'{"max_tokens":9223372036854775808}', 2**63 - 1),
    "beyond a double": (b'{"max_tokens":1e999}', 2**63 - 1),
    "5,000 digits": (b'{"max_tokens":' + b"9" * 5000 + b"}", 2**63 - 1),
}


@pytest.mark.parametrize(("body", "limit"), LIMITS.values(), ids=LIMITS)
def test_max_tokens_is_a_count_or_absent(body, limit):
    assert read(body).max_tokens == limit


PRICES = {
    "absent": (b"{}", {}, None),
    "body": (b'{"max_cost_per_token":0.1}', {"x_max_cost_per_token": "0.2"}, 0.1),
    "header": (b"{}", {"x_max_cost_per_token": "2e-6"}, 2e-6),
    "wrong type in the body": (
        b'{"max_cost_per_token":"0.1"}',
        {"x_max_cost_per_token": "0.2"},
        0.2,
    ),
    "zero": (b'{"max_cost_per_token":0}', {"x_max_cost_per_token": "0.2"}, 0.0),
    "below 0": (b'{"max_cost_per_token":-1}', {}, None),
    "boolean": (b'{"max_cost_per_token":true}', {}, None),
    "no number": (b"{}", {"x_max_cost_per_token": "cheap"}, None),
    "nan": (b"{}", {"x_max_cost_per_token": "nan"}, None),
    "beyond a double": (b'{"max_cost_per_token":1e999}', {}, 1.7976931348623157e308),
}


@pytest.mark.parametrize(("body", "headers", "price"), PRICES.values(), ids=PRICES)
def test_max_cost_per_token_is_a_finite_price_or_absent(body, headers, price):
    assert read(body, **headers).max_cost_per_token == price


def test_session_region_and_flags_come_from_headers():
    request = read(x_session_id="s", x_region="eu", x_feature_flags=" a, b ,,a")
    assert (request.session, request.region) == ("s", "eu")
    assert request.feature_flags == {"a", "b"}
    assert (read().session, read().region, read().feature_flags) == (None, None, frozenset())


def test_the_session_may_be_in_the_metadata():
    body = b'{"metadata":{"session_id":"m"}}'
    assert read(body).session == "m"
    assert read(body, x_session_id="h").session == "h"
    assert read(b'{"metadata":{"session_id":5}}').session is None
    assert read(b'{"metadata":[]}').session is None

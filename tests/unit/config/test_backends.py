"""From backend documents to backends."""

from datetime import datetime

import msgspec
import pytest

from sidecar.config.backends import compile_backend
from sidecar.errors import ConfigError
from sidecar.model import Backend, Ejection, Endpoint, Health, Price

FULL = {
    "model": "gpt-4o",
    "provider": "openai",
    "type": "vllm",
    "endpoints": ["https://a:8443/v1", {"url": "https://b/v1/", "weight": 3, "zone": "eu-1"}],
    "enabled": False,
    "priority": 5,
    "defaults": {"temperature": 0.2},
    "timeout_seconds": 30,
    "price": {
        "per_input_token": 1e-6,
        "per_output_token": 2e-6,
        "per_cached_input_token": 5e-7,
    },
    "limits": {"max_context_size": 128000},
    "capabilities": ["tools", "vision"],
    "region": "eu",
    "credential": "env:OPENAI_API_KEY",
    "credential_header": "X-Api-Key",
    "health": {"path": "/health", "interval_seconds": 5},
    "ejection": {"consecutive_failures": 25, "max_seconds": 60},
    "description": "big",
    "tags": {"team": "core"},
}


def compiled(document, name="big"):
    return compile_backend(name, msgspec.json.encode(document))


def test_every_field_of_the_contract_arrives_typed():
    assert compiled(FULL) == Backend(
        name="big",
        model="gpt-4o",
        provider="openai",
        type="vllm",
        endpoints=(Endpoint("https://a:8443/v1"), Endpoint("https://b/v1/", 3, "eu-1")),
        enabled=False,
        priority=5,
        defaults={"temperature": 0.2},
        timeout_seconds=30.0,
        price=Price(1e-6, 2e-6, 5e-7),
        max_context_size=128000,
        capabilities=frozenset({"tools", "vision"}),
        region="eu",
        credential="env:OPENAI_API_KEY",
        credential_header="x-api-key",
        health=Health("/health", 5.0),
        ejection=Ejection(25, 0.5, 20, 10.0, 60.0),
        description="big",
        tags={"team": "core"},
    )


def test_endpoints_are_enough_and_the_rest_has_defaults():
    assert compiled({"endpoints": ["http://a"]}, "llama") == Backend(
        name="llama", model="llama", provider="default", endpoints=(Endpoint("http://a"),)
    )


def test_ejection_is_on_and_can_be_switched_off():
    assert compiled({"endpoints": ["http://a"]}).ejection == Ejection()
    assert compiled({"endpoints": ["http://a"], "ejection": False}).ejection is None


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://demo_small:8000",
        "http://10.0.0.1:1/",
        "http://[::1]:65535/v1",
        "https://api.example.com/openai/v1.2/~x/a%20b",
    ],
)
def test_addresses_that_are_legal(url):
    assert compiled({"endpoints": [url]}).endpoints[0].url == url


@pytest.mark.parametrize(
    "url",
    ["", "http://", "http:///v1", "HTTP://a", "http://a:", "http://a:0", "http://a:999999",
     "http://-a", "http://a/v1\n", "http://ä", "http://[a]", "unix:///s", "http://a\\b"],
)  # fmt: skip
def test_addresses_that_are_not(url):
    with pytest.raises(ConfigError):
        compiled({"endpoints": [url]})


@pytest.mark.parametrize("reference", ["env:A", "env:_a1", "file:/run/secrets/key"])
def test_credentials_are_references(reference):
    assert compiled({"endpoints": ["http://a"], "credential": reference}).credential == reference


@pytest.mark.parametrize(
    "wrong", ["", "env:", "env:1A", "env:A B", "file:", "file:a", "file:/", "k"]
)
def test_anything_else_is_no_credential(wrong):
    with pytest.raises(ConfigError):
        compiled({"endpoints": ["http://a"], "credential": wrong})


PERIODS = [
    {"timezone": "Europe/Berlin", "weekdays": "sat-sun", "per_output_token": 1.0},
    {"hours": "22:00-06:00", "per_input_token": 0.5, "per_cached_input_token": None},
]
PRICED = {
    "endpoints": ["http://a"],
    "price": {
        "per_input_token": 2.0,
        "per_output_token": 8.0,
        "per_cached_input_token": 1.0,
        "periods": PERIODS,
    },
}


@pytest.mark.parametrize(
    ("moment", "price"),
    [
        ("2026-11-20T12:00+00:00", Price(2.0, 8.0, 1.0)),
        ("2026-11-20T22:00+00:00", Price(0.5, 8.0, None)),
        ("2026-11-20T23:00+00:00", Price(2.0, 1.0, 1.0)),
        ("2026-11-22T23:00+00:00", Price(0.5, 8.0, None)),
    ],
)
def test_the_first_period_that_is_on_has_the_price_and_inherits_the_rest(moment, price):
    backend = compiled(PRICED)

    assert backend.price_at(datetime.fromisoformat(moment).timestamp()) == price


def test_without_periods_the_price_is_always_the_same():
    backend = compiled(FULL)

    assert backend.price_at(0.0) is backend.price


def test_a_period_without_a_calendar_is_always_on():
    periods = {"per_input_token": 2.0, "periods": [{"per_input_token": 1.0}]}
    backend = compiled({"endpoints": ["http://a"], "price": periods})

    assert backend.price_at(0.0) == Price(1.0)

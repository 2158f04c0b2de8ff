"""What a target's name means."""

import pytest

from sidecar.config.catalog import Catalog
from sidecar.errors import ConfigError
from sidecar.model import Backend

BACKENDS = [
    Backend("slow", model="gpt-4o", provider="azure", priority=20),
    Backend("fast", model="gpt-4o", provider="openai", priority=10, enabled=False),
    Backend("mini", model="gpt-4o-mini", provider="openai", priority=10),
    Backend("eu", model="gpt-4o", provider="azure", priority=10),
    Backend("openai/gpt-4o-mini", model="other", provider="own"),
    Backend("gpt-4", model="gpt-4o", provider="own", priority=99),
    Backend("last", model="gpt-4", provider="own"),
]


BY_PREFERENCE = ["eu", "fast", "mini", "slow", "gpt-4", "last", "openai/gpt-4o-mini"]


def catalog(routers=(), build=None):
    return Catalog(BACKENDS, dict.fromkeys(routers, b"{}"), build)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fast", ["fast"]),
        ("openai/gpt-4o", ["fast"]),
        ("azure/gpt-4o", ["eu", "slow"]),
        ("azure/slow", ["slow"]),
        ("openai/*", ["fast", "mini"]),
        ("own/*", ["gpt-4", "last", "openai/gpt-4o-mini"]),
        ("gpt-4o", ["eu", "fast", "slow", "gpt-4"]),
        ("openai/gpt-4o-mini", ["openai/gpt-4o-mini"]),
        ("gpt-4", ["gpt-4"]),
        ("own/gpt-4", ["last"]),
    ],
)
def test_a_name_means_a_backend_then_a_provider_and_model_then_a_model(name, expected):
    leaf = catalog().leaf(name, {"temperature": 1})

    assert [backend.name for backend in leaf.backends] == expected
    assert (leaf.label, leaf.parameters) == (name, {"temperature": 1})


@pytest.mark.parametrize("name", ["", "gpt-5", "openai/", "openai", "*", "nobody/*", "openai/eu"])
def test_a_name_that_means_nothing_is_none(name):
    assert catalog().leaf(name, {}) is None


def test_a_router_is_built_once_and_an_unknown_one_is_none():
    built = []
    routers = catalog(["a"], lambda name, text, catalog: built.append(name) or object())

    assert routers.router("a") is routers.router("a")
    assert routers.router("b") is None
    assert built == ["a"]


def test_a_ring_of_routers_is_a_fault_wherever_it_is_entered():
    follow = {"a": "b", "b": "c", "c": "b"}
    routers = catalog(follow, lambda name, text, catalog: catalog.router(follow[name]))

    for name in follow:
        with pytest.raises(ConfigError, match=r"routers\.b: cycle b -> c -> b"):
            routers.router(name)


def test_known_names_are_those_of_backends_and_routers():
    assert catalog(["z", "y"]).known() == [*BY_PREFERENCE, "router/y", "router/z"]

"""Backends of two clouds, and routers whose ranking a script makes."""

from sidecar import match
from sidecar.choose import build_router, plan
from sidecar.config.catalog import Catalog
from sidecar.model import Backend, Compilers, Price
from tests.unit.choose.world import context

CLOUD = [
    Backend("nova", "nova-lite", "bedrock", price=Price(6e-8, 2.4e-7), priority=1),
    Backend("haiku", "claude-haiku", "bedrock", price=Price(8e-7, 4e-6, 8e-8)),
    Backend("mini", "gpt-4o-mini", "openai", price=Price(1e-9, 6e-7)),
    Backend(
        "gpt",
        "gpt-4o",
        "openai",
        price=Price(2.5e-6, 1e-5),
        capabilities=frozenset({"vision", "tools"}),
        max_context_size=128_000,
        defaults={"temperature": 0.3},
        description="The large one",
        region="us-east-1",
        tags={"team": "core"},
    ),
]


def scripted(script, *targets, **more):
    document = {"type": "script", "script": script, "targets": list(targets), **more}
    return {key: value for key, value in document.items() if value != []}


def cloud(script, backends=CLOUD, **more):
    """A script over CLOUD, built as if it came in a request."""
    compilers = Compilers(match.compile_accessor, lambda *_: None)
    return build_router(
        scripted(script, **more),
        name="inline",
        path="router",
        catalog=Catalog(backends, {}, lambda *_: None),
        compilers=compilers,
        strict=False,
    )


def told(script, **ask):
    """What a function in a script makes of its inputs, by way of a parameter."""
    found = plan(
        cloud(f"const route = p => ({{model: 'mini', told: ({script})(p)}})"), context(**ask)
    )
    return found.attempts[0].parameters["told"]

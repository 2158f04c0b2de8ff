"""The rules and the requests that benchmarks use."""

from collections.abc import Sequence
from typing import Any

import msgspec

Json = dict[str, Any]

BODY_BYTES = 250

_RESILIENT: Json = {"type": "fallback", "targets": ["small", "large"]}
_CANARY: Json = {
    "type": "percentage",
    "key": "user.id",
    "targets": ["canary", "small"],
    "targets_percentages": [20, 80],
}
_CONDITIONS: dict[str, Json] = {
    "premium": {"user.tier": {"eq": "premium"}},
    "urgent": {"headers.x-priority": {"eq": "urgent"}},
    "virtual": {"model": {"eq": "smart"}},
    "versions": {"model": {"regex": "^(large|huge)-[0-9]+$"}},
    "streams": {"all": [{"stream": {"eq": True}}, {"max_tokens": {"gt": 4000}}]},
    "europe": {"any": [{"region": {"prefix": "eu-"}}, {"user.tenant": {"in": ["a", "b", "c"]}}]},
    "creative": {"body.temperature": {"gte": 1.5}},
    "flagged": {"flags.canary": {"eq": True}},
}
_TEXT = 'He said: "This train takes the right track."\n' * 80
_PROMPT = {"prompt.tokens": {"gt": 1_000_000}}


def ten_routes(address: str, *, read_prompt: bool = True) -> Json:
    """Return documents with ten routes of which `body`'s requests match the last.

    All conditions are evaluated. ``address``: of the model behind all backends. ``read_prompt``:
    whether one of them counts the prompt's tokens, which takes decoding all messages.
    """
    conditions = _CONDITIONS | {"long": _PROMPT if read_prompt else {"session": {"eq": "none"}}}
    routes = {
        name: {"order": place, "match": match, "router": _CANARY if place == 7 else _RESILIENT}
        for place, (name, match) in enumerate(conditions.items())
    }
    flags = {"canary": {"enabled": True, "match": {"user.id": {"eq": "nobody"}}}}
    routes["default"] = {"order": 1000, "router": "resilient"}
    return _with_backends(address, routes) | {"flags": flags}


def routes_by_model(address: str, count: int) -> Json:
    """Return documents with ``count`` routes, each for a model name of its own (`model-7`)."""
    routes = {
        f"route-{place}": {
            "order": place,
            "match": {"model": f"model-{place}"},
            "router": _RESILIENT | {"targets": [{"model": "small", "seed": place}, "large"]},
        }
        for place in range(count)
    }
    return _with_backends(address, routes)


def _with_backends(address: str, routes: Json) -> Json:
    pool = backends(address, ["small", "large", "canary"])
    return {"backends": pool, "routers": {"resilient": _RESILIENT}, "routes": routes}


def backends(address: str, names: Sequence[str]) -> dict[str, Json]:
    """Return backends that all point at the one model at ``address``, the first preferred."""
    backend = {"provider": "demo", "endpoints": [f"http://{address}"], "timeout_seconds": 10}
    return {
        name: backend | {"model": f"demo-{name}-1", "priority": place}
        for place, name in enumerate(names)
    }


def body(size: int = BODY_BYTES, model: str = "bench") -> bytes:
    """Return a chat request of ``size`` bytes: one message for each 4 KiB, with escapes in it."""
    messages = [{"role": "user", "content": _TEXT}] * (size // 4096)
    messages.append({"role": "user", "content": ""})
    whole = msgspec.json.encode({"model": model, "temperature": 0.7, "messages": messages})
    padding = b"x" * (size - len(whole))
    return whole.replace(b'"content":""', b'"content":"' + padding + b'"')

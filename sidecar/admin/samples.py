"""A document of each kind, for OpenAPI."""

from typing import Any

from sidecar.config.documents import Kind

SAMPLES: dict[Kind, dict[str, Any]] = {
    "backends": {
        "model": "small-1",
        "provider": "vllm",
        "endpoints": ["http://10.0.0.7:8000"],
        "priority": 10,
        "price": {"per_input_token": 2e-7, "per_output_token": 8e-7},
        "credential": "env:SMALL_KEY",
    },
    "routes": {
        "order": 10,
        "match": {"user.tier": {"eq": "premium"}},
        "router": {"type": "fallback", "targets": ["large", "small"]},
        "description": "Premium users get the large model",
    },
    "routers": {"type": "fallback", "targets": ["small", "large"]},
    "flags": {"enabled": True, "share": 25, "key": "user.id"},
    "experiments": {
        "arms": [
            {"name": "current", "router": "small", "share": 80},
            {"name": "next", "router": "canary", "share": 20},
        ],
        "key": "user.id",
        "state": "running",
    },
    "budgets": {"limit": 1000000, "unit": "tokens", "per": "day", "scope": "user.tenant"},
    "keys": {"user": "ann", "tenant": "acme", "tier": "premium"},
    "guards": {"url": "http://10.0.0.9:9000/check", "timeout_ms": 500, "on_error": "pass"},
    "tests": {
        "request": {"headers": {"x-user-tier": "premium"}, "body": {"model": "any"}},
        "expect": {"route": "premium", "backend": "large"},
    },
}
"""They are compiled in the tests, so that what the reference shows is right."""

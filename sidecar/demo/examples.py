"""The example rules of `pointsman up`, and the simulated models that they name."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

import msgspec

MODELS: Mapping[str, Mapping[str, Any]] = {
    "small": {"first_token_ms": 40, "tokens_per_second": 120},
    "large": {"first_token_ms": 150, "tokens_per_second": 60},
    "canary": {"first_token_ms": 50, "tokens_per_second": 140},
}
"""Backend of the examples → how its simulated model behaves."""


def example_documents(addresses: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the example documents with backends at ``addresses`` (name → HOST:PORT)."""
    text = resources.files(__package__).joinpath("examples.json").read_bytes()
    documents: dict[str, dict[str, Any]] = msgspec.json.decode(text)
    for name, address in addresses.items():
        documents["backends"][name]["endpoints"] = [f"http://{address}"]
    return documents

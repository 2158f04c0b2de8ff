"""Bytes of a request → `InferenceRequest`."""

from collections.abc import Mapping

from sidecar.facts.relaxed import relax
from sidecar.facts.request import NO_KEYS, Request, api_key_of
from sidecar.model import OPERATIONS, KeyOwner

__all__ = ["Request", "api_key_of", "read", "relax"]


def read(
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    keys: Mapping[str, KeyOwner] = NO_KEYS,
) -> Request:
    """Return the facts of one request to a decided path.

    ``path`` may carry a query string, which the facts leave out; ``headers`` have lower-case names.
    ``keys``: whom API keys stand for, by what `Request.api_key` gives.
    All of the body's syntax is checked here, deep values are decoded when they are first asked for.
    Raises `InvalidJson` when the body is not one JSON object, has a top-level key twice, or a
    ``model`` or ``stream`` of a wrong type, and ValueError for a path that is not in `OPERATIONS`.
    """
    path = path.partition("?")[0]
    operation = OPERATIONS.get(path)
    if operation is None:
        raise ValueError(f"path {path!r} is not decided; decided are: {', '.join(OPERATIONS)}")
    return Request(operation, path, headers, body, keys)

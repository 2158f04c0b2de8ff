"""The web console: static files from the package, compressed once, for a browser that trusts none.

The page holds no data and needs no token; all that it shows comes from the HTTP API.
"""

import gzip
from collections.abc import Iterator
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec
from fastapi import APIRouter, HTTPException, Request, Response

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""What a browser may load; licences and notes stay in the package."""


class _Asset(msgspec.Struct, frozen=True):
    """One file: its text, the same compressed, and what a browser recognises it by."""

    body: bytes
    packed: bytes
    media_type: str
    etag: str


def console_router() -> APIRouter:
    """Return `/` and `/console/…`; reads and compresses all files of the console."""
    assets = {path: _asset(path, body) for path, body in _read(_folder(), "")}
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    def page(request: Request) -> Response:
        return _answer(assets["index.html"], request)

    @router.api_route("/console/{path:path}", methods=["GET", "HEAD"])
    def asset(path: str, request: Request) -> Response:
        if path not in assets:
            raise HTTPException(404, "the console has no such file")
        return _answer(assets[path], request)

    return router


def _folder() -> Traversable:
    return files("sidecar.admin") / "console"


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Yield the path of each file below ``folder`` that a browser may load, and what it holds."""
    for entry in folder.iterdir():
        path = prefix + entry.name
        if entry.is_dir():
            yield from _read(entry, f"{path}/")
        elif _suffix(path) in _TYPES:
            yield path, entry.read_bytes()


def _suffix(path: str) -> str:
    return path.rpartition(".")[2]


def _asset(path: str, body: bytes) -> _Asset:
    etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    return _Asset(body, gzip.compress(body, mtime=0), _TYPES[_suffix(path)], etag)


def _answer(asset: _Asset, request: Request) -> Response:
    """Answer 304 when the browser has this very content, else the content, compressed if it may.

    ``no-cache`` means "keep it, but ask": after an upgrade no page mixes old files and new ones.
    """
    headers = {
        "etag": asset.etag,
        "cache-control": "no-cache",
        "vary": "accept-encoding",
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
    }
    if asset.etag in request.headers.get("if-none-match", "").split(", "):
        return Response(status_code=304, headers=headers)
    body = asset.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["content-encoding"] = asset.packed, "gzip"
    return Response(body, media_type=asset.media_type, headers=headers)

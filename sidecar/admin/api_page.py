"""`/docs`: the OpenAPI document as a page, made here.

The usual pages load their scripts from a server of somebody else's. Scripts of this origin may do
whatever the operator may, so there are none: the page is HTML, and the document is beside it.
"""

from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Response

_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pointsman: HTTP API</title>
<link rel="stylesheet" href="/console/console.css">
</head>
<body>
<main>
<h1>HTTP API</h1>
<p>As OpenAPI: <a href="/openapi.json">openapi.json</a>. The console: <a href="/">/</a>.</p>
"""
_TAIL = "</main>\n</body>\n</html>\n"

Described = Mapping[str, Any]
"""A part of an OpenAPI document."""


def api_page_router(document: Callable[[], Described]) -> APIRouter:
    """Return the page; ``document``: what it shows."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def page() -> Response:
        text = "".join((_HEAD, *_operations(document()), _TAIL))
        return Response(text, 200, {"content-security-policy": _POLICY}, "text/html")

    return router


def _operations(document: Described) -> Iterator[str]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            title = f"<code>{escape(method.upper())} {escape(path)}</code>"
            yield f"<section>\n<h2>{title}</h2>\n<p>{escape(operation.get('summary', ''))}</p>\n"
            if "description" in operation:
                yield f"<p>{escape(operation['description'])}</p>\n"
            yield _table("parameter", [_parameter(one) for one in operation.get("parameters", [])])
            yield _body(operation.get("requestBody", {}))
            answers = operation["responses"].items()
            yield _table("answer", [(code, one.get("description", "")) for code, one in answers])
            if operation.get("security"):
                yield "<p>Needs a token, where there are tokens.</p>\n"
            yield "</section>\n"


def _parameter(one: Described) -> tuple[str, str]:
    needed = "required" if one.get("required") else "optional"
    told = one.get("description") or one.get("schema", {}).get("description", "")
    return one.get("name", ""), f"{one.get('in', '')}, {needed}. {told}"


def _body(body: Described) -> str:
    if not body:
        return ""
    kinds = ", ".join(body["content"])
    return _table("body", [(kinds, body.get("description", ""))])


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = (
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{escape(told)}</td></tr>\n'
        for name, told in rows
    )
    return f"<table>\n<caption>{title}</caption>\n<tbody>\n{''.join(lines)}</tbody>\n</table>\n"

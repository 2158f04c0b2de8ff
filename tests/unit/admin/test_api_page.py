import re

import httpx
from fastapi import APIRouter

from sidecar.admin.feedback import feedback_router
from sidecar.admin.http import admin_app


def nasty_router():
    router = APIRouter()

    @router.get("/nasty", summary="<script>alert(1)</script>")
    def nasty(name: str = "") -> str:
        return name

    return router


async def page():
    routers = (feedback_router(None), nasty_router())
    app = admin_app(lambda _accept: (b"", ""), lambda: (True, {}), *routers)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        shown = await client.get("/docs")
        return shown, (await client.get("/openapi.json")).json()


async def test_every_operation_of_the_document_is_on_the_page():
    shown, document = await page()

    for path, item in document["paths"].items():
        for method, operation in item.items():
            heading = f"<h2><code>{method.upper()} {path}</code></h2>"
            assert shown.text.count(heading) == 1
            for code in operation["responses"]:
                part = shown.text.split(heading)[1].split("</section>")[0]
                assert f"<code>{code}</code>" in part
    assert shown.text.count("Needs a token") == 2


async def test_the_page_loads_nothing_from_elsewhere_and_runs_no_script():
    shown, _ = await page()

    assert "<script" not in shown.text
    loaded = re.findall(r"(?:src|href)=(\S+)", shown.text)
    assert loaded
    assert all(re.match('"/(?!/)', one) for one in loaded)
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy

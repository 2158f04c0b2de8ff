"""The console's files, and how they are served."""

import gzip
import re
from hashlib import sha256
from importlib.resources import files
from pathlib import Path, PurePosixPath

import httpx
import pytest

from sidecar.admin.console import CONTENT_SECURITY_POLICY, console_router
from sidecar.admin.http import admin_app

FOLDER = Path(str(files("sidecar.admin") / "console"))
OWN = sorted(
    path
    for path in FOLDER.rglob("*")
    if path.suffix in {".js", ".css", ".html"} and "vendor" not in path.parts
)
IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""")
APP = admin_app(lambda _accept: (b"", ""), lambda: (True, {}), console_router())


def named(path):
    return path.relative_to(FOLDER).as_posix()


async def ask(path, method="GET", **headers):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(APP), base_url="http://localhost"
    ) as client:
        return await client.request(method, path, headers=given)


async def test_the_page_comes_with_a_policy_that_allows_nothing_of_elsewhere_and_nothing_inline():
    page = await ask("/")

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["app.js", "vendor/preact.mjs", "console.css"])
async def test_files_are_sent_compressed_to_who_takes_that(path):
    packed = await ask(f"/console/{path}", accept_encoding="gzip")
    plain = await ask(f"/console/{path}", accept_encoding="identity")

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content == (FOLDER / path).read_bytes()
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, mtime=0))


async def test_a_file_that_the_browser_has_is_not_sent_again():
    first = await ask("/console/app.js")
    again = await ask("/console/app.js", if_none_match=first.headers["etag"])
    other = await ask("/console/app.js", if_none_match='"of an older version"')

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == first.headers["cache-control"] == "no-cache"
    assert other.status_code == 200


async def test_head_answers_without_a_body():
    answer = await ask("/", "HEAD")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "path", ["nothing.js", "../console.py", "%2e%2e/console.py", "vendor/README.md", ""]
)
async def test_nothing_but_the_pages_files_is_served(path):
    assert (await ask(f"/console/{path}")).status_code == 404


@pytest.mark.parametrize("path", OWN, ids=named)
def test_every_import_and_link_names_a_file_of_the_console(path):
    text = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE)
    wanted = [path.parent / name for name in IMPORT.findall(text) if path.suffix == ".js"]
    wanted += [FOLDER / name for name in re.findall(r'(?:href|src)="console/([^"]+)"', text)]

    assert [str(one) for one in wanted if not one.is_file()] == []


@pytest.mark.parametrize("path", OWN, ids=named)
def test_no_file_reaches_outside_or_turns_data_into_markup(path):
    text = path.read_text()
    reach = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function\("
        r"|document\.cookie|localStorage|\burl\(|@import|<style|\sstyle=\"|\son\w+=\""
    )
    assert reach.findall(text) == []
    assert PurePosixPath(path).suffix != ".html" or "<script>" not in text


@pytest.mark.parametrize("path", OWN, ids=named)
def test_files_stay_small_enough_to_read(path):
    assert len(path.read_text().splitlines()) < 300


def test_vendored_files_are_what_the_notes_say():
    notes = (FOLDER / "vendor" / "README.md").read_text()
    said = dict(re.findall(r"^\| `([\w.]+)` \|.*`([0-9a-f]{64})` \|$", notes, re.MULTILINE))
    found = {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in (FOLDER / "vendor").iterdir()
        if path.suffix in {".mjs", ".css"}
    }
    assert said == found
    for licence in re.findall(r"`(LICENSE-\w+)`", notes):
        assert (FOLDER / "vendor" / licence).is_file()

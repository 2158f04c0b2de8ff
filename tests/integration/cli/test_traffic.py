"""Commands that ask the running sidecar, where it is not, or is something else."""

import asyncio

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from tests.ports import free_port

COMMANDS = [("stats",), ("decisions", "list"), ("decisions", "show", "0" * 28)]


@pytest.fixture
def run(monkeypatch):
    def run(port, *command, token=""):
        monkeypatch.setenv("POINTSMAN_ADMIN", f"127.0.0.1:{port}")
        monkeypatch.setenv("POINTSMAN_TOKEN", token)
        return CliRunner().invoke(app, [*command])

    return run


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_a_sidecar_it_is_3_with_the_setting_to_look_at(run, command):
    port = free_port()

    result = run(port, *command)

    assert result.exit_code == 3
    assert f"does not answer at 127.0.0.1:{port}" in result.output
    assert "POINTSMAN_ADMIN" in result.output


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 3, "is not Pointsman"),
        (b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nhi", 3, "is not Pointsman"),
        (b"\r\n", 3, "does not answer"),
        (
            b'HTTP/1.1 404 No\r\ncontent-length: 25\r\n\r\n{"detail":"Gone \\u001b["}',
            1,
            "Gone \\u001b[",
        ),
        (
            b'HTTP/1.1 401 No\r\ncontent-length: 23\r\n\r\n{"detail":"No token."}  ',
            2,
            "No token. POINTSMAN_TOKEN",
        ),
        (
            b'HTTP/1.1 503 No\r\ncontent-length: 23\r\n\r\n{"detail":"Store gone"}',
            3,
            "Store gone",
        ),
    ],
    ids=str,
)
async def test_what_is_answered_instead_is_told_as_what_it_is(run, answer, code, told):
    heads = []

    async def serve(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await asyncio.to_thread(run, port, "decisions", "list", token="pm_secret")

    assert (result.exit_code, told in result.output) == (code, True), result.output
    assert b"Authorization: Bearer pm_secret\r\n" in heads[0]
    assert "pm_secret" not in result.output
